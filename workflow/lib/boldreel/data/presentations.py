"""Presentations: rows of events that continue each other are merged.

Takes the rows of a run's events file; returns one row for each stretch of film that was shown without a
break. Some files have a row for each shot or frame of a film (ds000113 has 22,551 in a run): clips across
two such rows were shown whole.

A film may be played faster or slower than its file: `speed` is seconds of film per second of the run.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from boldreel.errors import UserError

if TYPE_CHECKING:
    import pandas

# Rows this near (s) to each other touch, in the run and in the film: clocks jitter, screens drop pictures,
# and all of it is far less than a volume.
_SLACK = 0.1
SPEED_SLACK = 0.005  # part by which a film's clock may differ from the run's
_STRAIGHT = 0.05  # s by which rows may lie off the line of one speed
_SPEEDS = 0.8, 1.25  # rows that skip more are parts of a film, not a film that is played faster


def join(events: pandas.DataFrame, where: Path, speed_stated: bool = False) -> pandas.DataFrame:
    """The events, with rows that continue each other joined, in order of their first rows.

    A row continues another if it shows the same film at the same speed, begins when the other ends or before,
    and at the place in the film that the other has reached by then.

    Parameters
    ----------
    events : onset, duration, stim_onset (s), speed, stim_file (None if nothing is shown) and row, the
        line in the file
    speed_stated : whether the file has a column speed

    Raises
    ------
    UserError : rows that show a film without a break, but at another speed than its file's, and no speed is
        stated.
    """
    shown = np.flatnonzero(events["stim_file"].notna().to_numpy())
    order = shown[np.argsort(events["onset"].to_numpy()[shown], kind="stable")]
    columns = ("onset", "duration", "stim_onset", "speed")
    onset, duration, begin, speed = (events[name].to_numpy(float)[order] for name in columns)
    film = events["stim_file"].to_numpy()[order]
    end = onset + duration
    same = (film[1:] == film[:-1]) & (speed[1:] == speed[:-1])
    unbroken = same & (onset[1:] <= end[:-1] + _SLACK) & (begin[1:] > begin[:-1])
    # Where the file states the speed, parts that skip ahead evenly are just that.
    for first, last in () if speed_stated else _stretches(unbroken):
        _check_speed(events.iloc[order[first : last + 1]], where)
    # Where in the film the run would have begun: the same in all rows of one presentation. Slack must not
    # add up over thousands of rows, so each is held against the first of its stretch.
    lead = begin - speed * onset
    touching = same
    first = 0
    for k in range(1, len(order)):
        touching[k - 1] &= onset[k] <= end[k - 1] + _SLACK
        touching[k - 1] &= abs(lead[k] - lead[first]) <= _SLACK
        if touching[k - 1]:
            end[k] = max(end[k], end[k - 1])
        else:
            first = k
    if not touching.any():
        return events
    joined = events.copy()
    dropped: list[int] = []
    for first, last in _stretches(touching):
        joined.iloc[order[first], joined.columns.get_loc("duration")] = end[last] - onset[first]
        dropped += order[first + 1 : last + 1].tolist()
    return joined.drop(index=joined.index[dropped]).reset_index(drop=True)


def _check_speed(rows: pandas.DataFrame, where: Path) -> None:
    """UserError if rows without a break advance evenly in their film, but not at the stated speed."""
    first: Any = rows.iloc[0]
    onset, begin = rows["onset"].to_numpy(float), rows["stim_onset"].to_numpy(float)
    span, shown = onset[-1] - onset[0], begin[-1] - begin[0]
    if len(rows) < 3 or span <= 0:
        return
    found = shown / span
    off = np.abs(begin - begin[0] - found * (onset - onset[0])).max()
    drift = shown - first.speed * span
    differs = abs(found / first.speed - 1) > SPEED_SLACK and abs(drift) > _SLACK
    low, high = _SPEEDS
    if differs and off <= _STRAIGHT and low <= found / first.speed <= high:
        raise UserError(
            f"{where}: rows {first.row} to {rows['row'].iloc[-1]} show {shown:g} s of {first.stim_file} in "
            f"{span:g} s, and clips would drift by {abs(drift):.1f} s; correct stim_onset, or write the "
            f"speed of the film, {found:.4f}, into a column speed"
        )


def _stretches(joined: np.ndarray) -> Iterator[tuple[int, int]]:
    """(first, last) of each stretch of joined rows; single rows are left out."""
    edges = np.diff(np.concatenate([[0], joined.astype(int), [0]]))
    return zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True)
