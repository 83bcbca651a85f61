"""Sample strips: held-out clips, the truth over what the generator makes of their condition.

Takes a network and clip material; returns a picture for each validation of a training, and how much
samples change between frames.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from boldreel.base_models import diffusion
from boldreel.data import atomic
from boldreel.generator import sampling
from boldreel.generator.backbones import Backbone, Sampling
from boldreel.generator.clip_latents import ClipMaterial
from boldreel.generator.settings import Strip


def frame_change(frames: np.ndarray) -> float:
    """Mean absolute difference of neighbouring frames (clips, frames, ...), in gray levels."""
    values = frames.astype(np.float32)
    return float(np.abs(values[:, 1:] - values[:, :-1]).mean())


class SampleStrip:
    """Draws the same held-out clips after each validation, and once more at the end.

    Parameters
    ----------
    base_folder : the diffusion model.
    backbone : the network that is tuned.
    material, rows : clips, and which of them are drawn.
    conditions : to the conditions (clips, ...) of these rows and the negative (...), as they are now.
    state : folder in which pictures wait for the training's end, `epoch-NNN.png`.
    """

    def __init__(
        self,
        base_folder: Path,
        backbone: Backbone,
        settings: Strip,
        seed: int,
        material: ClipMaterial,
        rows: Sequence[int],
        conditions: Callable[[], tuple[torch.Tensor, torch.Tensor]],
        state: Path,
    ) -> None:
        self.folder = base_folder
        self.backbone = backbone
        self.settings = settings
        self.seed = seed
        self.material = material
        self.rows = rows
        self.conditions = conditions
        self.state = state
        self._truth: np.ndarray | None = None

    @torch.inference_mode()
    def draw(self, device: torch.device) -> tuple[np.ndarray, np.ndarray]:
        """uint8 (truth, samples), each (clips, frames, height, width, 3); truth went through the VAE."""
        vae = diffusion.load_vae(self.folder).to(device)
        if self._truth is None:
            latents = np.stack([self.material.latents[i] for i in self.rows]).astype(np.float32)
            self._truth = sampling.to_pixels(vae, torch.from_numpy(latents).to(device))
        condition, negative = self.conditions()
        self.backbone.negative = negative.float().cpu().numpy()
        settings = self.settings
        drawn = self.backbone.draw(
            self.backbone.scheduler(self.folder, settings.scheduler, None),
            condition.to(device),
            [sampling.clip_generator(self.seed, self.material.clips[i]) for i in self.rows],
            Sampling(settings.steps, settings.guidance, settings.guided_share),
        )
        return self._truth, sampling.to_pixels(vae, drawn)

    def save(self, epoch: int, device: torch.device) -> None:
        """Keeps the strip of an epoch with the training's state."""
        write_strip(self.state / _name(epoch), *self.draw(device))

    def export(self, target: Path, epochs: int) -> None:
        """Copies the strips of this many epochs, and of the start, to a folder."""
        with atomic.folder(target) as aside:
            aside.mkdir(parents=True, exist_ok=True)
            for epoch in range(epochs + 1):
                shutil.copyfile(self.state / _name(epoch), aside / _name(epoch))


def _name(epoch: int) -> str:
    return f"epoch-{epoch:03d}.png"


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
