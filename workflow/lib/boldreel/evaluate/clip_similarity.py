"""Agreement in CLIP's image space.

Takes unit-norm frame embeddings; returns one value per clip or pair of clips. CLIP-pcc as published
is the mean cosine of neighbouring frames of the OUTPUT: it never looks at the truth, and a frozen
frame scores 1. It is printed for comparison, next to the truth's own value.
"""

from __future__ import annotations

import numpy as np

from boldreel.evaluate import nway
from boldreel.stats.identification import two_way


def cosine(a: np.ndarray, b: np.ndarray, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Mean over frames of the cosine between frame f of a[i] and frame f of b[j].

    Parameters
    ----------
    a, b : (n, F, D), (m, F, D) unit norm. i, j : integer arrays of one shape.
    """
    return (_every(a, b) / a.shape[1])[i, j].astype(np.float64)


def _every(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Products (n, m) of all pairs, summed over frames; a frame at a time, for memory's sake."""
    total = np.zeros((len(a), len(b)), np.float32)
    for frame in range(a.shape[1]):
        one, other = (x[:, frame].astype(np.float32, copy=False) for x in (a, b))
        total += one @ other.T
    return total


def neighbours(a: np.ndarray) -> np.ndarray:
    """CLIP-pcc, plain: mean cosine of neighbouring frames, (n, F, D) -> (n,); NaN for one frame."""
    if a.shape[1] < 2:
        return np.full(len(a), np.nan)
    return np.einsum("nfd,nfd->n", a[:, 1:], a[:, :-1], dtype=np.float64) / (a.shape[1] - 1)


def identification(
    a: np.ndarray, b: np.ndarray, shots: np.ndarray, i: np.ndarray, j: np.ndarray
) -> np.ndarray:
    """Two-way identification: how often a[i] is nearer to b[j] than to another truth.

    Distractors are the clips of other shots than b[j]'s, since clips of one shot are duplicates.
    Ties count one half; chance is exactly 0.5. NaN if there is no other shot.

    Parameters
    ----------
    a, b : (n, F, D), (m, F, D) unit norm. shots : (m,) shot label of each truth.
    i, j : integer arrays of one shape.
    """
    other = shots[:, None] != shots[None, :]
    return two_way(_every(a, b), other, i, j)


def retrieval(
    a: np.ndarray, b: np.ndarray, shots: np.ndarray, i: np.ndarray, j: np.ndarray, pool: int
) -> np.ndarray:
    """How often b[j] is the nearest to a[i] of `pool` truths, the others drawn from other shots than b[j]'s.

    Exact, nothing is drawn; chance is 1 / pool. NaN where other shots hold fewer clips than that takes.

    Parameters
    ----------
    a, b : (n, F, D), (m, F, D) unit norm. shots : (m,) shot label of each truth.
    i, j : integer arrays of one shape.
    """
    every = _every(a, b)
    other = shots[:, None] != shots[None, :]
    allowed = other.sum(axis=1)
    out = np.full(np.shape(i), np.nan)
    flat_i, flat_j, flat = np.ravel(i), np.ravel(j), out.reshape(-1)
    for start in range(0, flat.size, 4096):
        p, q = flat_i[start : start + 4096], flat_j[start : start + 4096]
        own = every[p, q][:, None]
        above = ((every[p] > own) & other[q]).sum(axis=1)
        ties = ((every[p] == own) & other[q]).sum(axis=1)
        found = flat[start : start + 4096]
        for count in np.unique(allowed[q][allowed[q] >= pool - 1]):
            at = allowed[q] == count
            found[at] = nway.first_of(above[at], ties[at], int(count), pool)
    return out
