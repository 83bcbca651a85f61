"""The corpus that the base models learn from: single frames and clips of the embedded world.

Takes a seed and a number of items; returns memory-mapped uint8 arrays with their labels. Training
items never show a HELD_OUT pair of object and colour; test items come from other seeds, and those
with HELD_OUT pairs are a set of their own.

Some pictures teach shape without colour and colour without shape: objects painted in colours that have
no name in the world, with channels mixed at random, or cut into cells and shuffled. In the corpus some
pairs of class and colour never occur: a classifier that sees only true pictures learns that what is red
is no ball, and fails on the first red ball. None of these pictures shows a HELD_OUT pair.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from boldreel.data import atomic
from boldreel.insilico.sprites import blob, coverage
from boldreel.insilico.world import (
    BACKGROUNDS,
    CLASSES,
    COLOURS,
    FRAME_SIZE,
    MOTIONS,
    RGB,
    SIZES,
    Scene,
    render_masked_shot,
    sample_scene,
)
from boldreel.training.progress import Progress

# Column order of ``Corpus.labels``.
FACTORS: dict[str, tuple[str, ...]] = {
    "object": CLASSES,
    "colour": COLOURS,
    "background": BACKGROUNDS,
    "motion": MOTIONS,
    "size": SIZES,
}
# A clip is what a subject sees in one volume: 2 s at the 3 frames per second of the stimuli stage.
CLIP_FRAMES, CLIP_FPS = 6, 3.0

# A colour nearer than this to a named one (distance in the RGB cube of side 1) is not painted.
UNNAMED_DISTANCE = 0.33


@dataclass(frozen=True)
class Corpus:
    """Rendered items with what they show.

    frames : uint8 (n, n_frames, 64, 64, 3), RGB; n_frames is 1 for single frames.
    masks : uint8 (n, n_frames, 64, 64), how much of a pixel the object covers.
    labels : int64 (n, 5), indices into the lists of FACTORS.
    """

    frames: np.ndarray
    masks: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, n_items: int) -> Corpus:
        """The first ``n_items`` items."""
        return Corpus(self.frames[:n_items], self.masks[:n_items], self.labels[:n_items])

    def scene(self, index: int) -> Scene:
        """The scene that item ``index`` shows."""
        words = [names[i] for names, i in zip(FACTORS.values(), self.labels[index], strict=True)]
        return Scene(*words)

    def captions(self) -> list[str]:
        """The full caption of every item."""
        return [self.scene(index).caption for index in range(len(self))]


def build(
    folder: Path,
    n_items: int,
    n_frames: int,
    seed: int,
    held_out: bool,
    name: str,
    blobs: bool = False,
    longest: int = 1,
) -> Corpus:
    """Render a corpus into ``folder``, or map it if it is there already.

    Parameters
    ----------
    n_items, n_frames : number of items and frames of each (1, or CLIP_FRAMES at CLIP_FPS).
    seed : the items of different seeds share nothing but the photographs.
    held_out : whether all items show HELD_OUT pairs; if not, none does.
    blobs : whether random shapes that are no class stand in place of objects, whose label is then -1.
    longest : each item is part of a shot that is up to so many times as long, so that its object may be
        anywhere in the frame.
    """
    recipe = {"n": n_items, "n_frames": n_frames, "seed": seed, "held_out": held_out}
    recipe |= {"blobs": True} if blobs else {}
    recipe |= {"longest": longest} if longest > 1 else {}
    done = folder / "recipe.json"
    if not (done.exists() and json.loads(done.read_text()) == recipe):
        with atomic.folder(folder) as aside:
            rng = np.random.default_rng(seed)
            _render(aside, n_items, n_frames, rng, held_out, name, blobs, longest)
            (aside / "recipe.json").write_text(json.dumps(recipe))
    return Corpus(
        np.load(folder / "frames.npy", mmap_mode="r"),
        np.load(folder / "masks.npy", mmap_mode="r"),
        np.load(folder / "labels.npy"),
    )


def _render(
    folder: Path,
    n: int,
    n_frames: int,
    rng: np.random.Generator,
    held_out: bool,
    name: str,
    blobs: bool,
    longest: int,
) -> None:
    sides = (n, n_frames, FRAME_SIZE, FRAME_SIZE)
    frames = np.lib.format.open_memmap(folder / "frames.npy", "w+", np.uint8, (*sides, 3))
    masks = np.lib.format.open_memmap(folder / "masks.npy", "w+", np.uint8, sides)
    labels = np.zeros((n, len(FACTORS)), dtype=np.int64)
    progress = Progress(n, f"corpus {name}", unit="items")
    for i in range(n):
        scene = sample_scene(rng, held_out=held_out)
        shape = blob(rng) if blobs else coverage
        at, times = 0, 1
        if longest > 1:
            times = int(rng.integers(1, longest + 1))
            at = int(rng.integers(times)) * n_frames
        shot = render_masked_shot(scene, n_frames * times, CLIP_FPS, rng, silhouette=shape)
        frames[i], masks[i] = (part[at : at + n_frames] for part in shot)
        labels[i] = [names.index(getattr(scene, key)) for key, names in FACTORS.items()]
        labels[i, 0] = -1 if blobs else labels[i, 0]
        progress.update()
    frames.flush()
    masks.flush()
    np.save(folder / "labels.npy", labels)


def to_tensor(frames: np.ndarray) -> torch.Tensor:
    """uint8 (n, height, width, 3) to float32 (n, 3, height, width) in -1..1, channels last."""
    pixels = torch.from_numpy(np.array(frames)).permute(0, 3, 1, 2).float()
    return (pixels / 127.5 - 1).contiguous(memory_format=torch.channels_last)


def to_uint8(pixels: torch.Tensor) -> np.ndarray:
    """float (n, 3, height, width) in -1..1 to uint8 (n, height, width, 3)."""
    scaled = ((pixels.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    return scaled.permute(0, 2, 3, 1).contiguous().numpy()


def unnamed_colours(rng: np.random.Generator, n: int) -> np.ndarray:
    """n random colours (n, 3) in 0..1, none of which the world has a name for."""
    named = np.array(list(RGB.values()))
    found: list[np.ndarray] = []
    while len(found) < n:
        colour = rng.random(3)
        if np.linalg.norm(named - colour, axis=1).min() > UNNAMED_DISTANCE:
            found.append(colour)
    return np.stack(found)


def paint(pixels: torch.Tensor, masks: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
    """Paint each object in one unnamed colour.

    Parameters
    ----------
    pixels : float (n, ..., 3, height, width) in -1..1.
    masks : uint8 (n, ..., height, width), how much of a pixel the object covers.
    """
    ink = torch.from_numpy(unnamed_colours(rng, len(pixels)) * 2 - 1).float()
    ink = ink.view(len(pixels), *[1] * (pixels.ndim - 4), 3, 1, 1)
    cover = torch.from_numpy(np.array(masks)).float().unsqueeze(-3) / 255
    return pixels + cover * (ink - pixels)


def recolour(pixels: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Permute, invert and mix the channels of each picture or clip by a matrix of its own.

    Parameters
    ----------
    pixels : float (n, ..., 3, height, width) in -1..1.
    """
    n = len(pixels)
    mix = np.stack([np.eye(3)[rng.permutation(3)] for _ in range(n)])
    mix *= rng.choice([-1.0, 1.0], size=(n, 3, 1)) * rng.uniform(0.7, 1.1, size=(n, 3, 1))
    mix += rng.normal(0, 0.1, size=(n, 3, 3))
    mixed = torch.einsum("nij,n...jhw->n...ihw", torch.from_numpy(mix).float(), pixels)
    return mixed.clamp(-1, 1)


def shuffle_cells(pixels: torch.Tensor, rng: np.random.Generator, cell: int = 8) -> torch.Tensor:
    """Cut pictures (n, 3, height, width) into cells and put these together in another order."""
    side = pixels.shape[-1] // cell
    cells = torch.nn.functional.unfold(pixels.contiguous(), cell, stride=cell)
    order = torch.from_numpy(rng.permutation(side * side))
    return torch.nn.functional.fold(cells[..., order], pixels.shape[-2:], cell, stride=cell)
