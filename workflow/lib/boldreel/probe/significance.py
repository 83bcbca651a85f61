"""Retrieval scores with their intervals, tests and noise ceilings.

Takes outcomes of `align.identify`, and the segments and shots of the clips; returns numbers. Shifts,
intervals and p are those of all rows of the group's table (`stats.inference`): a shift of predictions against
truths only looks up other entries of the outcome.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from boldreel.align import identify
from boldreel.stats import shifts
from boldreel.stats.inference import Inference, shifts_of_run
from boldreel.stats.settings import InferenceSettings


class Pool:
    """Clips that are searched and scored, with their intervals and their circular shifts.

    Parameters
    ----------
    segments, shots : (n,), of clips in any order
    onsets : (n,), s from the start of the run: a segment's clips are shifted in this order, in which they
        were shown
    """

    def __init__(
        self,
        segments: np.ndarray,
        shots: np.ndarray,
        onsets: np.ndarray,
        settings: InferenceSettings,
    ) -> None:
        names = sorted(set(segments.tolist()))
        runs = shifts.runs_in_time(segments, onsets, names)
        self.size = len(shots)
        self.inference = Inference(runs, shots, settings)
        self.pairings, self.by = [], []
        for rows in runs:
            by = shifts_of_run(shots[rows], settings, shifts.spacing(onsets[rows]))
            self.by.append(by)
            i, j = shifts.shifted(len(rows), by)
            self.pairings.append((rows[i], rows[j]))

    def values(self, outcome: identify.Outcome) -> list[np.ndarray]:
        """What clips earn under each shift, (shifts, clips) of each segment, the right pairing first."""
        return [outcome.matrix[i, j] for i, j in self.pairings]

    def join(self, parts: Sequence[np.ndarray]) -> np.ndarray:
        """(n,) values of all clips, from those of each segment's."""
        out = np.full(self.size, np.nan)
        for (_, j), part in zip(self.pairings, parts, strict=True):
            out[j[0]] = part
        return out


def reliability_ceiling(first: np.ndarray, second: np.ndarray, pool: Pool) -> float:
    """The most that `identify.correlation` with the truth could be.

    Parameters
    ----------
    first, second : predictions (n, D) from one half of the repeats and from the other

    Returns
    -------
    ceiling : NaN if the halves do not agree better than in 99 of 100 shifts, or there are none

    Notes
    -----
    The correlation r of the halves gives the reliability of the prediction from all repeats by
    Spearman and Brown, 2 r / (1 + r), and no prediction correlates with anything better than the root of its
    reliability.
    """
    values = pool.values(identify.correlation(first, second))
    null = pool.inference.null(values, np.ones(len(first), dtype=bool), pool.by)
    if not len(null.others) or null.observed <= max(0.0, float(np.quantile(null.others, 0.99))):
        return float("nan")
    r = max(0.0, float(np.mean(np.concatenate([value[0] for value in values]))))
    return float(np.sqrt(2 * r / (1 + r)))


@dataclass(frozen=True)
class Score:
    """A score with its chance, interval and test, and what shuffled pairs earn, with its interval.

    p, p_low, p_high, permutations : see `boldreel.stats.permutation.Permutation`.
    """

    value: float
    ci_low: float
    ci_high: float
    chance: float
    p: float
    p_low: float
    p_high: float
    permutations: int
    n: int
    null: float
    null_low: float
    null_high: float


def summarise(outcome: identify.Outcome, chosen: np.ndarray, pool: Pool) -> Score:
    """Mean over the clips in `chosen` (bool (n,)).

    Interval and p are NaN if there are too few shots, or no shifts. Shuffled pairs are the mean over
    all shifts but the identity; NaN if a segment cannot be shifted.
    """
    values, inference = pool.values(outcome), pool.inference
    own = pool.join([value[0] for value in values])
    scored = chosen & np.isfinite(own)
    if not scored.any():
        nan = float("nan")
        return Score(nan, nan, nan, nan, nan, nan, nan, 0, 0, nan, nan, nan)
    mean = inference.mean(own, chosen)
    found = inference.test(values, chosen, pool.by)
    null = null_low = null_high = float("nan")
    if all(len(value) > 1 for value in values):
        shuffled = pool.join([value[1:].mean(axis=0) for value in values])
        null = float(shuffled[scored].mean())
        around = inference.mean(shuffled, chosen)
        null_low, null_high = around.ci_low, around.ci_high
    return Score(
        value=float(own[scored].mean()),
        ci_low=mean.ci_low,
        ci_high=mean.ci_high,
        chance=float(outcome.chance[scored].mean()),
        p=found.p,
        p_low=found.p_low,
        p_high=found.p_high,
        permutations=found.arrangements,
        n=int(scored.sum()),
        null=null,
        null_low=null_low,
        null_high=null_high,
    )
