"""How flows of clips are compared: end-point errors and agreement of direction for pairs of clips."""

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
    out = np.empty(i.shape)
    for place in np.ndindex(*i.shape):
        one, other = a[i[place]], b[j[place]]
        out[place] = compare(one.astype(np.float32), other.astype(np.float32))
    return out
