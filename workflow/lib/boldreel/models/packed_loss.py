"""What a packed video network is trained with.

Takes clips and what is known of them; returns the loss of each clip, or clips. In training a clip stands for
one of two tasks: its content is noisy, or its motion is, next to the content. Motion is mostly learnt
from pure noise: from there one step gives the motion that is expected of a content, which moves little where
the direction is in doubt, and does not flicker.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from boldreel.models.packed_video import PackedVideo

# Share of clips whose motion is noisy, and of these the share that is nothing but noise.
MOTION_SHARE, PURE_SHARE = 0.5, 0.6
# Noise at most that contents have when their motion is learnt: drawn contents are not as clean as true ones.
ROUGH = 0.3
# How much more the cells count that move most.
MOVING = 4.0


@dataclass(frozen=True)
class Batch:
    """latents (n, F, c, h, w); known (n, 2, K); moving (n, 1, h, w), how much each cell moves, 0 to 1."""

    latents: Tensor
    known: Tensor
    moving: Tensor

    @classmethod
    def of(cls, latents: Tensor, known: Tensor, sketch: Tensor) -> Batch:
        """With sketches (n, 4, 8, 8) of the clips (`models.sketch`)."""
        moving = interpolate(sketch[:, 3:], latents.shape[3:], mode="nearest-exact")
        return cls(latents, known, moving)


def packed_loss(
    network: Any,
    packing: Any,
    signal: Tensor,
    batch: Batch,
    generator: torch.Generator,
    max_snr: float | None = 5.0,
    rows: slice = slice(None),
    whole: int | None = None,
) -> Tensor:
    """Weighted squared error of velocities (n,), in content and motion alike.

    Parameters
    ----------
    network : a `PackedVideo`, or what wraps it. packing : its `Packing`.
    signal : (T,), share of the signal's power at each timestep.
    generator : of tasks, timesteps and noise, on the CPU.
    max_snr : signal-to-noise ratio above which a timestep's weight falls for the content: nearly clean
        contents teach texture only (min-SNR, Hang et al. 2023, here for velocities); None for no weights.
    rows, whole : which rows of a batch of so many these are; random numbers are drawn for all of it.
    """
    n = whole or len(batch.latents)
    device = batch.latents.device
    clean = packing.pack(batch.latents)
    channels, count = packing.channels, len(signal)
    noise = torch.randn((n, *clean.shape[1:]), generator=generator)[rows].to(clean)
    order = torch.randperm(n, generator=generator)
    steps = ((order + torch.rand((), generator=generator)) / n * count).long().clamp(max=count - 1)
    task = torch.rand(n, generator=generator)
    rough = ROUGH * torch.rand(n, 1, 1, 1, generator=generator)
    steps = torch.where(task < MOTION_SHARE * PURE_SHARE, count - 1, steps)[rows].to(device)
    moving, rough = (task < MOTION_SHARE)[rows].to(device), rough[rows].to(clean)
    level = signal.to(clean)[steps].view(-1, 1, 1, 1)
    noisy = level.sqrt() * clean + (1 - level).sqrt() * noise
    given = clean[:, :channels] + rough * noise[:, :channels]
    at_content = torch.where(moving.view(-1, 1, 1, 1), given, noisy[:, :channels])
    seen = torch.cat([at_content, noisy[:, channels:]], dim=1)
    velocity = level.sqrt() * noise - (1 - level).sqrt() * clean
    error = (network(seen, moving, steps, batch.known).float() - velocity).square()
    snr = level / (1 - level)
    weight = torch.ones_like(level)
    if max_snr is not None:
        weight = ((max_snr + 1) / (snr + 1)).clamp(max=1)
    near = 1 + MOVING * batch.moving
    content = (weight * near * error[:, :channels]).flatten(1).mean(1)
    motion = (near * error[:, channels:]).flatten(1).mean(1)
    return torch.where(moving, motion, content)


@torch.inference_mode()
def draw(
    network: PackedVideo,
    scheduler: Any,
    known: Tensor,
    generators: list[torch.Generator],
    *,
    size: tuple[int, int],
    steps: int,
    guidance: float = 1.0,
    guided_share: float = 1.0,
) -> Tensor:
    """Latents (n, F, c, h, w) of clips of which this is known.

    Parameters
    ----------
    scheduler : a diffusers scheduler with the noise levels of training, which predicts velocities.
    known : (n, 2, K), estimates and their reliabilities.
    generators : one for each clip.
    size : height and width of the latents.
    steps : of the content.
    guidance : away from what is drawn of a clip of which nothing is known; 1 is none.
    guided_share : of the steps, from pure noise on, that are guided.
    """
    config = network.config
    shape = (config.channels + config.motion, *size)
    noise = torch.stack([torch.randn(shape, generator=g) for g in generators]).to(known)
    content, motion = noise.split([config.channels, config.motion], dim=1)
    nothing = torch.zeros_like(known)
    drawing = {}
    if "generator" in inspect.signature(scheduler.step).parameters:
        drawing["generator"] = generators
    scheduler.set_timesteps(steps, device=known.device)
    calls = len(scheduler.timesteps)
    content = content * scheduler.init_noise_sigma
    for number, timestep in enumerate(scheduler.timesteps):
        scale = guidance if number < round(guided_share * calls) else 1.0
        seen = torch.cat([scheduler.scale_model_input(content, timestep), motion], dim=1)
        velocity = _velocity(network, seen, False, timestep, known, nothing, scale)
        content = scheduler.step(
            velocity[:, : config.channels], timestep, content, return_dict=False, **drawing
        )[0]
    last = scheduler.config.num_train_timesteps - 1
    seen = torch.cat([content, motion], dim=1)
    velocity = _velocity(network, seen, True, last, known, nothing, 1.0)
    level = scheduler.alphas_cumprod[last].to(known)
    motion = level.sqrt() * motion - (1 - level).sqrt() * velocity[:, config.channels :]
    return network.packing.unpack(torch.cat([content, motion], dim=1))


def _velocity(
    network: PackedVideo,
    packed: Tensor,
    moving: bool,
    timestep: Tensor | int,
    known: Tensor,
    nothing: Tensor,
    scale: float,
) -> Tensor:
    """Velocities, away from those of nothing known by the scale."""
    flags = torch.full((len(packed),), moving, device=packed.device)
    if scale == 1:
        return network(packed, flags, timestep, known)
    both = network(
        torch.cat([packed, packed]),
        torch.cat([flags, flags]),
        timestep,
        torch.cat([known, nothing]),
    )
    full, empty = both.chunk(2)
    return empty + scale * (full - empty)
