"""The encoder from video to BOLD: a plain module, which knows neither files nor configuration."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from boldreel.methods.video_decoder import Shape

_SMALLEST = 4  # pixels, where convolutions end


class VideoEncoder(nn.Module):
    """Clips (n, 3, frames, side, side) in [-1, 1] to the BOLD that follows them, (n, outputs) in z units."""

    def __init__(self, shape: Shape, outputs: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for level in range(1, shape.levels + 1):
            after = shape.channels(level)
            layers += [
                nn.Conv3d(before, after, (1, 4, 4), (1, 2, 2), (0, 1, 1)),
                nn.GroupNorm(math.gcd(8, after), after),
                nn.LeakyReLU(0.2),
            ]
            before = after
        layers += [nn.Conv3d(before, before, (3, 1, 1), padding=(1, 0, 0)), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers)
        self.latent = nn.Linear(before * shape.frames * _SMALLEST**2, shape.latent)
        self.outputs = nn.Linear(shape.latent, outputs)

    def forward(self, clips: Tensor) -> Tensor:
        x = self.layers(clips.contiguous(memory_format=torch.channels_last_3d))
        return self.outputs(nn.functional.leaky_relu(self.latent(x.flatten(1)), 0.2))


@dataclass(frozen=True)
class Reader:
    """Ridge regression from BOLD to codes, on one device.

    weight : (outputs, code). bias : (code,).
    """

    weight: Tensor
    bias: Tensor

    def __call__(self, bold: Tensor) -> Tensor:
        """Codes (n, code) of BOLD (n, outputs)."""
        return bold @ self.weight + self.bias
