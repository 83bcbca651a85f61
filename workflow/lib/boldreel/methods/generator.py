"""A generator of short videos from codes, which `cvgan` and `selfsupervised` train in their own ways.

A plain module, which knows neither files nor configuration. Clips are (n, 3, frames, side, side) in [-1, 1],
side a power of two from 8 on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from boldreel.data.frames import resize

_SMALLEST = 4  # pixels, where the generator begins


@dataclass(frozen=True)
class Shape:
    """code : numbers of a condition. frames, side : of a clip. latent, width : see `Settings`."""

    code: int
    frames: int
    side: int
    latent: int
    width: int

    @property
    def levels(self) -> int:
        """How often the side doubles from the smallest."""
        levels = math.log2(self.side / _SMALLEST)
        if levels < 1 or levels != int(levels):
            raise ValueError(f"clips of {self.side} pixels; a power of two from 8 on is needed")
        return int(levels)

    def channels(self, level: int) -> int:
        """Channels where the side has halved `level` times."""
        return self.width * 2 ** min(level, 2)


class Generator(nn.Module):
    """Conditions (n, code) to clips."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        first = shape.channels(shape.levels)
        self.encoder = nn.Sequential(
            nn.Linear(shape.code, shape.latent),
            nn.LeakyReLU(0.2),
            nn.Linear(shape.latent, shape.latent),
        )
        # The straight way keeps what ridge regression found, whatever the layers make of it.
        self.straight = nn.Linear(shape.code, shape.latent)
        self.begin = nn.Linear(shape.latent, first * shape.frames * _SMALLEST**2)
        blocks = []
        for level in range(shape.levels, 0, -1):
            wide, narrow = shape.channels(level), shape.channels(level - 1)
            blocks.append(
                nn.Sequential(
                    nn.Upsample(scale_factor=(1, 2, 2)),
                    # space, then time: a third of the cost of both at once
                    nn.Conv3d(wide, narrow, (1, 3, 3), padding=(0, 1, 1)),
                    nn.Conv3d(narrow, narrow, (3, 1, 1), padding=(1, 0, 0)),
                    nn.GroupNorm(math.gcd(8, narrow), narrow),
                    nn.LeakyReLU(0.2),
                )
            )
        self.blocks = nn.Sequential(*blocks)
        self.end = nn.Conv3d(shape.channels(0), 3, (1, 3, 3), padding=(0, 1, 1))

    def forward(self, code: Tensor) -> Tensor:
        latent = self.encoder(code) + self.straight(code)
        x = self.begin(latent)
        x = x.reshape(len(code), -1, self.shape.frames, _SMALLEST, _SMALLEST)
        x = x.contiguous(memory_format=torch.channels_last_3d)
        return torch.tanh(self.end(self.blocks(x)))


def scaled(frames: np.ndarray) -> torch.Tensor:
    """uint8 (n, F, h, w, 3) to (n, 3, F, h, w) in [-1, 1]."""
    return torch.from_numpy(frames).permute(0, 4, 1, 2, 3).float() / 127.5 - 1


def squares(clips: np.ndarray, side: int) -> np.ndarray:
    """Clips (n, F, h, w, 3) at `side` x `side` pixels."""
    return np.stack([resize(clip, (side, side)) for clip in clips])


@torch.inference_mode()
def draw(generator: torch.nn.Module, code: np.ndarray, device: torch.device) -> np.ndarray:
    """uint8 clips (n, F, side, side, 3), one at a time, so that none depends on its company."""
    generator.eval()
    made = []
    for row in torch.from_numpy(code).to(device):
        clip = (generator(row[None])[0] + 1) * 127.5
        made.append(clip.round().clamp(0, 255).byte().permute(1, 2, 3, 0).cpu().numpy())
    return np.stack(made)
