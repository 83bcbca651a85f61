"""The losses that the video network is tuned with.

Takes a prediction function and clean latents; returns the loss of each clip. Frames that start from the
same noise would never part, if the network trusted that what looks alike is alike: so in training the
frames of noisy clips are brought together (`still`), and the network has to predict each all the same.
It thereby learns to set a standing clip in motion. What a clip shows is decided at high noise, how it
moves at low noise: above `Inflation.image_above` the network sees single frames only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from boldreel.generator.noise import clip_noise, spread_timesteps, target, weights
from boldreel.models.video_unet import Inflation, middle_frame

Predict = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class LossOptions:
    """How the noise loss is weighed; the defaults are the plain mean square.

    min_snr : gamma of min-SNR weighting, None for none.
    motion_weight : weight of the part of the error that sets frames apart.
    still_share : share of clips that are shown standing still, see `still`.
    """

    min_snr: float | None = None
    motion_weight: float = 1.0
    still_share: float = 0.0


class Part(NamedTuple):
    """The rows of a batch that one of several processes has.

    Random numbers are drawn for the whole batch, so that any number of processes trains alike.

    of : clips of the whole batch
    """

    of: int
    rows: slice = slice(None)


def still(
    scheduler: Any,
    clean: Tensor,
    noise: Tensor,
    timesteps: Tensor,
    share: float,
    generator: torch.Generator,
    part: Part | None = None,
) -> Tensor:
    """Noise that hides how frames differ: with it, noisy frames look as if the clip stood still.

    A share of the clips stands still, frames of the others differ by a part, uniform from 0 to 1, of
    what they do: their noisy latents are those of m + p (x - m), where m is the middle frame. What is
    to be predicted remains x, so the noise, as the network is to see it, takes up the difference.

    Parameters
    ----------
    clean, noise : (clips, frames, c, h, w).
    share : of clips that stand still; 0 leaves the noise of all clips as it is.
    """
    if share == 0:
        return noise
    part = part or Part(len(clean))
    drawn = torch.rand((2, part.of), generator=generator)[:, part.rows].to(clean)
    left = torch.where(drawn[0] < share, torch.zeros_like(drawn[1]), drawn[1])
    signal = scheduler.alphas_cumprod.to(clean)[timesteps]
    hidden = (1 - left) * (signal / (1 - signal)).sqrt()
    apart = clean - middle_frame(clean)
    return noise - hidden.reshape(-1, 1, 1, 1, 1) * apart


def noise_loss(
    predict: Predict,
    scheduler: Any,
    clean: Tensor,
    correlation: float,
    generator: torch.Generator,
    options: LossOptions,
    span: tuple[int, int] | None = None,
    part: Part | None = None,
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
    span : first timestep, and the one after the last; None is all.
    part : which rows of the batch these are.
    """
    part = part or Part(len(clean))
    noise = clip_noise((part.of, *clean.shape[1:]), correlation, generator)[part.rows].to(clean)
    span = span or (0, scheduler.config.num_train_timesteps)
    steps = spread_timesteps(part.of, span, generator)[part.rows].to(clean.device)
    noise = still(scheduler, clean, noise, steps, options.still_share, generator, part)
    predicted = predict(scheduler.add_noise(clean, noise, steps), steps)
    error = predicted.float() - target(scheduler, clean, noise, steps)
    shared = error.mean(1, keepdim=True)
    squares = [part.square().flatten(1).mean(1) for part in (shared, error - shared)]
    total = squares[0] + options.motion_weight * squares[1]
    return total * weights(scheduler, steps, options.min_snr)


def video_loss(
    predict: Predict,
    scheduler: Any,
    clean: Tensor,
    inflation: Inflation,
    generator: torch.Generator,
    options: LossOptions,
    part: Part | None = None,
) -> Tensor:
    """Loss (clips,) of a network of this inflation: of clips, and of single frames at high noise.

    Parameters
    ----------
    clean : latents (clips, frames, channels, height, width).
    part : which rows of the batch these are.
    """
    correlation, above = inflation.noise_correlation, inflation.image_above
    if above is None:
        return noise_loss(predict, scheduler, clean, correlation, generator, options, part=part)
    last = scheduler.config.num_train_timesteps
    below = (0, above + 1)
    moving = noise_loss(predict, scheduler, clean, correlation, generator, options, below, part)
    picture = noise_loss(
        predict,
        scheduler,
        middle_frame(clean),
        correlation,
        generator,
        LossOptions(),
        (above + 1, last),
        part,
    )
    return moving + picture
