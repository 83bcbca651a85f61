"""p-values: the rank of a score among those of other arrangements of the same data.

Takes scores under each circular shift; returns p-values, never 0, in which scores that differ by rounding
alone count as ties. Without another arrangement there is no p, and a reason instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from boldreel.stats import shifts

NAN = float("nan")
# Values of float32 that should be the same differ by less than this share of their size.
TIE = 1e-5
# By how many standard deviations of the shifted scores a verdict's score may be off: runs of one
# configuration on two processors differ by about so much.
MARGIN = 0.25
NO_SHIFT = "no run is long enough for five circular shifts"


@dataclass(frozen=True)
class Permutation:
    """The rank of a score among those of other arrangements.

    p : (1 + number of other arrangements at least as good) / (1 + arrangements), never 0.
    p_low, p_high : the same if the score were better, and worse, by MARGIN standard deviations of the
        others. What holds at both does not hang on the processor.
    arrangements : number of others. All p are NaN if there is none.
    reason : why there is no p; empty if there is one.
    """

    p: float
    p_low: float
    p_high: float
    arrangements: int
    reason: str = ""


def among(observed: float, others: np.ndarray, size: float) -> Permutation:
    """One-sided p of a score among those of other arrangements, larger is better.

    Parameters
    ----------
    others : (N,). size : what the terms of the score add up to without their signs, of which others count as
        equal if they are nearer than a share of TIE.
    """
    count = len(others)
    if not count:
        return Permutation(NAN, NAN, NAN, 0, NO_SHIFT)
    margin = MARGIN * float(others.std())

    def p(score: float) -> float:
        return (1 + int(np.count_nonzero(others >= score - TIE * size))) / (1 + count)

    return Permutation(p(observed), p(observed + margin), p(observed - margin), count)


@dataclass(frozen=True)
class Null:
    """A summed score and those of other arrangements (N,); size as in `among`."""

    observed: float
    others: np.ndarray
    size: float


def null(sums: Sequence[np.ndarray], size: float, draws: int, rng: np.random.Generator) -> Null:
    """A score that is summed over runs, under circular shifts that each run makes on its own.

    Parameters
    ----------
    sums : (shifts,) score of each run under each shift, larger is better, the identity first.
    size : as in `among`.
    draws : number N of joint shifts drawn; where there are no more joint shifts than that, all
        are used instead, see `shifts.joint`.
    """
    choice = shifts.joint([len(s) for s in sums], draws, rng)
    others = np.zeros(len(choice))
    for s, chosen in zip(sums, choice.T, strict=True):
        others = others + s[chosen]
    return Null(sum(float(s[0]) for s in sums), others, size)


def apart(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """values - others of the same clips; 0 if they differ only by rounding."""
    gap = values - others
    alike = np.abs(gap) <= TIE * np.maximum(np.abs(values), np.abs(others))
    return np.where(alike, 0.0, gap)
