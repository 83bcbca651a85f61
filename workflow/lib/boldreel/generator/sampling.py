"""Sampling of clips: from conditions to latents.

Takes a `VideoUNet`, any diffusers scheduler, conditions and a seed; returns latents. Each clip has a
generator of its own, seeded by (seed, clip), so that it comes out the same in any batch, order or shard.
A clip may go on from the one before it (`Continuation`).
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from boldreel.base_models.diffusion import decode
from boldreel.errors import UserError
from boldreel.generator.noise import clip_noise

if TYPE_CHECKING:
    from boldreel.models.video_unet import VideoUNet

# These add noise at each step, frame by frame; the network knows only noise that frames share.
STOCHASTIC = ("Ancestral", "SDE", "DDPM", "LCM", "TCD", "EDMEuler")


def clip_generator(seed: int, clip: str, sample: int = 0) -> torch.Generator:
    """A CPU generator that depends on the seed, the clip's name and the sample's number alone."""
    digest = hashlib.sha256(f"{seed}/{clip}/{sample}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def guided(conditional: Tensor, negative: Tensor, scale: float) -> Tensor:
    """Guided prediction: e(c_neg) + s (e(c) - e(c_neg)) (MinD-Video, adversarial guidance)."""
    return negative + scale * (conditional - negative)


@dataclass(frozen=True)
class Continuation:
    """The end of the previous clip, which a clip continues.

    latents : its last frames (clips, k, c, h, w), which the frames of the clip attend to.
    strength : share of the steps that are taken at all, 0 to 1: they start from the last frame with so
        much noise as is left at that point; with 1 from noise alone.
    """

    latents: Tensor
    strength: float = 1.0


def predict(
    network: VideoUNet,
    latents: Tensor,
    timestep: Tensor,
    both: Tensor,
    scale: float,
    before: int = 0,
) -> Tensor:
    """Guided prediction for a batch of clips, both conditions in one forward pass.

    Parameters
    ----------
    latents : (clips, frames, c, h, w).
    both : conditions (2 clips, length, width), those of the clips first and the negatives after; or
        (clips, length, width) where the scale is 1 and no negative is wanted.
    before : how many of the frames come before the clips.
    """
    if len(both) == len(latents):
        return network(latents, timestep, both, before)
    twice = torch.cat((latents, latents))
    conditional, negative = network(twice, timestep, both, before).chunk(2)
    return guided(conditional, negative, scale)


def refuse_unfit(scheduler: Any, correlation: float, strength: float = 1.0) -> None:
    """UserError if a scheduler would add noise that the network was not tuned with, or where it should
    begin midway (`Continuation.strength` below 1) and cannot."""
    name = type(scheduler).__name__
    kind = str(scheduler.config.get("algorithm_type", ""))
    stochastic = any(mark in name for mark in STOCHASTIC) or kind.startswith("sde")
    if correlation > 0 and stochastic:
        raise UserError(
            f"scheduler {name}: it adds noise to each frame alone, but the generator was tuned with "
            f"noise_correlation {correlation}; take a deterministic one such as DPMSolverMultistep"
        )
    if strength < 1 and (name == "PNDMScheduler" or getattr(scheduler, "order", 1) > 1):
        raise UserError(
            f"scheduler {name}: it cannot begin midway, as continuous movies do; set "
            "reconstruct.continuous.strength to 1 or take another, such as DPMSolverMultistep"
        )


@torch.inference_mode()
def denoise(
    network: VideoUNet,
    scheduler: Any,
    latents: Tensor,
    condition: Tensor,
    negative: Tensor,
    *,
    steps: int,
    guidance: float,
    guided_share: float = 1.0,
    generators: list[torch.Generator] | None = None,
    before: Continuation | None = None,
) -> Iterator[Tensor]:
    """Follow the scheduler from given noise; latents after each of its calls, the last are the result.

    Parameters
    ----------
    latents : noise (clips, frames, c, h, w), times the scheduler's ``init_noise_sigma``; with ``before``
        that of its frames comes first.
    condition, negative : (clips, length, width).
    steps, guidance, guided_share : see `sample`.
    generators : for schedulers that draw; one for each clip.
    before : what the clips go on from.

    Returns
    -------
    Iterator of (clips, frames, c, h, w), as many as the scheduler has timesteps (some have more than
    ``steps``), or as `Continuation.strength` leaves.
    """
    above = network.inflation.image_above
    both = torch.cat((condition, negative))
    extra = {}
    if "generator" in inspect.signature(scheduler.step).parameters:
        extra["generator"] = generators
    scheduler.set_timesteps(steps, device=condition.device)
    calls, skipped, known = len(scheduler.timesteps), 0, 0
    if before is not None:
        known = before.latents.shape[1]
        noise = latents / scheduler.init_noise_sigma
        latents, skipped = latents[:, known:], calls - max(1, round(before.strength * calls))
    if before is not None and skipped > 0:
        if hasattr(scheduler, "set_begin_index"):
            scheduler.set_begin_index(skipped)
        latents = _noisy(scheduler, before.latents[:, -1:], noise[:, known:], skipped)
    frames = latents.shape[1]
    guided_calls = round(guided_share * calls) if guidance != 1 else 0
    phases = (
        (range(skipped, guided_calls), both),
        (range(max(skipped, guided_calls), calls), condition),
    )
    for numbers, conditions in phases:
        with network.fixed_condition():
            for number in numbers:
                timestep, seen, read = scheduler.timesteps[number], latents, 0
                if above is not None and timestep > above:
                    # All frames are still the same: one is enough.
                    seen = seen[:, :1]
                elif before is not None:
                    past = _noisy(scheduler, before.latents, noise[:, :known], number)
                    seen, read = torch.cat((past, seen), dim=1), known
                seen = scheduler.scale_model_input(seen, timestep)
                prediction = predict(network, seen, timestep, conditions, guidance, read)[:, read:]
                prediction = prediction.repeat(1, frames // prediction.shape[1], 1, 1, 1)
                stepped = scheduler.step(prediction, timestep, latents, return_dict=False, **extra)
                latents = stepped[0]
                yield latents


def _noisy(scheduler: Any, clean: Tensor, noise: Tensor, number: int) -> Tensor:
    """Clean latents (clips, k or 1, ...) as they look before the scheduler's call of this number."""
    timesteps = scheduler.timesteps[number].expand(len(noise))
    return scheduler.add_noise(clean.expand_as(noise).contiguous(), noise, timesteps)


