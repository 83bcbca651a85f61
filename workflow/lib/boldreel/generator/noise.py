"""Noise of clips and the loss on it.

Takes clean latents; leaves noisy ones, what the network should predict and the loss. The frames of a
clip share part of their noise: each frame's noise is standard normal, as the image network expects,
but that of two frames is correlated, because frames themselves are nearly alike. The network then has
to predict only what moves, and samples that start from such noise do not flicker (mixed noise of Ge et
al. 2023, "Preserve Your Own Correlation").
"""

from __future__ import annotations

from collections.abc import Callable
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


def spread_timesteps(clips: int, steps: int, generator: torch.Generator) -> Tensor:
    """One timestep for each clip (clips,), uniform alone and spread evenly over a batch.

    Even spread leaves the loss's mean as it is and lowers its variance.
    """
    offset = torch.rand((), generator=generator)
    order = torch.randperm(clips, generator=generator)
    return ((order + offset) / clips * steps).long().clamp(max=steps - 1)


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


def noise_loss(
    predict: Callable[[Tensor, Tensor], Tensor],
    scheduler: Any,
    clean: Tensor,
    correlation: float,
    generator: torch.Generator,
    min_snr: float | None = None,
    motion_weight: float = 1.0,
) -> Tensor:
    """Mean squared error (clips,) of a prediction, one timestep for all frames of a clip.

    The error is split into what all frames of a clip share and what sets each apart. The best
    prediction is the same for any weight of the second part; but it is small where frames are nearly
    alike, and an image network has learnt the first part already.

    Parameters
    ----------
    predict : (noisy latents, timesteps (clips,)) to what `target` names, of the latents' shape.
    clean : latents (clips, frames, channels, height, width).
    correlation : of the noise of two frames of a clip, see `clip_noise`.
    generator : CPU generator of timesteps and noise.
    motion_weight : of the part of the error that sets frames apart; 1 is the plain mean square.
    """
    noise = clip_noise(tuple(clean.shape), correlation, generator).to(clean)
    steps = spread_timesteps(len(clean), scheduler.config.num_train_timesteps, generator)
    steps = steps.to(clean.device)
    predicted = predict(scheduler.add_noise(clean, noise, steps), steps)
    error = predicted.float() - target(scheduler, clean, noise, steps)
    shared = error.mean(1, keepdim=True)
    squares = [part.square().flatten(1).mean(1) for part in (shared, error - shared)]
    return (squares[0] + motion_weight * squares[1]) * weights(scheduler, steps, min_snr)
