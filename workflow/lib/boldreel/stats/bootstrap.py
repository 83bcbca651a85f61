"""Intervals from resampling independent blocks, alone or with the seeds of trainings.

Takes values per clip, and the block (shot) and stratum of each; returns 95 % intervals, or none where blocks
are too few. Scores of test clips, whose shots need not be independent, have theirs from `stats.means`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NAN = float("nan")
# Resampling m shots of a run shows (m - 1) / m of their variance: nothing of a single shot's. From five
# shots a run and ten in all a 95 % interval covers .85 (skewed scores) to .95; of fewer none is given.
FEWEST_SHOTS, SHOTS_A_RUN = 10, 5


@dataclass(frozen=True)
class Resampled:
    """Resamplings of whole shots.

    weights : (draws, shots) counts of each shot. member : (clips,) index of each clip's shot. home :
    (shots,) index of each shot's stratum. A value's resampled mean is (weights @ sums) / (weights @ counts).
    """

    weights: np.ndarray
    member: np.ndarray
    home: np.ndarray

    def enough(self, known: np.ndarray) -> bool:
        """Whether the clips in `known` (bool (clips,)) have enough shots for an interval."""
        shots = np.unique(self.member[known])
        strata = len(np.unique(self.home[shots]))
        return len(shots) >= max(FEWEST_SHOTS, SHOTS_A_RUN * strata)


def resample(
    shots: np.ndarray,
    strata: np.ndarray,
    draws: int,
    rng: np.random.Generator,
) -> Resampled:
    """Draws whole shots with replacement, within each stratum (run).

    Parameters
    ----------
    shots, strata : (clips,) labels.
    """
    names, member = np.unique(shots, return_inverse=True)
    every, of = np.unique(strata, return_inverse=True)
    home = np.empty(len(names), dtype=int)
    home[member] = of
    weights = np.zeros((draws, len(names)), dtype=np.float32)
    for stratum in range(len(every)):
        inside = np.flatnonzero(home == stratum)
        share = np.full(len(inside), 1 / len(inside))
        weights[:, inside] = rng.multinomial(len(inside), share, size=draws)
    return Resampled(weights, member, home)


def interval(
    values: np.ndarray,
    resampled: Resampled,
    per: np.ndarray | None = None,
    level: float = 0.95,
) -> tuple[float, float]:
    """Percentile interval of a mean (or of a ratio of sums) over resampled shots.

    Parameters
    ----------
    values : (clips,) values, or numerators where `per` is given. NaN clips are left out.
    per : (clips,) denominators; 1 for a mean.

    Returns
    -------
    (low, high); (NaN, NaN) if there are too few shots, see `Resampled.enough`.
    """
    finite, member = np.isfinite(values), resampled.member
    if not resampled.enough(finite):
        return NAN, NAN
    weights, size = resampled.weights, resampled.weights.shape[1]
    below = np.ones(len(values)) if per is None else per
    top = np.bincount(member[finite], weights=values[finite], minlength=size)
    bottom = np.bincount(member[finite], weights=below[finite], minlength=size)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = (weights @ top) / (weights @ bottom)
    return _ends(means, level)


def interval_over_seeds(
    values: np.ndarray, resampled: Resampled, rng: np.random.Generator, level: float = 0.95
) -> tuple[float, float]:
    """Percentile interval of a mean over seeds and clips: seeds are drawn with replacement, as shots are.

    Parameters
    ----------
    values : (seeds, clips), finite

    Returns
    -------
    (low, high); (NaN, NaN) if there are too few shots, see `Resampled.enough`.
    """
    if not resampled.enough(np.ones(values.shape[1], dtype=bool)):
        return NAN, NAN
    weights, size = resampled.weights, resampled.weights.shape[1]
    seeds = len(values)
    drawn = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=len(weights))
    sums = np.stack([np.bincount(resampled.member, row, minlength=size) for row in values])
    counts = np.bincount(resampled.member, minlength=size)
    means = ((drawn @ sums) * weights).sum(axis=1) / (seeds * (weights @ counts))
    return _ends(means, level)


def _ends(means: np.ndarray, level: float) -> tuple[float, float]:
    low, high = np.nanquantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
