"""Two-way identification: is the right one more alike than a wrong one?

Takes similarities of predictions (rows) to truths (columns); returns shares of comparisons won. Ties count
one half, so that chance is exactly 0.5.
"""

from __future__ import annotations

import numpy as np

_PART = 4096  # pairs at once


def comparisons(
    similarity: np.ndarray, other: np.ndarray, i: np.ndarray, j: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(comparisons won, comparisons) of prediction i where j is its truth, both of the shape of i and j.

    Parameters
    ----------
    similarity : (n, m). other : bool (m, m), the distractors of each truth.
    i, j : integer arrays of one shape.
    """
    won = np.empty(np.shape(i))
    flat_i, flat_j, flat = np.ravel(i), np.ravel(j), won.reshape(-1)
    for start in range(0, flat.size, _PART):
        p, q = flat_i[start : start + _PART], flat_j[start : start + _PART]
        rows, own = similarity[p], similarity[p, q][:, None]
        wins = (rows < own) + 0.5 * (rows == own)
        flat[start : start + _PART] = (wins * other[q]).sum(axis=1)
    return won, other.sum(axis=1)[j]


def two_way(similarity: np.ndarray, other: np.ndarray, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Share of comparisons won, of the shape of i and j; NaN for a truth without distractors.

    Parameters are those of `comparisons`.
    """
    won, of = comparisons(similarity, other, i, j)
    return np.divide(won, of, out=np.full(won.shape, np.nan), where=of > 0)


def pooled_two_way(similarity: np.ndarray, other: np.ndarray, j: np.ndarray) -> float:
    """Share of all comparisons won where truth j[k] is that of prediction k; 0.5 if there is none.

    Parameters
    ----------
    similarity : (n, m). other : bool (m, m), the distractors of each truth. j : int (n,).
    """
    won, of = comparisons(similarity, other, np.arange(len(similarity)), j)
    return float(won.sum() / of.sum()) if of.any() else 0.5
