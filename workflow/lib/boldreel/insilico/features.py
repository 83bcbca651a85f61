"""What the visual system is taken to compute from a movie.

Takes frames and the labels of what they show; returns time courses of features in blocks: local
contrast, luminance, opponent colours, oriented energy and flicker on a coarse map of the visual
field, the moving object's position, the labels, and latent ones that no label names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from boldreel.insilico import world
from boldreel.insilico.seeding import generator

GRID = 6  # cells of the visual field along a side
INTERVAL = 0.5  # s between samples of a time course
FRAME_RATE = 4.0  # two frames an interval, so that motion can be seen inside it
LATENTS = 8  # features a group that no label names
PLACES = 4  # bumps along a side that tell the object's position


class Block(NamedTuple):
    """A block of features: channels, and whether each channel is a map of GRID x GRID cells."""

    channels: int
    mapped: bool

    @property
    def size(self) -> int:
        return self.channels * (GRID * GRID if self.mapped else 1)


GROUPS = ("early", "ventral", "motion", "dorsal")
LABELS: dict[str, tuple[str, ...]] = {
    "object": world.CLASSES,
    "colour": world.COLOURS,
    "background": world.BACKGROUNDS,
    "motion": world.MOTIONS,
    "size": world.SIZES,
}
BLOCKS: dict[str, Block] = {
    "contrast": Block(1, True),
    "luminance": Block(1, True),
    "opponent": Block(2, True),
    "orientation": Block(4, True),
    "flicker": Block(1, True),
    "position": Block(PLACES * PLACES, False),
    **{name: Block(len(values), False) for name, values in LABELS.items()},
    "object_background": Block(len(world.CLASSES) * len(world.BACKGROUNDS), False),
    **{f"nuisance_{group}": Block(LATENTS, False) for group in GROUPS},
}


def block_of_feature() -> np.ndarray:
    """Number of the block to which each feature belongs, int (n_features,)."""
    return np.repeat(np.arange(len(BLOCKS)), [block.size for block in BLOCKS.values()])


def _pooling(side: int) -> np.ndarray:
    """Matrix (GRID, side) of means over the cells, with fractions of pixels at their borders."""
    edges = np.linspace(0, side, GRID + 1)
    pixel = np.arange(side)
    overlap = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    weights = np.clip(overlap, 0, None)
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


def _pool(images: np.ndarray) -> np.ndarray:
    """Means (n, GRID * GRID) over the cells of images (n, height, width)."""
    rows, columns = _pooling(images.shape[1]), _pooling(images.shape[2])
    return np.matmul(np.matmul(rows, images), columns.T).reshape(len(images), -1)


def _halves(values: np.ndarray) -> np.ndarray:
    """Means over the two frames of every interval."""
    return (values[0::2] + values[1::2]) / 2


def seen(frames: np.ndarray) -> np.ndarray:
    """Features that are computed from the pixels.

    Parameters
    ----------
    frames : uint8 (2 n, height, width, 3) at FRAME_RATE

    Returns
    -------
    float32 (n_features, n): blocks contrast to position, in BLOCKS' order.
    """
    rgb = frames.astype(np.float32) / 255
    luminance = rgb @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    mean = _pool(luminance)
    contrast = np.sqrt(np.maximum(_pool(luminance**2) - mean**2, 0))
    red_green = _pool(rgb[..., 0] - rgb[..., 1])
    blue_yellow = _pool(rgb[..., 2] - (rgb[..., 0] + rgb[..., 1]) / 2)
    down, right = np.gradient(luminance, axis=(1, 2))
    oriented = [
        np.sqrt(_pool((np.cos(angle) * right + np.sin(angle) * down) ** 2))
        for angle in np.arange(4) * np.pi / 4
    ]
    change = np.abs(luminance[1::2] - luminance[0::2])
    # An object may be as bright as its background: any colour's change tells where it is.
    moved = np.abs(rgb[1::2] - rgb[0::2]).max(-1)
    maps = [contrast, mean, red_green, blue_yellow, *oriented]
    return np.concatenate(
        [*[_halves(part) for part in maps], _pool(change), position(moved)], axis=1
    ).T.astype(np.float32)


def position(change: np.ndarray) -> np.ndarray:
    """Where the moving object is, as bumps on a grid.

    Parameters
    ----------
    change : float32 (n, height, width), absolute change of a pixel within an interval

    Returns
    -------
    (n, PLACES * PLACES) in 0..1; row by row from the upper left.
    """
    # Fourth power: the object's edges count, slow drifts of the background do not.
    weight = change.astype(np.float64) ** 4 + 1e-18
    weight /= weight.sum((1, 2), keepdims=True)
    bumps = (np.arange(PLACES) + 0.5) / PLACES
    parts = []
    for axis in (2, 1):
        # Summed over columns, rows are left, and the other way round.
        side = change.shape[3 - axis]
        centre = weight.sum(axis) @ (np.arange(side) + 0.5) / side
        parts.append(np.exp(-((centre[:, None] - bumps) ** 2) / (2 * (0.6 / PLACES) ** 2)))
    return (parts[0][:, :, None] * parts[1][:, None, :]).reshape(len(change), -1)


def named(rows: Sequence[Mapping[str, Any]], movie: str, n: int, seed: int) -> np.ndarray:
    """Features that follow from what a shot shows: its labels and the latent ones.

    Parameters
    ----------
    rows : annotations of the movie's shots (onset, duration, shot, and a label for each of LABELS)
    n : samples to leave

    Returns
    -------
    float32 (n_features, n): blocks object to nuisance_dorsal, in BLOCKS' order.
    """
    middle = (np.arange(n) + 0.5) * INTERVAL
    parts = []
    for row in rows:
        onset = float(row["onset"])
        shown = (middle >= onset) & (middle < onset + float(row["duration"]))
        hot = {
            name: np.array([value == row[name] for value in values], dtype=np.float32)
            for name, values in LABELS.items()
        }
        pair = np.outer(hot["object"], hot["background"]).ravel()
        latent = generator(seed, "latent", movie, row["shot"]).standard_normal(
            LATENTS * len(GROUPS)
        )
        parts.append(np.outer(np.concatenate([*hot.values(), pair, latent]), shown))
    return np.asarray(np.sum(parts, axis=0), dtype=np.float32)
