"""Circular shifts of runs: which ones, and the arrangements of clips that they make.

Takes lengths of runs and of shots; returns shifts and index arrays. All shifts of this package come from
`spaced`: evenly spaced ones that include the identity.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np


def runs_in_time(labels: np.ndarray, onsets: np.ndarray, names: Iterable[str]) -> list[np.ndarray]:
    """Rows of the clips of each named run, in the order in which it showed them.

    Parameters
    ----------
    labels : (n,), the run of each clip. onsets : (n,), s from the start of the run.
    """
    runs = [np.flatnonzero(labels == name) for name in names]
    return [rows[np.argsort(onsets[rows], kind="stable")] for rows in runs]


def longest(shots: Sequence[str]) -> int:
    """Length, in clips, of the longest stretch of one shot."""
    best = run = 0
    previous: object = object()
    for shot in shots:
        run = run + 1 if shot == previous else 1
        previous, best = shot, max(best, run)
    return best


def spacing(onsets: np.ndarray) -> float:
    """Typical time (s) from one clip of a run to the next; 0 for a single clip.

    Parameters
    ----------
    onsets : (n,), s, sorted
    """
    return float(np.median(np.diff(onsets))) if len(onsets) > 1 else 0.0


def least(shots: Sequence[str], seconds: float = 0.0, step: float = 0.0) -> int:
    """The shortest shift of a run, in clips: neither within a shot nor shorter than `seconds`.

    Parameters
    ----------
    shots : shot of each clip, in the order in which they were shown
    step : s from one clip to the next; where it is 0, shots alone decide
    """
    # Onsets are sums of decimal fractions: 10 s of 2 s are five steps, not six.
    by_time = math.ceil(seconds / step - 1e-6) if step > 0 else 0
    return max(longest(shots), by_time, 1)


def spaced(clips: int, apart: int, most: int = 40) -> np.ndarray:
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


def joint(counts: Sequence[int], draws: int, rng: np.random.Generator) -> np.ndarray:
    """Joint shifts of several runs that each shift on their own, int (N, runs).

    An entry is the number of one of a run's shifts, 0 the identity. Where there are no more joint shifts
    than `draws`, all but the joint identity are given, each once. Otherwise `draws` of them are drawn.
    (0, runs) if no run can be shifted.
    """
    total = math.prod(counts)
    if total < 2:
        return np.empty((0, len(counts)), dtype=np.int64)
    if total - 1 <= draws:
        return np.stack(np.unravel_index(np.arange(1, total), counts), axis=1).astype(np.int64)
    drawn = np.stack([rng.integers(count, size=draws) for count in counts], axis=1)
    # The 1 of (1 + k) / (1 + N) is the identity. Drawing it again would only cost power.
    while (again := np.flatnonzero(~drawn.any(axis=1))).size:
        drawn[again] = np.stack([rng.integers(count, size=again.size) for count in counts], axis=1)
    return drawn


def orders(
    members: Sequence[np.ndarray],
    by: Sequence[np.ndarray],
    draws: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Joint shifts as re-orderings of all rows, int (N, n).

    Parameters
    ----------
    members : rows of each run, in the order in which they were shown; together 0 to n - 1, each once
    by : `spaced` shifts of each run
    """
    choice = joint([len(one) for one in by], draws, rng)
    out = np.tile(np.arange(sum(map(len, members))), (len(choice), 1))
    for rows, steps, chosen in zip(members, by, choice.T, strict=True):
        out[:, rows] = rows[shifted(len(rows), steps[chosen])[0]]
    return out
