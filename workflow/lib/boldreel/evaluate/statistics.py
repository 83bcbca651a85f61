"""Intervals and tests for clips that are not independent of each other.

Takes scores per clip; leaves intervals, p-values and corrections. Clips of one shot are near
duplicates, so intervals resample shots; the signal and the movie are both autocorrelated, so tests
shift the reconstructions against the truth in a circle inside each run.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def longest(shots: Sequence[str]) -> int:
    """Length, in clips, of the longest stretch of one shot."""
    best = run = 0
    previous: object = object()
    for shot in shots:
        run = run + 1 if shot == previous else 1
        previous, best = shot, max(best, run)
    return best


def shifts(clips: int, apart: int, most: int = 40) -> np.ndarray:
    """Evenly spaced circular shifts of a run of `clips`, the identity (0) first.

    Neighbouring shifts lie at least `apart` clips from each other and from the identity, so that
    no shift pairs a clip with its own shot, and the shifts are (up to rounding) a subgroup of all
    rotations: under the null hypothesis the identity is then exactly as likely as any of them to
    rank first, however autocorrelated both series are. At most `most` shifts; [0] if none fits.
    """
    count = max(1, min(clips // max(apart, 1), most))
    return (np.arange(count) * clips) // count


def thinned(pairings: int, most: int) -> np.ndarray:
    """Rows of at most `most` of the pairings, evenly spaced, the first (the right one) among them."""
    count = max(1, min(pairings, most))
    return (np.arange(count) * pairings) // count


def shifted(clips: int, by: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Index arrays (shifts, clips) of the reconstruction and of the truth that it is paired with."""
    truth = np.broadcast_to(np.arange(clips), (len(by), clips))
    return (truth + by[:, None]) % clips, truth


def permutation_p(
    sums: Sequence[np.ndarray], draws: int, rng: np.random.Generator
) -> tuple[float, int]:
    """One-sided p of the identity among circular shifts that each run makes on its own.

    Parameters
    ----------
    sums : one array (shifts,) per run: the statistic's sum over the run's clips under each shift,
        larger is better, the identity first.
    draws : number N of joint shifts drawn; where there are no more joint shifts than that, all
        are used instead.

    Returns
    -------
    (p, N): p = (1 + number of other arrangements at least as good) / (1 + N), never 0. (NaN, 0)
    where nothing can be shifted.
    """
    total = int(np.prod([len(s) for s in sums], dtype=float)) if sums else 0
    if total < 2:
        return float("nan"), 0
    observed = sum(float(s[0]) for s in sums)
    if total - 1 <= draws:
        null = np.zeros(1)
        for s in sums:
            null = (null[:, None] + s[None, :]).ravel()
        null = null[1:]  # without the identity, which the 1 in the formula stands for
    else:
        # The identity may be drawn like any other arrangement.
        null = np.sum([s[rng.integers(len(s), size=draws)] for s in sums], axis=0)
    # Sums of equal terms in another order differ by rounding: count them as equal.
    slack = 1e-9 * max(1.0, abs(observed))
    better = int(np.count_nonzero(null >= observed - slack))
    return (1 + better) / (1 + len(null)), len(null)


def bootstrap_weights(
    shots: np.ndarray,
    strata: np.ndarray,
    draws: int,
    rng: np.random.Generator,
    runs: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Resamplings of whole shots, within each stratum (run).

    Parameters
    ----------
    shots, strata : (clips,) labels.
    runs : draw the strata with replacement as well, so that the interval is of other runs too; two or three
        of them tell little of that.

    Returns
    -------
    (weights, member): `weights` (draws, shots) counts of each shot, `member` (clips,) index of
    each clip's shot. A value's resampled mean is (weights @ sums) / (weights @ counts).
    """
    names, member = np.unique(shots, return_inverse=True)
    home = np.empty(len(names), dtype=object)
    home[member] = strata
    weights = np.zeros((draws, len(names)), dtype=np.float32)
    every = sorted(set(strata))
    for stratum in every:
        inside = np.flatnonzero(home == stratum)
        share = np.full(len(inside), 1 / len(inside))
        weights[:, inside] = rng.multinomial(len(inside), share, size=draws)
    if runs:
        # Each time that a run is drawn it brings its shots once more.
        drawn = rng.multinomial(len(every), np.full(len(every), 1 / len(every)), size=draws)
        weights *= drawn[:, [every.index(stratum) for stratum in home]]
    return weights, member


def interval(
    values: np.ndarray,
    weights: np.ndarray,
    member: np.ndarray,
    per: np.ndarray | None = None,
    level: float = 0.95,
) -> tuple[float, float]:
    """Percentile interval of a mean (or of a ratio of sums) over resampled shots.

    Parameters
    ----------
    values : (clips,) values, or numerators where `per` is given. NaN clips are left out.
    weights, member : from `bootstrap_weights`.
    per : (clips,) denominators; 1 for a mean.

    Returns
    -------
    (low, high); (NaN, NaN) with fewer than three shots.
    """
    finite = np.isfinite(values)
    size = weights.shape[1]
    if len(np.unique(member[finite])) < 3:
        return float("nan"), float("nan")
    below = np.ones(len(values)) if per is None else per
    top = np.bincount(member[finite], weights=values[finite], minlength=size)
    bottom = np.bincount(member[finite], weights=below[finite], minlength=size)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = (weights @ top) / (weights @ bottom)
    low, high = np.nanquantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def random_signs(shots: int, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Signs (draws, shots) of +1 and -1; all 2^shots but the identity where those are fewer."""
    if 2**shots - 1 <= draws:
        patterns = (np.arange(1, 2**shots)[:, None] >> np.arange(shots)) & 1
        return (1 - 2 * patterns).astype(np.int8)
    return (2 * rng.integers(2, size=(draws, shots), dtype=np.int8) - 1).astype(np.int8)


def paired_p(sums: np.ndarray, signs: np.ndarray) -> float:
    """Two-sided p of a sum of differences, whose blocks could as well have had the other sign.

    Parameters
    ----------
    sums : (shots,) differences summed within each shot. signs : (N, shots), see `random_signs`.

    Returns
    -------
    (1 + number of signings at least as far from 0) / (1 + N), never 0; NaN with fewer than two shots.
    """
    if len(sums) < 2:
        return float("nan")
    observed = abs(float(sums.sum()))
    null = np.abs(signs.astype(np.float64) @ sums)
    slack = 1e-9 * max(1.0, observed)
    return float((1 + np.count_nonzero(null >= observed - slack)) / (1 + len(signs)))


def holm(p: np.ndarray) -> np.ndarray:
    """Holm's step-down correction: adjusted p-values in the order given; NaN stays NaN."""
    p = np.asarray(p, dtype=float)
    out = np.full(p.shape, np.nan)
    known = np.flatnonzero(np.isfinite(p))
    order = known[np.argsort(p[known], kind="stable")]
    worst = 0.0
    for rank, index in enumerate(order):
        worst = max(worst, min(1.0, (len(order) - rank) * p[index]))
        out[index] = worst
    return out
