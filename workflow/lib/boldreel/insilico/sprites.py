"""Silhouettes of the objects in the embedded world.

Takes nothing but geometry; returns, per object class, a table of signed distances that can be looked
up at any position, size and tilt. Distances (not masks) give anti-aliased edges at fractions of a
pixel, so that slow motion does not jump from pixel to pixel.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

# Half width of the drawing in object units; the silhouette itself reaches at most 1.
EXTENT = 1.5
# Table samples per object unit: 48 samples over at most 15 pixels, three to a pixel or more.
RESOLUTION = 48


def _polygon(corners: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Even-odd test: which points (x, y) lie inside a closed polygon of corners (n, 2)."""
    inside = np.zeros(x.shape, dtype=bool)
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if y0 == y1:
            continue
        crosses = (y0 > y) != (y1 > y)
        inside ^= crosses & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
    return inside


def _fish(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    body = ((x + 0.28) / 0.72) ** 2 + (y / 0.56) ** 2 < 1
    tail = _polygon(np.array([[0.18, 0.0], [1.0, -0.66], [1.0, 0.66]]), x, y)
    return body | tail


SHAPES = {
    "ball": lambda x, y: x**2 + y**2 < 0.94**2,
    "box": lambda x, y: np.maximum(np.abs(x), np.abs(y)) < 0.86,
    "cross": lambda x, y: (
        (np.maximum(np.abs(x), np.abs(y)) < 0.98) & (np.minimum(np.abs(x), np.abs(y)) < 0.33)
    ),
    "ring": lambda x, y: (x**2 + y**2 < 0.99**2) & (x**2 + y**2 > 0.5**2),
    "triangle": lambda x, y: _polygon(np.array([[0, -0.94], [1.0, 0.82], [-1.0, 0.82]]), x, y),
    "fish": _fish,
}


@cache
def distance_table(shape: str) -> np.ndarray:
    """Signed distance to the edge of a silhouette, negative inside.

    Returns
    -------
    float32 array (n, n) over [-EXTENT, EXTENT] in both axes (rows are y, downward), in object units
    (the half width of the object is 1).
    """
    from scipy.ndimage import distance_transform_edt

    axis = np.arange(-EXTENT, EXTENT + 0.5 / RESOLUTION, 1 / RESOLUTION)
    x, y = np.meshgrid(axis, axis)
    inside = SHAPES[shape](x, y)
    # Half a sample: the edge lies between the last inner and the first outer sample.
    distance = np.where(
        inside, 0.5 - distance_transform_edt(inside), distance_transform_edt(~inside) - 0.5
    )
    return (distance / RESOLUTION).astype(np.float32)


def coverage(
    shape: str, centre: tuple[float, float], half: float, tilt: float
) -> tuple[int, int, np.ndarray]:
    """How much of each pixel around ``centre`` the object covers.

    Parameters
    ----------
    shape : a key of SHAPES.
    centre : (x, y) in pixels; pixel (0, 0) has its centre at (0.5, 0.5).
    half : half width of the object in pixels.
    tilt : rotation in radians.

    Returns
    -------
    (left, top, alpha): alpha float32 (m, m) in 0..1 belongs at ``[top:top + m, left:left + m]``; it
    may reach past the frame by a pixel or two.
    """
    reach = int(np.ceil(1.12 * half)) + 2
    left, top = int(np.floor(centre[0])) - reach, int(np.floor(centre[1])) - reach
    steps = np.arange(2 * reach + 1) + 0.5
    x = (left + steps - centre[0])[None, :] / half
    y = (top + steps - centre[1])[:, None] / half
    cos, sin = np.cos(tilt), np.sin(tilt)
    table = distance_table(shape)
    last = table.shape[0] - 1
    column = np.rint((cos * x + sin * y + EXTENT) * RESOLUTION).astype(np.intp).clip(0, last)
    row = np.rint((cos * y - sin * x + EXTENT) * RESOLUTION).astype(np.intp).clip(0, last)
    return left, top, np.clip(0.5 - table[row, column] * half, 0, 1).astype(np.float32)


def blob(rng: np.random.Generator) -> Callable[..., tuple[int, int, np.ndarray]]:
    """A random smooth silhouette that is no class, with the parameters of ``coverage``.

    Its radius is at most the half width it is drawn at, and down to a third of it.
    """
    waves = np.arange(2, 5)
    height = rng.uniform(0.0, 0.25, len(waves))
    phase = rng.uniform(0, 2 * np.pi, len(waves))
    scale = rng.uniform(0.5, 1.0) / (1 + height.sum())

    def draw(
        _: str, centre: tuple[float, float], half: float, tilt: float
    ) -> tuple[int, int, np.ndarray]:
        reach = int(np.ceil(half)) + 2
        left, top = int(np.floor(centre[0])) - reach, int(np.floor(centre[1])) - reach
        steps = np.arange(2 * reach + 1) + 0.5
        x, y = np.meshgrid(left + steps - centre[0], top + steps - centre[1])
        angle = np.arctan2(y, x)[..., None] + tilt
        radius = half * scale * (1 + (height * np.cos(waves * angle + phase)).sum(-1))
        return left, top, np.clip(0.5 + radius - np.hypot(x, y), 0, 1).astype(np.float32)

    return draw
