"""The inflated network on disk: a folder with only what differs from its base.

Takes a `VideoUNet` and the Stable Diffusion folder it was inflated from; writes `config.json` (the
inflation, the base's identity), `model.safetensors` (temporal layers and trained layers, under the
names of the published checkpoints) and `negative.npy`, the condition that guidance steers away from.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from boldreel.base_models import diffusion
from boldreel.errors import UserError

if TYPE_CHECKING:
    from boldreel.models.video_unet import VideoUNet

WEIGHTS = "model.safetensors"


@dataclass(frozen=True)
class ClipShape:
    """The clips that a network was tuned on: frames, their rate, height and width of the latents."""

    frames: int
    frame_rate: float
    height: int
    width: int


def save_pretrained(
    network: VideoUNet, folder: Path, base: Path, negative: np.ndarray, shape: ClipShape
) -> None:
    """Writes the folder.

    Parameters
    ----------
    base : folder of the Stable Diffusion model that the network was inflated from.
    negative : float array (length, width), from training data alone.
    """
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    original = diffusion.load_unet(base).state_dict()
    differing = {
        name: tensor.detach().cpu().contiguous()
        for name, tensor in network.unet.state_dict().items()
        if name not in original or not original[name].to(tensor).equal(tensor)
    }
    save_file(differing, folder / WEIGHTS)
    np.save(folder / "negative.npy", np.asarray(negative, np.float32))
    config = {
        "architecture": "VideoUNet",
        "inflation": network.config,
        "base": {"name": base.name, "unet_sha256": diffusion.identity(base)},
        "clip": asdict(shape),
        "tensors": len(differing),
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def from_pretrained(folder: Path, base: Path) -> VideoUNet:
    """The network of a folder that `save_pretrained` wrote, float32, in evaluation mode.

    Raises
    ------
    UserError : a file is missing or broken, or the base is not the one it was inflated from.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from boldreel.models.video_unet import Inflation, VideoUNet

    try:
        config = json.loads((folder / "config.json").read_text())
        differing = load_file(folder / WEIGHTS)
        inflation, wanted = config["inflation"], config["base"]["unet_sha256"]
    except (OSError, ValueError, KeyError, SafetensorError) as reason:
        raise UserError(
            f"{folder}: no readable video generator ({str(reason)[:120]}); run generator.tune again"
        ) from None
    if wanted != diffusion.identity(base):
        raise UserError(
            f"{folder}: was tuned from the diffusion model {config['base'].get('name')!r} with UNet "
            f"{wanted[:12]}, not from {base}; name that one (models.diffusion) or tune again"
        )
    network = VideoUNet(diffusion.load_unet(base), Inflation(**inflation))
    unknown = sorted(set(differing) - set(network.unet.state_dict()))
    if unknown:
        raise UserError(
            f"{folder / WEIGHTS}: unknown tensor {unknown[0]}; run generator.tune again"
        )
    network.unet.load_state_dict(differing, strict=False)
    return network.eval()


def load_shape(folder: Path) -> ClipShape:
    """The shape of the clips that the network of a folder was tuned on."""
    try:
        return ClipShape(**json.loads((folder / "config.json").read_text())["clip"])
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(
            f"{folder / 'config.json'}: names no clip shape; run generator.tune again"
        ) from None


def load_negative(folder: Path) -> np.ndarray:
    """The condition (length, width) that guidance steers away from, float32."""
    try:
        return np.load(folder / "negative.npy").astype(np.float32)
    except (OSError, ValueError):
        raise UserError(
            f"{folder / 'negative.npy'}: missing or broken; run its step again"
        ) from None
