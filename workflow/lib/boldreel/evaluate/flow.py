"""How flows of clips are compared: end-point errors, directions, and where it moves, for pairs of clips."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from boldreel.models.optical_flow import SIDE as SIDE

_MOVES = 0.25  # pixels in a frame's time above which a pixel of the truth counts as moving


def end_point_error(a: np.ndarray, b: np.ndarray, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Mean length (pairings, n) of the difference between flows a[i] and b[j], in pixels of `SIDE`.

    A still reconstruction has the mean length of the true flow: the baseline to beat.
    """
    return _each(a, b, i, j, lambda u, v: float(_length(u - v).mean()))


def direction(a: np.ndarray, b: np.ndarray, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Mean cosine (pairings, n) between flows a[i] and the true b[j] where the truth moves.

    Pixels count by the length of the true flow, and those that move less than a quarter of a pixel not
    at all; a pixel that stands still in the reconstruction counts as 0, which is also chance. NaN for
    a true clip that does not move.
    """

    def cosine(u: np.ndarray, v: np.ndarray) -> float:
        true = _length(v)
        weight = np.where(true > _MOVES, true, 0.0)
        total = weight.sum()
        if total == 0:
            return float("nan")
        length = true * _length(u)
        agreement = (u * v).sum(1) / np.where(length > 0, length, 1.0)
        return float((weight * agreement).sum() / total)

    return _each(a, b, i, j, cosine)


def dominant(a: np.ndarray, b: np.ndarray, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Cosine (pairings, n) between the dominant velocities of a[i] and the true b[j], wherever they are.

    The dominant velocity is the mean flow weighted by its squared length. A still reconstruction scores 0,
    which is also chance; NaN for a true clip that does not move.
    """
    velocities = [np.stack([_dominant(one) for one in flows]) for flows in (a, b)]

    def cosine(place: tuple[int, ...]) -> float:
        one, other = velocities[0][i[place]], velocities[1][j[place]]
        size = float(np.linalg.norm(one) * np.linalg.norm(other))
        if not other.any():
            return float("nan")
        return float(one @ other) / size if size > 0 else 0.0

    return _of_places(i.shape, cosine)


def apart(a: np.ndarray, b: np.ndarray, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Distance (pairings, n), pixels of `SIDE`, between the centres of what moves in a[i] and the true b[j].

    The camera's motion, the median over the picture, is taken off. Where nothing moves in a reconstruction,
    its centre is that of the picture; NaN for a true clip in which nothing moves.
    """
    centres = [np.stack([_centre(one) for one in flows]) for flows in (a, b)]
    middle = (a.shape[-1] - 1) / 2

    def distance(place: tuple[int, ...]) -> float:
        one = np.nan_to_num(centres[0][i[place]], nan=middle)
        return float(np.linalg.norm(one - centres[1][j[place]]))

    return _of_places(i.shape, distance)


def _dominant(flow: np.ndarray) -> np.ndarray:
    """Velocity (2,) of a clip's flow (steps, 2, h, w); 0 where nothing moves by a quarter of a pixel."""
    flow = flow.astype(np.float64)
    weight = np.square(flow).sum(1)
    if weight.max() < _MOVES**2:
        return np.zeros(2)
    return (flow * weight[:, None]).sum((0, 2, 3)) / weight.sum()


def _centre(flow: np.ndarray) -> np.ndarray:
    """Row and column (2,) around which a clip moves, NaN where nothing moves by a quarter of a pixel."""
    flow = flow.astype(np.float64)
    own = np.square(flow - np.median(flow, axis=(2, 3), keepdims=True)).sum(1)
    if own.max() < _MOVES**2:
        return np.full(2, np.nan)
    rows, columns = np.indices(own.shape[1:])
    return np.array([(own * at).sum() for at in (rows, columns)]) / own.sum()


def _of_places(shape: tuple[int, ...], value: Callable[[tuple[int, ...]], float]) -> np.ndarray:
    out = np.empty(shape)
    for place in np.ndindex(*shape):
        out[place] = value(place)
    return out


def _length(flow: np.ndarray) -> np.ndarray:
    """(steps, 2, h, w) to (steps, h, w)."""
    return np.sqrt(np.square(flow).sum(1))


def _each(
    a: np.ndarray,
    b: np.ndarray,
    i: np.ndarray,
    j: np.ndarray,
    compare: Callable[[np.ndarray, np.ndarray], float],
) -> np.ndarray:
    return _of_places(
        i.shape,
        lambda place: compare(a[i[place]].astype(np.float32), b[j[place]].astype(np.float32)),
    )
