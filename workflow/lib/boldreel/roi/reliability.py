"""How reproducibly each position answers to the same movie.

Takes the series of repeated runs; returns one correlation and p a position. Used on training runs
only, so that selection never sees a test run.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from scipy import special

_LARGEST = 0.999999  # correlations are kept off 1, where Fisher's z is infinite


def split_correlation(repeats: Sequence[np.ndarray]) -> np.ndarray:
    """Correlation (V,) between the mean of the odd and of the even repeats of one film.

    Parameters
    ----------
    repeats : two or more series (n, V); a longer one is cut at the length of the shortest

    Returns
    -------
    correlation : NaN if a half is constant
    """
    length = min(len(series) for series in repeats)
    halves = []
    for first in (0, 1):
        mean = np.mean([series[:length] for series in repeats[first::2]], axis=0, dtype=np.float64)
        mean -= mean.mean(0)
        norm = np.linalg.norm(mean, axis=0)
        halves.append(mean / np.where(norm > 0, norm, np.nan))
    return (halves[0] * halves[1]).sum(0)


def reliability(films: Iterable[Sequence[np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Reliability over films and its p value.

    Per film the correlation of its repeats, Fisher's z, then a one-sided one-sample t-test over films
    (segments in Wen et al. 2018 and MinD-Video, section 4.1).

    Parameters
    ----------
    films : of each its two or more series (n, V)

    Returns
    -------
    correlation : (V,) back-transformed mean z; NaN if the position is constant in a film
    p : (V,) uncorrected; NaN with fewer than two films
    """
    correlations = np.array([split_correlation(repeats) for repeats in films])
    z = np.arctanh(np.clip(correlations, -_LARGEST, _LARGEST))
    mean, count = z.mean(0), len(z)
    if count < 2:
        return np.tanh(mean), np.full(z.shape[1], np.nan)
    error = z.std(0, ddof=1) / np.sqrt(count)
    t = mean / np.where(error > 0, error, np.nan)
    return np.tanh(mean), special.stdtr(count - 1, -t)


def select(
    correlation: np.ndarray,
    p: np.ndarray,
    present: np.ndarray,
    threshold: float,
    fraction: float,
) -> np.ndarray:
    """Which positions are selected (V,) bool: p below `threshold`, Bonferroni-corrected over the
    present ones, and of those the `fraction` with the smallest p (ties by correlation)."""
    tests = max(1, int(present.sum()))
    passing = np.flatnonzero(present & (np.nan_to_num(p, nan=1.0) * tests < threshold))
    order = passing[np.lexsort((-correlation[passing], p[passing]))]
    selected = np.zeros(len(p), bool)
    selected[order[: int(np.ceil(fraction * len(order)))]] = True
    return selected
