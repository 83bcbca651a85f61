"""Interval and test of a mean over clips that are not independent of each other.

Takes values of clips in the order in which they were shown, with the run and shot of each; returns the mean,
its 95 % interval and a two-sided p against 0. From three runs on, runs are the units, so that both hold for
other runs, whatever the clips of a run have to do with each other. With one or two runs they hold for these
runs: shots, joined to a few dozen blocks, are a series whose autocorrelation widens the interval. Both are
studentised and corrected for skewness. With too few shots there is neither. `benchmarks/intervals.py` shows
how often they cover and reject.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NAN = float("nan")
FEWEST_RUNS = 3  # from which runs are the units
FEWEST_SHOTS = 10  # of three or more runs together
FEWEST_OF_SERIES = 20  # of one or two runs together
# of one or two runs together where no shot has two clips: which clips are a shot may not be known
FEWEST_CLIPS = 40
# By how many standard errors the correlation of neighbouring blocks is taken larger than it was found:
# `_WIDER` at 0, and `_WIDER_STILL` more at 1. Chosen in simulation, for intervals that cover up to .9.
_WIDER, _WIDER_STILL, _MOST = 0.15, 1.2, 0.97
_ROUNDING = 1e-9  # share of the values' size that rounding may make up


@dataclass(frozen=True)
class Mean:
    """A mean with its interval and test; NaN where there is none."""

    value: float
    ci_low: float
    ci_high: float
    p: float


@dataclass(frozen=True)
class Studentised:
    """Means of sets of values (sets,) that share runs and shots, and what their tests stand on.

    error : standard errors. count, freedom : effective number of units, and degrees of freedom. skew : of
    the units. units : how many there are.
    """

    value: np.ndarray
    error: np.ndarray
    count: np.ndarray
    freedom: np.ndarray
    skew: np.ndarray
    units: int

    def interval(self, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
        """(low, high) of each set; NaN if its units are all alike."""
        from scipy.special import stdtrit

        quantile = stdtrit(self.freedom, (1 + level) / 2)
        ends = [self._inverse(x) for x in (quantile, -quantile)]
        low, high = (self.value - self.error * np.sqrt(self.count) * z for z in ends)
        told = self.error > 0
        return np.where(told, low, NAN), np.where(told, high, NAN)

    def p(self) -> np.ndarray:
        """Two-sided p of each set against 0. 1 if all values are 0; that of a sign test if they are
        all alike."""
        from scipy.special import stdtr

        told = self.error > 0
        z = np.divide(self.value, self.error, out=np.zeros_like(self.value), where=told)
        z = z / np.sqrt(self.count)
        third = self.skew / 3
        # ((1 + third z)^3 - 1) / skew, without dividing by 0
        bent = z + third * z**2 + third**2 * z**3 / 3 + self.skew / (6 * self.count)
        found = 2 * stdtr(self.freedom, -np.abs(bent) * np.sqrt(self.count))
        alike = np.where(self.value == 0, 1.0, 2.0 ** (1 - self.units))
        return np.where(told, np.minimum(found, 1.0), alike)

    def _inverse(self, quantile: np.ndarray) -> np.ndarray:
        x = quantile / np.sqrt(self.count) - self.skew / (6 * self.count)
        small = np.abs(self.skew) < 1e-6
        skew = np.where(small, 1.0, self.skew)
        return np.where(small, x, 3 / skew * (np.cbrt(1 + skew * x) - 1))


def of_mean(
    values: np.ndarray, runs: np.ndarray, shots: np.ndarray, per: np.ndarray | None = None
) -> Mean:
    """Mean, 95 % interval and p of clips' values, or of a ratio of sums.

    Parameters
    ----------
    values : (n,) values, or numerators where `per` is given, in the order shown in each run. NaN is left out.
    runs, shots : (n,) labels. per : (n,) denominators; 1 for a mean.
    """
    below = np.ones(len(values)) if per is None else per
    known = np.isfinite(values) & np.isfinite(below)
    if not known.any() or below[known].sum() <= 0:
        return Mean(NAN, NAN, NAN, NAN)
    value = float(values[known].sum() / below[known].sum())
    found = studentised(values[known][None], runs[known], shots[known], below[known])
    if found is None:
        return Mean(value, NAN, NAN, NAN)
    (low,), (high,) = found.interval()
    return Mean(value, float(low), float(high), float(found.p()[0]))


def studentised(
    values: np.ndarray, runs: np.ndarray, shots: np.ndarray, per: np.ndarray | None = None
) -> Studentised | None:
    """Means of sets of finite values, (sets, n); None if there are too few shots. Others as of `of_mean`."""
    below = np.ones(values.shape[1]) if per is None else per
    run = np.unique(runs, return_inverse=True)[1]
    order = np.argsort(run, kind="stable")
    run, values, below = run[order], values[:, order], below[order]
    shot, shots_of = _numbered(run, np.asarray(shots)[order])
    alone = int(shots_of.sum()) == len(run)
    of_series = FEWEST_CLIPS if alone else FEWEST_OF_SERIES
    enough = FEWEST_SHOTS if len(shots_of) >= FEWEST_RUNS else of_series
    if shots_of.sum() < enough:
        return None
    if len(shots_of) >= FEWEST_RUNS:
        return _of_runs(values, below, run)
    return _of_series(values, below, run, shot, shots_of)


def _numbered(run: np.ndarray, shots: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(number of each clip's shot in its run by first appearance, number of shots of each run)."""
    number = np.empty(len(run), dtype=int)
    counts = []
    for one in range(run[-1] + 1):
        at = np.flatnonzero(run == one)
        _, first, of = np.unique(shots[at], return_index=True, return_inverse=True)
        number[at] = np.argsort(np.argsort(first))[of]
        counts.append(len(first))
    return number, np.array(counts)


