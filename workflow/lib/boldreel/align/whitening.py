"""Candidates for the covariance of noise, with one of which windows are whitened.

Takes training trials, positions, and the cohort's noise model where there is one; returns functions that make
covariance matrices over the positions that are read. Correlations come from the cohort or from the subject's
own repeats, variances from the repeats. Which candidate is best is for left-out segments to say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

import numpy as np

from boldreel.align.data import Trials
from boldreel.data.cohort_noise import CohortNoise
from boldreel.models import noise

# What the candidates are, best guess first.
CANDIDATES = {
    "cohort": "the cohort's noise model",
    "distance": "the cohort's curve over distance alone",
    "both": "differences between the subject's own repeats, shrunk towards the cohort's",
    "own": "differences between the subject's own repeats",
    "none": "no whitening",
}
Candidates = dict[str, Callable[[], np.ndarray | None]]


def candidates(
    trials: Trials, used: np.ndarray, xyz: np.ndarray, cohort: CohortNoise | None
) -> Candidates:
    """Functions by name, in the order of CANDIDATES, that make (n, n) over the n positions used; that of
    "none" returns None.

    xyz : (V, 3) mm. Without a cohort, or without a clip that was shown twice, their candidates are missing.
    """
    where = xyz[used]
    runs = list(repeat_differences(trials, used))
    size = np.sqrt(np.mean(np.concatenate(runs) ** 2, axis=0)) if runs else np.ones(len(where))
    size = np.maximum(size, 0.1 * size.mean())
    found: Candidates = {}

    def scaled(correlation: np.ndarray) -> np.ndarray:
        return correlation * size[:, None] * size

    def of_cohort() -> np.ndarray:
        assert cohort is not None
        return np.asarray(cohort.correlation[np.ix_(used, used)], np.float64)

    @cache
    def sampled() -> noise.SampleCorrelation:
        return noise.sample_correlation(runs)

    def own(target: np.ndarray | None) -> np.ndarray:
        sample = sampled()
        if target is None:
            target = noise.distance_curve(sample, where).matrix(where)
        return noise.shrunk(sample, target)[0]

    if cohort is not None:
        found["cohort"] = lambda: scaled(of_cohort())
        found["distance"] = lambda: scaled(cohort.curve.matrix(where))
    if runs and cohort is not None:
        found["both"] = lambda: scaled(own(of_cohort()))
    if runs:
        found["own"] = lambda: scaled(own(None))
    found["none"] = lambda: None
    return {name: found[name] for name in CANDIDATES if name in found}


def repeat_differences(trials: Trials, used: np.ndarray) -> Iterator[np.ndarray]:
    """What no showing of a clip shares with the others: for each run (volumes, n), in order of time.

    Each window's first volume minus its mean over the showings of the clip, at the variance of one showing.
    Clips that were shown once are left out.
    """
    counts = np.bincount(trials.clip, minlength=len(trials.features.clips))
    repeated = counts[trials.clip] > 1
    first = trials.x[:, 0]
    mean = np.stack([first[rows].mean(0) if len(rows) else first[0] * 0 for rows in trials.rows_of])
    for name in dict.fromkeys(trials.run[repeated]):
        rows = np.flatnonzero(repeated & (trials.run == name))
        rows = rows[np.argsort(trials.onset[rows], kind="stable")]
        if len(rows) < 4:
            continue
        clips = trials.clip[rows]
        size = np.sqrt(counts[clips] / (counts[clips] - 1))[:, None]
        yield ((first[rows] - mean[clips]) * size)[:, used]
