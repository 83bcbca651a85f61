"""The sample strip: held-out clips, the truth over what the generator makes of their condition.

Takes a tuned network and clip material; leaves a picture and how much samples change between frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from boldreel.data import atomic
from boldreel.generator import base, sampling
from boldreel.generator.material import ClipMaterial
from boldreel.generator.settings import Strip

if TYPE_CHECKING:
    from boldreel.generator.video_unet import VideoUNet


def frame_change(frames: np.ndarray) -> float:
    """Mean absolute difference of neighbouring frames (clips, frames, ...), in gray levels."""
    values = frames.astype(np.float32)
    return float(np.abs(values[:, 1:] - values[:, :-1]).mean())


def draw_samples(
    network: VideoUNet,
    folder: Path,
    material: ClipMaterial,
    rows: Sequence[int],
    negative: torch.Tensor,
    chosen: Strip,
    seed: int,
    device: torch.device,
) -> tuple[np.ndarray, np.ndarray]:
    """uint8 (truth, samples), each (clips, frames, height, width, 3); the truth went through the VAE."""
    latents, condition = material.draw(rows)
    vae = base.load_vae(folder).to(device)
    scheduler = base.load_scheduler(folder, chosen.scheduler)
    drawn = sampling.sample(
        network,
        scheduler,
        condition.to(device),
        negative,
        [sampling.clip_generator(seed, material.clips[i]) for i in rows],
        frames=latents.shape[1],
        size=(latents.shape[3], latents.shape[4]),
        steps=chosen.steps,
        guidance=chosen.guidance,
        guided_share=chosen.guided_share,
    )
    truth = sampling.to_pixels(vae, latents.to(device))
    return truth, sampling.to_pixels(vae, drawn)


def write_strip(path: Path, truth: np.ndarray, samples: np.ndarray, gap: int = 2) -> None:
    """PNG of two columns of clips; each clip is a row of true frames over a row of samples."""
    from PIL import Image

    tiles = []
    for pair in zip(truth, samples, strict=True):
        rows = [np.concatenate(list(clip), axis=1) for clip in pair]
        tile = np.concatenate(rows, axis=0)
        tiles.append(np.pad(tile, ((0, 2 * gap), (0, 2 * gap), (0, 0)), constant_values=255))
    if len(tiles) % 2:
        tiles.append(np.full_like(tiles[0], 255))
    lines = [np.concatenate(tiles[i : i + 2], axis=1) for i in range(0, len(tiles), 2)]
    with atomic.file(path) as aside:
        Image.fromarray(np.concatenate(lines, axis=0)).save(aside, format="PNG")
