"""From responses to clips by way of codes, as `cvgan` and `selfsupervised` do it, each with its own training.

Takes codes or responses; returns uint8 clips. The generator's clips are (n, 3, frames, side, side) in
[-1, 1], side a power of two from 8 on. The folder of a trained decoder is `model.safetensors` and
`config.json`.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from boldreel.data import atomic
from boldreel.data.frames import resize
from boldreel.errors import UserError
from boldreel.methods.latent_codes import Encoder
from boldreel.stats.correlation import standardised
from boldreel.stats.identification import pooled_two_way

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


@dataclass(frozen=True)
class VideoDecoder:
    """Encoder and generator, with what the movies are like: responses to clips.

    size : height and width in pixels of the movies. frame_rate : frames per second.
    """

    encoder: Encoder
    generator: Generator
    size: tuple[int, int]
    frame_rate: float

    def clips(self, x: np.ndarray, device: torch.device) -> np.ndarray:
        """uint8 clips (n, F, height, width, 3) of responses (n, window, positions)."""
        drawn = draw(self.generator.to(device), self.encoder(x), device)
        return np.stack([resize(clip, self.size) for clip in drawn])

    def save_pretrained(self, folder: Path | str) -> None:
        """Write the folder in one step."""
        from safetensors.torch import save_file

        tensors = {f"generator.{k}": v.contiguous() for k, v in self.generator.state_dict().items()}
        for name in ("used", "weight", "bias", "scale"):
            value = np.ascontiguousarray(getattr(self.encoder, name))
            tensors[f"encoder.{name}"] = torch.from_numpy(value)
        about = {
            "shape": asdict(self.generator.shape),
            "size": list(self.size),
            "frame_rate": self.frame_rate,
        }
        with atomic.folder(folder) as aside:
            save_file(tensors, aside / "model.safetensors")
            atomic.write_text(aside / "config.json", json.dumps(about, indent=1) + "\n")

    @classmethod
    def from_pretrained(cls, folder: Path | str) -> VideoDecoder:
        """Read what `save_pretrained` wrote; UserError if it is not there."""
        from safetensors.torch import load_file

        folder = Path(folder)
        if not (folder / "model.safetensors").exists():
            raise UserError(f"{folder}: no model that draws; run its method's train step")
        about = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        parts: dict[str, dict[str, torch.Tensor]] = {"generator": {}, "encoder": {}}
        for name, value in load_file(folder / "model.safetensors").items():
            part, _, key = name.partition(".")
            parts[part][key] = value
        generator = Generator(Shape(**about["shape"]))
        generator.load_state_dict(parts["generator"])
        encoder = Encoder(**{name: value.numpy() for name, value in parts["encoder"].items()})
        height, width = about["size"]
        return cls(encoder, generator.eval(), (height, width), about["frame_rate"])


def two_way(made: np.ndarray, true: np.ndarray) -> float:
    """How often a clip's pixels correlate better with its own truth than with another one's; .5 by chance.

    Epochs are chosen by it. The judges of the evaluation are not asked, so that nothing is tuned to them.

    Parameters
    ----------
    made, true : uint8 (n, F, h, w, 3). Truths that are equal to a clip's own are no distractors; ties count
        one half.
    """
    a, b = (
        standardised(clips.reshape(len(clips), -1).astype(np.float64)) for clips in (made, true)
    )
    other = np.abs(b @ b.T) < 1 - 1e-6
    return pooled_two_way(a @ b.T, other, np.arange(len(a)))
