"""A packed video network as a folder, in the layout of Hugging Face.

Takes a `PackedVideo`; writes `config.json`, `unet/` (a UNet2DConditionModel) and `packing.safetensors`
(packing, codes and added tokens). The same folder is what a preset ships and what tuning leaves.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boldreel.base_models import load, resolve
from boldreel.data import weights
from boldreel.errors import UserError

if TYPE_CHECKING:
    from boldreel.models.packed_video import PackedVideo

ROLE = "video"
PARTS = ("unet", "packing")
ARCHITECTURE = "PackedVideo"
CONFIG, TENSORS = "config.json", "packing.safetensors"


def save(network: PackedVideo, folder: Path, about: dict[str, Any], half: bool = False) -> None:
    """Write the folder.

    Parameters
    ----------
    about : more entries of the config.
    half : whether weights are rounded to float16, as shipped models are.
    """
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    kind = "half" if half else "float"
    rest = {
        name: getattr(tensor.detach().cpu(), kind)().contiguous()
        for name, tensor in network.state_dict().items()
        if not name.startswith("unet.")
    }
    save_file(rest, folder / TENSORS, metadata={"format": "pt"})
    image = type(network.unet).from_config(network.unet.config)
    image.load_state_dict(network.unet.state_dict())
    getattr(image, kind)().save_pretrained(folder / "unet")
    unet_config = folder / "unet" / CONFIG
    entries = json.loads(unet_config.read_text(encoding="utf-8"))
    entries.pop("_name_or_path", None)  # a path of this machine
    unet_config.write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")
    config = {"architecture": ARCHITECTURE, "network": network.settings, **about}
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def read(folder: Path) -> PackedVideo:
    """The network of a folder, float32, in evaluation mode; UserError if a file is missing or broken."""
    from diffusers import UNet2DConditionModel

    from boldreel.models.packed_video import PackedConfig, PackedVideo

    config = read_config(folder)
    try:
        settings = config["network"]
        sizes: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()
        }
        known = PackedConfig(**sizes)
    except (KeyError, TypeError) as error:
        raise UserError(
            f"{folder / CONFIG}: no packed video network ({error}); make it again"
        ) from None
    unet = load.network(ROLE, folder, "unet", UNet2DConditionModel)
    network = PackedVideo(unet.float().requires_grad_(True), known)
    tensors = {name: tensor.float() for name, tensor in weights.read(folder / TENSORS).items()}
    own = {k: v for k, v in network.state_dict().items() if not k.startswith("unet.")}
    if problems := weights.differences(own, tensors):
        raise UserError(f"{folder / TENSORS}: {'; '.join(problems)}; make it again")
    network.load_state_dict(tensors, strict=False)
    return network.eval()


def read_config(folder: Path) -> dict[str, Any]:
    """The folder's config; UserError if it cannot be read."""
    try:
        return json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"{folder / CONFIG}: not readable ({str(error)[:120]}); run generator.tune again"
        ) from None


def find_prior(name: str | Path) -> Path:
    """The local folder of a video prior, the configuration's `models.video`."""
    return resolve.find(ROLE, name, *PARTS)


def prior_files(folder: Path) -> list[Path]:
    """The files of a video prior that are read."""
    return resolve.files(ROLE, folder, *PARTS)
