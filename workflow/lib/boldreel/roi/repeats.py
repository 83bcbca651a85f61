"""Which runs are repeats of each other: those with the same film at the same time, whatever their task.

Takes what was on screen at each volume of each run; returns groups of runs and the volumes at which all runs
of a group agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from boldreel.data.presentations import Presentation

# A volume answers what was on screen about this many seconds before (the peak of the canonical response).
_LAG = 5.0
_SAME_TR = 1e-3  # s; headers hold single precision, sidecars decimals
_FEWEST = 10  # volumes with the same film; of fewer a correlation says little


@dataclass(frozen=True)
class Shown:
    """What the volumes of one run answer.

    t_r : s
    movie : (n,) names, "" where nothing was shown
    second : (n,) of the movie that each answers, s; 0 where nothing was shown, NaN where that is hidden
    """

    t_r: float
    movie: np.ndarray
    second: np.ndarray


@dataclass(frozen=True)
class Group:
    """Runs (their numbers) that are repeats, and the volumes (n,) bool at which they agree."""

    runs: list[int]
    same: np.ndarray


def shown(
    rows: Iterable[Presentation],
    count: int,
    t_r: float,
    start_time: float,
    hidden: Iterable[Presentation] = (),
) -> Shown:
    """What the volumes of a run answer.

    Parameters
    ----------
    rows : its presentations
    count : volumes; t_r : s; start_time : time of the first, s from the run's start
    hidden : presentations whose volumes agree with nothing, not even with those of another run that
        shows nothing
    """
    times = start_time + t_r * np.arange(count) - _LAG
    movie, second = np.full(count, "", object), np.zeros(count)
    for row in rows:
        here = (times >= row.onset) & (times < row.onset + row.duration)
        movie[here] = row.movie
        second[here] = row.stimulus_onset + row.speed * (times[here] - row.onset)
    for row in hidden:
        second[(times >= row.onset) & (times < row.onset + row.duration)] = np.nan
    return Shown(t_r, movie, second)


def agree(first: Shown, second: Shown) -> np.ndarray:
    """Volumes (of the shorter run) at which both runs show the same film's same second, or nothing."""
    count = min(len(first.movie), len(second.movie))
    if abs(first.t_r - second.t_r) > _SAME_TR:
        return np.zeros(count, bool)
    # Triggers and clocks jitter, but by less than half a volume.
    close = np.abs(first.second[:count] - second.second[:count]) <= first.t_r / 2
    return (first.movie[:count] == second.movie[:count]) & close


def groups(runs: Sequence[Shown]) -> list[Group]:
    """Groups of two or more repeats, in the order of their first runs; every run is in one at most.

    A run joins the first group with which it shares enough of a film.
    """
    found: list[Group] = []
    for number, run in enumerate(runs):
        for place, group in enumerate(found):
            first = runs[group.runs[0]]
            same = agree(first, run)
            same &= group.same[: len(same)]
            if ((first.movie[: len(same)] != "") & same).sum() >= _FEWEST:
                found[place] = Group([*group.runs, number], same)
                break
        else:
            found.append(Group([number], np.ones(len(run.movie), bool)))
    return [group for group in found if len(group.runs) > 1]