@torch.inference_mode()
def sample(
    network: VideoUNet,
    scheduler: Any,
    condition: Tensor,
    negative: Tensor,
    generators: list[torch.Generator],
    *,
    frames: int,
    size: tuple[int, int],
    steps: int,
    guidance: float,
    guided_share: float = 1.0,
    before: Continuation | None = None,
) -> Tensor:
    """Draw one clip for each condition.

    Where the network was tuned with `image_above`, a clip is one frame down to that timestep; below it
    frames begin alike and part, as the network predicts each.

    Parameters
    ----------
    scheduler : with the base model's noise schedule and prediction type.
    condition : (clips, length, width).
    negative : (length, width), from training data.
    generators : one for each clip, see `clip_generator`.
    size : height and width of the latents.
    guidance : scale s; 1 follows the condition alone, in half the time.
    guided_share : of the steps, from pure noise on, that are guided; the rest follows the condition
        alone, since guidance at low noise no more changes what is seen (Kynkaanniemi et al. 2024).
    before : what the clips go on from.

    Returns
    -------
    Latents (clips, frames, c, height, width), scaled as those of training.
    """
    correlation = network.inflation.noise_correlation
    refuse_unfit(scheduler, correlation, 1.0 if before is None else before.strength)
    known = 0 if before is None else before.latents.shape[1]
    shape = (known + frames, network.unet.config.in_channels, *size)
    latents = torch.stack([clip_noise(shape, correlation, g) for g in generators])
    latents = latents.to(condition) * scheduler.init_noise_sigma
    negative = negative.to(condition).expand_as(condition)
    calls = denoise(
        network,
        scheduler,
        latents,
        condition,
        negative,
        steps=steps,
        guidance=guidance,
        guided_share=guided_share,
        generators=generators,
        before=before,
    )
    for stepped in calls:
        latents = stepped
    return latents


@torch.inference_mode()
def to_pixels(vae: Any, latents: Tensor, batch: int = 32) -> np.ndarray:
    """uint8 frames (clips, frames, height, width, 3) of latents (clips, frames, c, h, w).

    Parameters
    ----------
    batch : frames that are decoded at once.
    """
    flat = latents.flatten(0, 1)
    parts = [decode(vae, part) for part in flat.split(batch)]
    pixels = torch.cat(parts).float().add(1).mul(127.5).round().to(torch.uint8)
    pictures = pixels.permute(0, 2, 3, 1).cpu().numpy()
    return np.ascontiguousarray(pictures.reshape(*latents.shape[:2], *pictures.shape[1:]))
