"""The generator's discriminators: plain modules, which know neither files nor configuration.

Clips are (n, 3, frames, side, side) in [-1, 1], side a power of two from 8 on.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from boldreel.methods.video_decoder import Generator, Shape


class Discriminator(nn.Module):
    """Frames or clips with their condition to scores (n,), by projection (Miyato and Koyama 2018).

    clips : whether it sees whole clips, or each frame for itself.
    """

    def __init__(self, shape: Shape, clips: bool) -> None:
        super().__init__()
        self.clips = clips
        layers: list[nn.Module] = []
        before = 3
        for level in range(shape.levels):
            after = shape.channels(level + 1)
            conv: nn.Module
            if clips:
                conv = nn.Conv3d(before, after, (3, 4, 4), (1, 2, 2), 1)
            else:
                conv = nn.Conv2d(before, after, 4, 2, 1)
            layers += [spectral_norm(conv), nn.LeakyReLU(0.2)]
            before = after
        self.layers = nn.Sequential(*layers)
        self.score = spectral_norm(nn.Linear(before, 1))
        self.condition = spectral_norm(nn.Linear(shape.code, before, bias=False))

    def forward(self, clips: Tensor, code: Tensor) -> Tensor:
        if not self.clips:
            frames = clips.shape[2]
            clips = clips.transpose(1, 2).flatten(0, 1)
            code = code.repeat_interleave(frames, dim=0)
        seen = self.layers(clips)
        seen = seen.flatten(2).mean(2)
        return self.score(seen)[:, 0] + (self.condition(code) * seen).sum(1)


class VideoGan(nn.Module):
    """A generator and its two discriminators, trained as one module."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.generator = Generator(shape)
        self.of_frames = Discriminator(shape, clips=False)
        self.of_clips = Discriminator(shape, clips=True)

    @property
    def discriminators(self) -> list[nn.Module]:
        """Both discriminators."""
        return [self.of_frames, self.of_clips]

    def forward(self, code: Tensor) -> Tensor:
        """The generator's clips."""
        return self.generator(code)
