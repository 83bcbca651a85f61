"""Which clip is meant: identification scores, their chance, intervals and permutation tests.

Takes similarities of predictions (rows) to true features (columns) and groups of clips that count
as one (clips of a shot, identical captions); returns numbers. Every score is an outcome matrix
(n, n): entry (a, i) is what prediction a earns when clip i is the truth. Its diagonal is the score,
and a re-pairing of predictions and truths only looks up other entries.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from boldreel import stats


@dataclass(frozen=True)
class Outcome:
    """matrix float (n, n), see the module's head; chance float (n,), expected for each truth."""

    matrix: np.ndarray
    chance: np.ndarray


def cosine(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Similarity (n, m) of unit rows."""
    return predicted @ true.T


def two_way(similarity: np.ndarray, groups: np.ndarray) -> Outcome:
    """Share of other groups' clips that are less similar than the truth; ties count half."""
    n = len(similarity)
    matrix = np.full((n, n), np.nan)
    for i in range(n):
        others = similarity[:, groups != groups[i]]
        if others.shape[1]:
            own = similarity[:, i : i + 1]
            matrix[:, i] = (own > others).mean(1) + (own == others).mean(1) / 2
    return Outcome(matrix, np.full(n, 0.5))


def top_k(similarity: np.ndarray, groups: np.ndarray, k: int) -> Outcome:
    """1 where a clip of the truth's group is among the k most similar of the pool.

    Chance is what these predictions would earn if they were dealt to the clips at random: clips of
    a group crowd the top places together, so that k / n times the group's size would be too much.
    """
    n = len(similarity)
    best = np.argpartition(-similarity, min(k, n) - 1, axis=1)[:, : min(k, n)]
    member = groups[:, None] == groups[None]
    matrix = np.zeros((n, n))
    for column in best.T:
        matrix = np.maximum(matrix, member[column])
    return Outcome(matrix, matrix.mean(0))


def correlation(predicted: np.ndarray, true: np.ndarray) -> Outcome:
    """Correlation over clips of predicted and true features (n, D), dimensions weighted by their variance.

    With P and T centred over clips, entry (a, i) is n <P_a, T_i> / (|P| |T|), whose mean over right pairs is
    the correlation of all entries of P and T; re-pairing leaves the norms as they are.
    """
    # In float64 the deviations of one and the same prediction for all clips are 0, not rounding.
    p, t = (x - x.mean(0) for x in (predicted.astype(np.float64), true.astype(np.float64)))
    size = np.linalg.norm(p) * np.linalg.norm(t)
    n = len(p)
    matrix = n * (p @ t.T) / size if size > 0 else np.zeros((n, n))
    return Outcome(matrix, np.zeros(n))


def reliability_ceiling(first: np.ndarray, second: np.ndarray, pairings: np.ndarray) -> float:
    """The most that `correlation` with the truth could be, given predictions (n, D) of two halves of repeats.

    The correlation r of the halves gives the reliability of the prediction from all repeats by
    Spearman and Brown, 2 r / (1 + r), and no prediction correlates with anything better than the root of its
    reliability. NaN if the halves do not agree better than 99 of 100 re-pairings (count, n) of them, or
    there are none.
    """
    matrix = correlation(first, second).matrix
    every = np.arange(len(matrix))
    r = float(np.diag(matrix).mean())
    if not len(pairings) or r <= max(
        0.0, float(np.quantile(matrix[pairings, every].mean(1), 0.99))
    ):
        return float("nan")
    return float(np.sqrt(2 * r / (1 + r)))


def classification(scores: np.ndarray, labels: np.ndarray) -> Outcome:
    """1 where the class with the highest score (n, classes) is the truth's label (n,).

    A label below 0 is unknown: such a clip scores NaN, and is left out of every mean.
    """
    matrix = (scores.argmax(1)[:, None] == labels[None]).astype(np.float64)
    matrix[:, labels < 0] = np.nan
    return Outcome(matrix, np.full(len(labels), 1 / scores.shape[1]))


def shifts(segments: np.ndarray, shots: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Re-pairings (count, n): the prediction that each clip is given, by circular shifts.

    Each segment's predictions are shifted against its clips, which keeps both their order in time
    and what neighbours share. A shift is no shorter, either way round, than the segment's longest
    shot, so that no clip gets a prediction of its own shot. Clips must be in their order in time.
    Where there are no more joint shifts than `count`, all of them are given, each once: drawn again and
    again they would make p smaller than any test of them can be. A segment that one shot fills stays as it
    is; where one fills each of them nothing can be re-paired, and there are none (0, n).
    """
    rng = np.random.default_rng(seed)
    members: list[np.ndarray] = []
    choices: list[np.ndarray] = []
    for segment in np.unique(segments):
        here = np.flatnonzero(segments == segment)
        least = int(np.unique(shots[here], return_counts=True)[1].max())
        possible = np.arange(least, len(here) - least + 1)
        members.append(here)
        choices.append(possible if len(possible) else np.zeros(1, dtype=int))
    if all(possible[0] == 0 for possible in choices):
        return np.empty((0, len(segments)), dtype=np.int64)
    if math.prod(len(possible) for possible in choices) <= count:
        drawn = np.array(list(itertools.product(*choices)))
    else:
        drawn = np.stack([rng.choice(possible, count) for possible in choices], axis=1)
    out = np.empty((len(drawn), len(segments)), dtype=np.int64)
    for here, column in zip(members, drawn.T, strict=True):
        for k, shift in enumerate(column):
            out[k, here] = np.roll(here, shift)
    return out


@dataclass(frozen=True)
class Score:
    """A score with its chance, interval, permutation test, and the null's mean and interval.

    p, p_low, p_high, permutations : see `boldreel.stats.Permutation`.
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


def summarise(
    outcome: Outcome,
    chosen: np.ndarray,
    shots: np.ndarray,
    pairings: np.ndarray,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> Score:
    """Mean over the clips in `chosen` (bool (n,)).

    The interval resamples whole shots. Interval and p are NaN if there are too few shots to tell, or no
    re-pairings.
    """
    at = np.flatnonzero(chosen & np.isfinite(np.diag(outcome.matrix)))
    if not len(at):
        nan = float("nan")
        return Score(nan, nan, nan, nan, nan, nan, nan, 0, 0, nan, nan, nan)
    own = outcome.matrix[at, at]
    drawn = stats.resample(shots[at], np.zeros(len(at)), resamples, np.random.default_rng(seed))
    low, high = stats.interval(own, drawn)
    null = outcome.matrix[pairings[:, at], at[None]].mean(1)
    found = stats.among(float(own.mean()), null, float(np.abs(own).mean()))
    ends = (float("nan"),) * 3
    if len(null):
        ends = (null.mean(), *np.percentile(null, [2.5, 97.5]))
    return Score(
        value=float(own.mean()),
        ci_low=float(low),
        ci_high=float(high),
        chance=float(outcome.chance[at].mean()),
        p=found.p,
        p_low=found.p_low,
        p_high=found.p_high,
        permutations=found.arrangements,
        n=len(at),
        null=float(ends[0]),
        null_low=float(ends[1]),
        null_high=float(ends[2]),
    )


def effective_rank(rows: np.ndarray) -> float:
    """In how many directions rows (n, D) spread: exp of the entropy of their singular values' shares.

    Roy and Vetterli 2007. Predictions of far lower rank than the truth say the same of most clips.
    """
    values = np.linalg.svd(rows - rows.mean(0), compute_uv=False)
    shares = values[values > 0] / values.sum() if values.any() else np.ones(1)
    return float(np.exp(-(shares * np.log(shares)).sum()))