def _sums(values: np.ndarray, group: np.ndarray, count: int) -> np.ndarray:
    """(sets, count) sums of values within groups."""
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(count))
    return np.add.reduceat(values[:, order], starts, axis=1)


def _skewness(units: np.ndarray) -> np.ndarray:
    """Of each row, about 0."""
    spread = np.square(units).mean(axis=1)
    cubed = (units**3).mean(axis=1)
    return np.divide(cubed, spread**1.5, out=np.zeros_like(cubed), where=spread > 0)


def _without_rounding(error: np.ndarray, values: np.ndarray, total: float) -> np.ndarray:
    """0 for a standard error that rounding alone makes."""
    size = np.abs(values).sum(axis=1) / total
    return np.where(error > _ROUNDING * size, error, 0.0)


def _of_runs(values: np.ndarray, below: np.ndarray, run: np.ndarray) -> Studentised:
    count = run[-1] + 1
    total = below.sum()
    value = values.sum(axis=1) / total
    units = _sums(values - value[:, None] * below, run, count)
    error = np.sqrt(count / (count - 1) * np.square(units).sum(axis=1)) / total
    # Runs of unequal length are worth fewer equal ones (Kish).
    sizes = np.bincount(run, below)
    worth = max(sizes.sum() ** 2 / np.square(sizes).sum() - 1, 1.0)
    return Studentised(
        value,
        _without_rounding(error, values, total),
        np.full(len(value), worth),
        np.full(len(value), worth),
        _skewness(units),
        count,
    )


def _of_series(
    values: np.ndarray, below: np.ndarray, run: np.ndarray, shot: np.ndarray, shots_of: np.ndarray
) -> Studentised:
    """Blocks of shots of each run as autoregressive series of one correlation and variance.

    The correlation of neighbours is corrected for what its estimate lacks (Kendall 1954: (1 + 4 r) / n), and
    then taken larger by a part of its standard error.
    """
    joined = max(1, int(shots_of.sum()) // FEWEST_OF_SERIES)
    blocks = np.maximum(shots_of // joined, 1)
    first = np.concatenate([[0], np.cumsum(blocks)])
    block = first[run] + shot * blocks[run] // shots_of[run]
    total = below.sum()
    value = values.sum(axis=1) / total
    of_run = _sums(values, run, len(blocks)) / np.maximum(np.bincount(run, below), 1e-300)
    units = _sums(values - of_run[:, run] * below, block, int(first[-1]))
    squares = np.square(units).sum(axis=1)
    inside = np.delete(np.arange(len(units[0]) - 1), first[1:-1] - 1)
    products = (units[:, inside] * units[:, inside + 1]).sum(axis=1)
    found = np.divide(products, squares, out=np.zeros_like(products), where=squares > 0)
    length = blocks.sum() / len(blocks)
    near = (found * length + 1) / (length - 4)
    spread = np.sqrt(np.maximum(1 - np.clip(near, -1, 1) ** 2, 0.02) / blocks.sum())
    near = np.clip(near + (_WIDER + _WIDER_STILL * np.clip(near, 0, 1)) * spread, 0, _MOST)
    # how often the variance of a mean of n is larger than that of n independent ones
    n = blocks[None]
    r = near[:, None]
    times = (1 + r) / (1 - r) - 2 * r * (1 - r**n) / (n * (1 - r) ** 2)
    variance = squares / np.maximum((n - times).sum(axis=1), 0.1 * blocks.sum())
    error = np.sqrt(variance * (n * times).sum(axis=1)) / total
    worth = (n / times).sum(axis=1)
    return Studentised(
        value,
        _without_rounding(error, values, total),
        worth,
        np.maximum(worth - len(blocks), 1.0),
        _skewness(units),
        int(blocks.sum()),
    )
