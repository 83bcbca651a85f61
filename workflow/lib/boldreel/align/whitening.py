"""Candidates for the covariance of noise, with one of which windows are whitened.

Takes training trials, positions, and the cohort's noise model where there is one; returns what makes
covariance matrices over the positions that are read. Correlations come from the cohort or from the subject's
own repeats, variances from the repeats. Which candidate is best is for left-out segments to say.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from boldreel.align.data import Trials
from boldreel.data.cohort_noise import CohortNoise
from boldreel.models import noise
from boldreel.stats.shifts import runs_in_time

# What the candidates are, best guess first.
CANDIDATES = {
    "cohort": "the cohort's noise model",
    "distance": "the cohort's curve over distance alone",
    "both": "differences between the subject's own repeats, shrunk towards the cohort's",
    "own": "differences between the subject's own repeats",
    "none": "no whitening",
}


@dataclass(frozen=True)
class Candidate:
    """A noise model: `make` takes trials and returns the covariance (n, n), or None for none.

    own : whether it is estimated from the trials' own noise. A fit that leaves rows out then needs one
        without them: it would know their noise.
    """

    make: Callable[[Trials], np.ndarray | None]
    own: bool = False


Candidates = dict[str, Candidate]


Solve = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Solver:
    """Multiplies (n, D) by the inverse of a covariance (n, n).

    root : its lower Cholesky factor L; None for the identity.
    """

    root: np.ndarray | None

    def __call__(self, values: np.ndarray) -> np.ndarray:
        from scipy.linalg import cho_solve

        if self.root is None:
            return values
        return cho_solve((self.root, True), values, check_finite=False)

    def white(self, volumes: np.ndarray) -> np.ndarray:
        """L^-1 times each of some volumes (U, n), float32: their noise is the identity, and their products
        are those of the inverse of the covariance."""
        from scipy.linalg import solve_triangular

        if self.root is None:
            return volumes
        values = np.empty(volumes.shape, np.float32)
        for low in range(0, len(values), 512):  # no copy of all in float64
            part = volumes[low : low + 512].T.astype(np.float64)
            values[low : low + 512] = solve_triangular(
                self.root, part, lower=True, overwrite_b=True, check_finite=False
            ).T
        return values

    def unwhite(self, weight: np.ndarray) -> np.ndarray:
        """What weights (n, K) of white volumes are for volumes as they came: L^-T times them."""
        from scipy.linalg import solve_triangular

        if self.root is None:
            return weight
        return solve_triangular(self.root, weight, lower=True, trans="T", check_finite=False)


IDENTITY = Solver(None)


def solver(covariance: np.ndarray | None) -> Solver:
    """What multiplies by the inverse of a covariance (n, n), which is overwritten; None for none."""
    if covariance is None:
        return IDENTITY
    from scipy.linalg import cholesky

    # symmetric, and the transpose is in the order that LAPACK factors in place
    return Solver(cholesky(covariance.T, lower=True, overwrite_a=True, check_finite=False))


def candidates(
    trials: Trials, used: np.ndarray, xyz: np.ndarray, cohort: CohortNoise | None
) -> Candidates:
    """Noise models over the n positions used by name, in the order of CANDIDATES.

    xyz : (V, 3) mm. Without a cohort, or without a clip that was shown twice, their candidates are missing.
    """
    where = xyz[used]
    found: Candidates = {"none": Candidate(lambda trials: None)}
    summed = _Summed(list(repeat_differences(trials, used)))

    def scaled(correlation: np.ndarray, runs: list[np.ndarray]) -> np.ndarray:
        if not runs:
            return correlation
        size = np.sqrt(np.mean(np.concatenate(runs) ** 2, axis=0))
        size = np.maximum(size, 0.1 * size.mean())
        correlation *= size[:, None]
        correlation *= size
        return correlation

    def of_cohort() -> np.ndarray:
        assert cohort is not None
        return np.asarray(cohort.correlation[np.ix_(used, used)], np.float64)

    @functools.cache
    def least_of_cohort() -> float:
        bounds = (noise.NUGGET, noise.NUGGET / 2)
        return next((least for least in bounds if noise.positive(of_cohort(), least)), 0.0)

    def own(trials: Trials, target: Callable[[], np.ndarray] | None) -> np.ndarray | None:
        runs = list(repeat_differences(trials, used))
        if not runs:  # what is left of few trials may hold no repeat
            return None if target is None else target()
        sample = summed.of(runs).correlation()
        if target is None:
            curve = noise.distance_curve(sample, where)
            mixed = noise.shrunk(sample, curve.matrix(where), curve.own)[0]
        else:
            mixed = noise.shrunk(sample, target(), least_of_cohort())[0]
        return scaled(mixed, runs)

    if cohort is not None:
        curve = cohort.curve
        found["cohort"] = Candidate(
            lambda trials: scaled(of_cohort(), list(repeat_differences(trials, used)))
        )
        found["distance"] = Candidate(
            lambda trials: scaled(curve.matrix(where), list(repeat_differences(trials, used)))
        )
    if summed.runs:
        found["own"] = Candidate(lambda trials: own(trials, None), own=True)
        if cohort is not None:
            found["both"] = Candidate(lambda trials: own(trials, of_cohort), own=True)
    return {name: found[name] for name in CANDIDATES if name in found}


class _Summed:
    """Sums over all runs of a subject's repeat differences, made when they are first asked for.

    A fit that leaves a segment out knows the other runs' differences, and these are what they are in all
    trials, unless clips come back in other segments. The sums without a few runs cost as much as these runs.
    """

    def __init__(self, runs: list[np.ndarray]):
        self.runs = {_digest(run): run for run in runs}
        self._sums: noise.Sums | None = None

    def of(self, runs: list[np.ndarray]) -> noise.Sums:
        """Of these runs, (volumes, n) each."""
        asked = set(map(_digest, runs))
        others = [run for name, run in self.runs.items() if name not in asked]
        if len(asked) < len(runs) or asked - self.runs.keys() or len(others) >= len(runs):
            return noise.Sums.of(runs)
        if self._sums is None:
            self._sums = noise.Sums.of(self.runs.values())
        return self._sums - noise.Sums.of(others) if others else self._sums


def _digest(run: np.ndarray) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(run).data).digest()


def repeat_differences(trials: Trials, used: np.ndarray) -> Iterator[np.ndarray]:
    """What no showing of a clip shares with the others: for each run (volumes, n), in order of time.

    Each window's first volume minus its mean over the showings of the clip, at the variance of one showing.
    Clips that were shown once are left out.
    """
    counts = np.bincount(trials.clip, minlength=len(trials.features.clips))
    repeated = counts[trials.clip] > 1
    first = trials.x[:, 0]
    mean = np.stack([first[rows].mean(0) if len(rows) else first[0] * 0 for rows in trials.rows_of])
    for of_run in runs_in_time(trials.run, trials.onset, dict.fromkeys(trials.run)):
        rows = of_run[repeated[of_run]]
        if len(rows) < 4:
            continue
        clips = trials.clip[rows]
        size = np.sqrt(counts[clips] / (counts[clips] - 1))[:, None]
        apart = ((first[rows] - mean[clips]) * size)[:, used]
        if apart.any():  # copies of one run differ nowhere, and tell nothing of noise
            yield apart
