"""Which averages of a clip's repeats are decoded: all repeats, halves of them, and disjoint sets of a size.

Takes trials of the test clips; returns windows (clips, w, V), clips sorted by name.
"""

from __future__ import annotations

import numpy as np

from boldreel.data.responses import Responses

COUNTS = (1, 2, 5, 10, 20)


def sorted_clips(responses: Responses) -> tuple[list[str], np.ndarray]:
    """Clips by name, and the rows of the responses in that order."""
    order = np.argsort(responses.clips)
    return [responses.clips[k] for k in order], order


def rows_by_clip(trials: Responses) -> tuple[list[str], list[np.ndarray]]:
    """Sorted clips, and for each the rows of its showings, first repeats first."""
    clip, repeat = np.asarray(trials.clips), np.asarray(trials.repeats)
    names = sorted(set(trials.clips))
    order = np.argsort(repeat, kind="stable")
    return names, [order[clip[order] == name] for name in names]


def counts(rows: list[np.ndarray]) -> list[int]:
    """How many repeats are averaged: those of COUNTS that every clip has, and as many as every clip has."""
    fewest = min(len(own) for own in rows)
    return [*(n for n in COUNTS if n < fewest), fewest]


def averages(x: np.ndarray, rows: list[np.ndarray], n: int) -> list[np.ndarray]:
    """Windows (clips, w, V) averaged over n repeats, one array for each of the disjoint sets of repeats."""
    sets = min(len(own) for own in rows) // n
    return [np.stack([x[own[k * n : (k + 1) * n]].mean(0) for own in rows]) for k in range(sets)]


def split_halves(trials: Responses, clips: list[str]) -> tuple[np.ndarray, np.ndarray] | None:
    """Windows (clips, w, V) averaged over every other showing, and over the rest; None if a clip has one."""
    clip, repeat = np.asarray(trials.clips), np.asarray(trials.repeats)
    order = np.argsort(repeat, kind="stable")
    rows = [order[clip[order] == name] for name in clips]
    if min(map(len, rows)) < 2:
        return None
    odd, even = (np.stack([trials.x[own[k::2]].mean(0) for own in rows]) for k in (0, 1))
    return odd, even
