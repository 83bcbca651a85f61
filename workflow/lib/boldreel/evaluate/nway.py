"""N-way top-K identification by a classifier, in exact closed form.

Takes classifier scores of reconstructions and of the truth; returns success probabilities. A trial
draws n-1 distractor classes from all classes that are not right and succeeds if a right class is
among the K best of these n-1 plus itself. Nothing is drawn here: the expectation is exact.

Published definition (Chen et al. 2023, MinD-Video): the truth's top THREE classes all count as
right, so that chance is 3/(n+2) and not 1/n. `right=1` is the single-label version.
"""

from __future__ import annotations

from functools import lru_cache
from math import comb

import numpy as np


def chance(n_way: int, top_k: int = 1, right: int = 3) -> float:
    """Success probability of a classifier that knows nothing: 1 - C(n-1, K) / C(n-1+right, K).

    The n-1 distractors and the `right` classes come in random order; a trial fails when the K
    best are all distractors. With K = 1: right / (n - 1 + right), thus 3/(n+2) and 1/n.
    """
    return 1.0 - comb(n_way - 1, top_k) / comb(n_way - 1 + right, top_k)


@lru_cache(maxsize=64)
def _success(pool: int, n_way: int, top_k: int) -> np.ndarray:
    """P(success | m of `pool` distractor classes score above the best right one), m = 0..pool.

    The number of better distractors among the n-1 drawn is hypergeometric; success is at most
    K-1 of them. For K = 1 this is C(pool-m, n-1) / C(pool, n-1).
    """
    drawn = n_way - 1
    total = comb(pool, drawn)
    return np.array(
        [
            sum(comb(m, x) * comb(pool - m, drawn - x) for x in range(min(top_k, drawn + 1)))
            / total
            for m in range(pool + 1)
        ]
    )


def _tied(table: np.ndarray, above: int, ties: int, right: int) -> float:
    """Success when `right` right classes share their score with `ties` distractors.

    Tied classes come in random order: j of the distractors stand before the first right class with
    probability C(ties+right-1-j, right-1) / C(ties+right, right).
    """
    weights = np.array(
        [comb(ties + right - 1 - j, right - 1) for j in range(ties + 1)], dtype=float
    )
    return float(weights @ table[above : above + ties + 1] / comb(ties + right, right))


def first_of(above: np.ndarray, ties: np.ndarray, distractors: int, pool: int) -> np.ndarray:
    """Chance that one thing is the best of `pool`, the others drawn from the distractors.

    Parameters
    ----------
    above, ties : integer (n,), how many of all `distractors` score higher than it, and as high.
    """
    table = _success(distractors, pool, 1)
    out = table[above].copy()
    for k in np.flatnonzero(ties):
        out[k] = _tied(table, int(above[k]), int(ties[k]), 1)
    return out


def right_classes(truth_scores: np.ndarray, right: int = 3) -> np.ndarray:
    """Indices (..., right) of the classes that count as right: the truth's best ones.

    Parameters
    ----------
    truth_scores : (..., classes) logits or probabilities of the true frame or video.
    """
    if right == 1:
        return truth_scores.argmax(axis=-1)[..., None]
    return np.argpartition(-truth_scores, right - 1, axis=-1)[..., :right]


def exact(scores: np.ndarray, right: np.ndarray, n_way: int, top_k: int = 1) -> np.ndarray:
    """Expected success of n-way top-K trials.

    Parameters
    ----------
    scores : (..., classes) logits or probabilities of the reconstruction.
    right : (..., r) indices of the right classes, see `right_classes`.
    n_way, top_k : classes in a trial, and how many of the best are accepted.

    Returns
    -------
    float64 array (...). Raises ValueError if there are fewer than n-1 distractor classes.
    """
    scores = np.asarray(scores)
    shape, classes, r = scores.shape[:-1], scores.shape[-1], right.shape[-1]
    pool = classes - r
    if pool < n_way - 1:
        raise ValueError(
            f"{n_way}-way needs {n_way - 1} distractors, {classes} classes leave {pool}"
        )
    flat = scores.reshape(-1, classes)
    own = np.take_along_axis(flat, right.reshape(-1, r), axis=1)
    best = own.max(axis=1, keepdims=True)
    above = np.count_nonzero(flat > best, axis=1)
    of_right = np.count_nonzero(own == best, axis=1)
    ties = np.count_nonzero(flat == best, axis=1) - of_right
    table = _success(pool, n_way, top_k)
    out = table[above]
    rows = np.flatnonzero(ties)
    if rows.size:
        cases, which = np.unique(
            np.stack([above[rows], ties[rows], of_right[rows]], axis=1), axis=0, return_inverse=True
        )
        out[rows] = np.array([_tied(table, *map(int, case)) for case in cases])[which.ravel()]
    return out.reshape(shape)


def recorded(
    scores: np.ndarray, right: np.ndarray, distractors: np.ndarray, top_k: int = 1
) -> np.ndarray:
    """Share of trials won against given distractors, as the published loop counts them.

    Parameters
    ----------
    scores : (samples, classes). right : (samples, r). distractors : (samples, trials, n-1).

    Returns
    -------
    (samples,) shares of trials in which fewer than K distractors beat the best right class.
    """
    best = np.take_along_axis(scores, right, axis=1).max(axis=1)
    rows = np.arange(len(scores))[:, None, None]
    better = (scores[rows, distractors] > best[:, None, None]).sum(axis=2)
    return (better < top_k).mean(axis=1)
