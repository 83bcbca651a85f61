"""Agreement in CLIP's image space.

Takes unit-norm frame embeddings; leaves one value per clip or pair of clips. CLIP-pcc as published
is the mean cosine of neighbouring frames of the OUTPUT: it never looks at the truth, and a frozen
frame scores 1. It is printed for comparison, beside the truth's own value.
"""

from __future__ import annotations

import numpy as np


def cosine(a: np.ndarray, b: np.ndarray, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Mean over frames of the cosine between frame f of a[i] and frame f of b[j].

    Parameters
    ----------
    a, b : (n, F, D), (m, F, D) unit norm. i, j : integer arrays of one shape.
    """
    every = np.einsum("nfd,mfd->nm", a, b, optimize=True) / a.shape[1]
    return every[i, j].astype(np.float64)


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
    Ties count one half; chance is exactly 0.5. NaN where there is no other shot.

    Parameters
    ----------
    a, b : (n, F, D), (m, F, D) unit norm. shots : (m,) shot label of each truth.
    i, j : integer arrays of one shape.
    """
    every = np.einsum("nfd,mfd->nm", a, b, optimize=True)
    other = shots[:, None] != shots[None, :]
    allowed = other.sum(axis=1)
    out = np.empty(np.shape(i))
    flat_i, flat_j, flat = np.ravel(i), np.ravel(j), out.reshape(-1)
    for start in range(0, flat.size, 4096):
        p, q = flat_i[start : start + 4096], flat_j[start : start + 4096]
        own = every[p, q][:, None]
        wins = (every[p] < own) + 0.5 * (every[p] == own)
        with np.errstate(invalid="ignore"):
            flat[start : start + 4096] = (wins * other[q]).sum(axis=1) / allowed[q]
    return out
