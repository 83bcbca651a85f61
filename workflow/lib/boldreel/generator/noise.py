"""Noise of clips, what a network predicts from it, and how timesteps weigh.

Takes shapes, clean latents and timesteps; returns noise, targets and weights. The frames of a clip share
part or all of their noise: each frame's noise is standard normal, as the image network expects, but
that of two frames is correlated, because frames themselves are nearly alike (mixed noise of Ge et al.
2023, "Preserve Your Own Correlation"). Samples that start from such noise do not flicker.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from boldreel.errors import UserError


def clip_noise(shape: tuple[int, ...], correlation: float, generator: torch.Generator) -> Tensor:
    """Standard normal noise of a clip or a batch of clips, on the CPU.

    Parameters
    ----------
    shape : (..., frames, channels, height, width).
    correlation : of the noise of any two frames of a clip, 0 to 1.
    """
    common_shape = (*shape[:-4], 1, *shape[-3:])
    common = torch.randn(common_shape, generator=generator)
    own = torch.randn(shape, generator=generator)
    return correlation**0.5 * common + (1 - correlation) ** 0.5 * own


def spread_timesteps(clips: int, span: tuple[int, int], generator: torch.Generator) -> Tensor:
    """One timestep for each clip (clips,), uniform in span alone and spread evenly over a batch.

    Even spread leaves the loss's mean as it is and lowers its variance.

    Parameters
    ----------
    span : first timestep, and the one after the last.
    """
    first, end = span
    offset = torch.rand((), generator=generator)
    order = torch.randperm(clips, generator=generator)
    return (first + (order + offset) / clips * (end - first)).long().clamp(max=end - 1)


def target(scheduler: Any, clean: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
    """What the network predicts at these timesteps, by the scheduler's prediction type."""
    kind = scheduler.config.prediction_type
    if kind == "epsilon":
        return noise
    if kind == "sample":
        return clean
    if kind == "v_prediction":
        return scheduler.get_velocity(clean, noise, timesteps)
    raise UserError(
        f"prediction_type {kind!r} of the diffusion model's scheduler: expected epsilon, "
        "v_prediction or sample"
    )


def weights(scheduler: Any, timesteps: Tensor, min_snr: float | None) -> Tensor:
    """Weight of each clip's loss (clips,): all one, or min-SNR (Hang et al. 2023).

    Parameters
    ----------
    min_snr : gamma, the signal-to-noise ratio at which the weight is cut; None for no weighting.
    """
    if min_snr is None:
        return torch.ones(len(timesteps), device=timesteps.device)
    signal = scheduler.alphas_cumprod.to(timesteps.device)[timesteps]
    snr = signal / (1 - signal)
    cut = snr.clamp(max=min_snr)
    divisor = {"epsilon": snr, "v_prediction": snr + 1, "sample": torch.ones_like(snr)}
    return cut / divisor[scheduler.config.prediction_type]
