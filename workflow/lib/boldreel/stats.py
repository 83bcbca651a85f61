"""Intervals and tests for clips that are not independent of each other.

Shared by retrieval, reconstruction and comparisons of methods. Takes scores per clip;
returns intervals, p-values and corrections. Clips of one shot are near duplicates, so intervals resample
shots; the signal and the movie are both autocorrelated, so tests shift the predictions against the truth
in a circle inside each run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

NAN = float("nan")
# Values of float32 that should be the same differ by less than this share of their size.
TIE = 1e-5
# By how many standard deviations of the shifted scores a verdict's score may be off: runs of one
# configuration on two processors differ by about so much.
MARGIN = 0.25
# Resampling m shots of a run shows (m - 1) / m of their variance: nothing of a single shot's. From five
# shots a run and ten in all a 95 % interval covers .85 (skewed scores) to .95; of fewer none is given.
FEWEST_SHOTS, SHOTS_A_RUN, FEWEST_RUNS = 10, 5, 5


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
    """At most `most` of the pairings, evenly spaced, with the first (the right one) among them."""
    count = max(1, min(pairings, most))
    return (np.arange(count) * pairings) // count


def shifted(clips: int, by: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Index arrays (shifts, clips) of the reconstruction and of the truth that it is paired with."""
    truth = np.broadcast_to(np.arange(clips), (len(by), clips))
    return (truth + by[:, None]) % clips, truth


@dataclass(frozen=True)
class Permutation:
    """Where a score stands among those of other arrangements.

    p : (1 + number of other arrangements at least as good) / (1 + arrangements), never 0.
    p_low, p_high : the same if the score were better, and worse, by MARGIN standard deviations of the
        others. What holds at both does not hang on the processor.
    arrangements : number of others. All p are NaN if there is none.
    """

    p: float
    p_low: float
    p_high: float
    arrangements: int


def among(observed: float, others: np.ndarray, size: float) -> Permutation:
    """One-sided p of a score among those of other arrangements, larger is better.

    Parameters
    ----------
    others : (N,). size : what the terms of the score add up to without their signs, of which others count as
        equal if they are nearer than a share of TIE.
    """
    count = len(others)
    if not count:
        return Permutation(NAN, NAN, NAN, 0)
    margin = MARGIN * float(others.std())

    def p(score: float) -> float:
        return (1 + int(np.count_nonzero(others >= score - TIE * size))) / (1 + count)

    return Permutation(p(observed), p(observed + margin), p(observed - margin), count)


def permutation(values: Sequence[np.ndarray], draws: int, rng: np.random.Generator) -> Permutation:
    """Test of the identity among circular shifts that each run makes on its own.

    Parameters
    ----------
    values : one array (shifts, clips) per run: the clips' scores under each shift, larger is better, the
        identity first.
    draws : number N of joint shifts drawn; where there are no more joint shifts than that, all
        are used instead.
    """
    sums = [v.sum(axis=1) for v in values]
    size = sum(float(np.abs(v).sum(axis=1).mean()) for v in values)
    total = int(np.prod([len(s) for s in sums], dtype=float)) if sums else 0
    if total < 2:
        return among(0.0, np.empty(0), 0.0)
    observed = sum(float(s[0]) for s in sums)
    if total - 1 <= draws:
        others = np.zeros(1)
        for s in sums:
            others = (others[:, None] + s[None, :]).ravel()
        others = others[1:]  # without the identity, which the 1 in the formula stands for
    else:
        # The identity may be drawn like any other arrangement.
        others = np.sum([s[rng.integers(len(s), size=draws)] for s in sums], axis=0)
    return among(observed, others, size)


@dataclass(frozen=True)
class Resampled:
    """Resamplings of whole shots.

    weights : (draws, shots) counts of each shot. member : (clips,) index of each clip's shot. home :
    (shots,) index of each shot's stratum. runs : whether strata were drawn too. A value's resampled mean
    is (weights @ sums) / (weights @ counts).
    """

    weights: np.ndarray
    member: np.ndarray
    home: np.ndarray
    runs: bool

    def tells(self, known: np.ndarray) -> bool:
        """Whether the clips in `known` (bool (clips,)) have enough shots for an interval."""
        shots = np.unique(self.member[known])
        strata = len(np.unique(self.home[shots]))
        spread = strata >= FEWEST_RUNS if self.runs else len(shots) >= SHOTS_A_RUN * strata
        return len(shots) >= FEWEST_SHOTS and spread


def resample(
    shots: np.ndarray,
    strata: np.ndarray,
    draws: int,
    rng: np.random.Generator,
    runs: bool = False,
) -> Resampled:
    """Draws whole shots with replacement, within each stratum (run).

    Parameters
    ----------
    shots, strata : (clips,) labels.
    runs : draw the strata with replacement as well, so that the interval is of other runs too.
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
    if runs:
        # Each time that a run is drawn it brings its shots once more.
        drawn = rng.multinomial(len(every), np.full(len(every), 1 / len(every)), size=draws)
        weights *= drawn[:, home]
    return Resampled(weights, member, home, runs)


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
    (low, high); (NaN, NaN) where shots are too few to tell, see `Resampled.tells`.
    """
    finite, member = np.isfinite(values), resampled.member
    if not resampled.tells(finite):
        return NAN, NAN
    weights, size = resampled.weights, resampled.weights.shape[1]
    below = np.ones(len(values)) if per is None else per
    top = np.bincount(member[finite], weights=values[finite], minlength=size)
    bottom = np.bincount(member[finite], weights=below[finite], minlength=size)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = (weights @ top) / (weights @ bottom)
    low, high = np.nanquantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def apart(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """values - others of the same clips; 0 if they differ only by rounding."""
    gap = values - others
    alike = np.abs(gap) <= TIE * np.maximum(np.abs(values), np.abs(others))
    return np.where(alike, 0.0, gap)


def random_signs(shots: int, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Signs (draws, shots) of +1 and -1; all 2^shots except the identity if there are fewer."""
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
        return NAN
    observed = abs(float(sums.sum()))
    null = np.abs(signs.astype(np.float64) @ sums)
    slack = TIE * float(np.abs(sums).sum())
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
