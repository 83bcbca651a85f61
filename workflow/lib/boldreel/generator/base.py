"""The base models of the generator: a Stable Diffusion folder or hub id.

Takes the name from the config's `models.diffusion` (a folder, or ``owner/name`` or
``owner/name@revision`` of the hub); leaves its UNet, VAE, scheduler config and identity.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boldreel.data import unreadable
from boldreel.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

PARTS = ("unet", "vae", "scheduler")


def find_base(name: str | Path) -> Path:
    """The local folder of a Stable Diffusion model.

    Raises
    ------
    UserError : it is neither a folder nor can it be had from the hub or its cache, or a part lacks.
    """
    folder = Path(name)
    if not folder.is_dir():
        folder = _from_hub(str(name))
    for part in PARTS:
        if not (folder / part).is_dir():
            raise UserError(
                f"{folder}: no folder {part}/ in the diffusion model; "
                "fill it with a model in StableDiffusionPipeline layout (models.diffusion)"
            )
    return folder


def parts(folder: Path) -> list[Path]:
    """The parts of a Stable Diffusion folder that the generator reads."""
    return [folder / part for part in PARTS]


def _from_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    mend = (
        f"put a model in StableDiffusionPipeline layout into the folder {name!r}, or name a folder "
        "that holds one in the config (models.diffusion)"
    )
    if name.startswith((".", "/")) or name.count("/") != 1:
        raise UserError(f"{name}: no such folder of diffusion weights; {mend}")
    repository, _, revision = name.partition("@")
    patterns = [f"{part}/{kind}" for part in PARTS for kind in ("*.json", "*.safetensors")]
    try:
        found = snapshot_download(repository, revision=revision or None, allow_patterns=patterns)
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as reason:
        short = str(reason).strip().splitlines()[0][:120]
        raise UserError(
            f"{name}: no such folder, and not had from the hub ({short}); {mend}"
        ) from None
    return Path(found)


def _load(kind: Any, folder: Path, part: str) -> Any:
    import torch

    try:
        return kind.from_pretrained(folder, subfolder=part, torch_dtype=torch.float32)
    except unreadable.ERRORS as error:
        raise UserError(
            f"{folder / part}: cannot be loaded ({unreadable.reason(error)}); fill this folder with the "
            "weights again"
        ) from None


def load_unet(folder: Path) -> Any:
    """The image network, a float32 UNet2DConditionModel."""
    from diffusers import UNet2DConditionModel

    return _load(UNet2DConditionModel, folder, "unet")


def load_vae(folder: Path) -> Any:
    """The autoencoder, a float32 AutoencoderKL, frozen and in evaluation mode."""
    from diffusers import AutoencoderKL

    return _load(AutoencoderKL, folder, "vae").eval().requires_grad_(False)


def load_scheduler(
    folder: Path,
    name: str | None = None,
    options: dict | None = None,
    prediction_type: str | None = None,
) -> Any:
    """A diffusers scheduler with the model's noise schedule and prediction type.

    Parameters
    ----------
    name : class name in diffusers, such as ``DPMSolverMultistepScheduler``; the ending may be left
        out; None is the DDPM scheduler (for training).
    options : replace single entries of the scheduler's config.
    prediction_type : what the network was tuned to predict, where it is not what the model predicts.
    """
    import diffusers

    short = name or "DDPMScheduler"
    kind: Any = getattr(diffusers, short, None) or getattr(diffusers, f"{short}Scheduler", None)
    if not hasattr(kind, "set_timesteps"):
        raise UserError(
            f"scheduler {short!r}: diffusers has none of that name; try DPMSolverMultistep or DDIM"
        )
    try:
        config = diffusers.DDPMScheduler.load_config(folder, subfolder="scheduler")
    except (OSError, ValueError):
        raise UserError(
            f"{folder / 'scheduler'}: no scheduler_config.json; fill this folder with the model's"
        ) from None
    if prediction_type is not None:
        config = {**config, "prediction_type": prediction_type}
    # Some schedulers clip clean samples to -1..1 unless told otherwise: right for pixels only.
    return kind.from_config({"clip_sample": False, **config}, **(options or {}))


def encode(vae: Any, pictures: Tensor) -> Tensor:
    """Scaled mean latents (n, c, h, w) of pictures (n, 3, height, width) in -1 to 1."""
    shift = getattr(vae.config, "shift_factor", None) or 0.0
    return (vae.encode(pictures).latent_dist.mean - shift) * vae.config.scaling_factor


def decode(vae: Any, latents: Tensor) -> Tensor:
    """Pictures (n, 3, height, width), clipped to -1 to 1, of scaled latents (n, c, h, w)."""
    shift = getattr(vae.config, "shift_factor", None) or 0.0
    scaled = latents / vae.config.scaling_factor + shift
    return vae.decode(scaled.to(vae.dtype)).sample.clamp(-1, 1)


def identity(folder: Path) -> str:
    """Hash of the image network's config and weight files: what an inflated network is built on."""
    digest = hashlib.sha256()
    files = sorted((folder / "unet").glob("*.json")) + sorted(
        (folder / "unet").glob("*.safetensors")
    )
    for file in files:
        digest.update(file.name.encode())
        with file.open("rb") as stream:
            while block := stream.read(1 << 24):
                digest.update(block)
    return digest.hexdigest()
