"""The base model of the generator: Stable Diffusion.

Takes the name from the configuration's `models.diffusion` or its folder; returns its UNet, VAE, scheduler
config and identity.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boldreel.base_models import load, resolve
from boldreel.data import provenance
from boldreel.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

ROLE = "diffusion"
PARTS = ("unet", "vae", "scheduler")


def find_base(name: str | Path) -> Path:
    """The local folder of a Stable Diffusion model, see `boldreel.base_models.resolve.find`."""
    return resolve.find(ROLE, name, *PARTS)


def files(folder: Path) -> list[Path]:
    """The files of a Stable Diffusion folder that the generator reads."""
    return resolve.files(ROLE, folder, *PARTS)


def _load(folder: Path, part: str, kind: Any) -> Any:
    import torch

    return load.network(ROLE, folder, part, kind, torch_dtype=torch.float32)


def load_unet(folder: Path) -> Any:
    """The image network, a trainable float32 UNet2DConditionModel in evaluation mode."""
    from diffusers import UNet2DConditionModel

    return _load(folder, "unet", UNet2DConditionModel).requires_grad_(True)


def load_vae(folder: Path) -> Any:
    """The autoencoder, a float32 AutoencoderKL, frozen and in evaluation mode."""
    from diffusers import AutoencoderKL

    return _load(folder, "vae", AutoencoderKL)


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
            f"scheduler {short!r}: diffusers has no such scheduler; try DPMSolverMultistep or DDIM"
        )
    config = load.settings(ROLE, folder, "scheduler", diffusers.DDPMScheduler)
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
    """Hash of the image network's config and weight files from which a network was inflated.

    The same for a folder and for the hub's cache, where the weights' own hash is known.
    """
    found = hashlib.sha256()
    for file in resolve.files(ROLE, folder, "unet"):
        found.update(file.name.encode())
        found.update((provenance.hub_sha256(file) or _sha256(file)).encode())
    return found.hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
