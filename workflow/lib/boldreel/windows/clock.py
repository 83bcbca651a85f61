"""The movie clock: which volumes of a run hold the response to which clip.

Takes clips, a run's presentations and its timing; returns, per clip that was shown whole, when it came on and
which volume its window begins with. All times in s.

The clock in four points:
- volume k of a run is at start_time + k * t_r from the run's start, where start_time is the reference
  time within the first TR that slice-time correction moved the data to (BIDS' StartTime; 0 without);
- a clip that begins at movie time s comes on at onset + (s - stimulus_onset) / speed of its presentation,
where speed is 1
  unless the film was played faster or slower than its file;
- the lag is counted from there to a volume's time: a window begins with the volume nearest to
  clip onset + lag, of two equally near ones with the later, since blood comes late;
- it goes on with the following volumes of the same run; past the run's end the last is repeated. A
  clip whose first volume is not in the run has no window.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from boldreel.data.presentations import Presentation

if TYPE_CHECKING:
    import pandas as pd

# Sums of decimal fractions are off by much less; real times differ by much more.
_TOLERANCE = 1e-6
# Events are written in ms, movies end between two frames: a clip this much (s) over is still whole.
_SLACK = 0.02


@dataclass(frozen=True)
class Shown:
    """Clips shown in one run, in order of time.

    rows : int (n,), rows of the clips table; onsets : float (n,), s from the run's start
    """

    rows: np.ndarray
    onsets: np.ndarray


def clip_onsets(clips: pd.DataFrame, shown: Iterable[Presentation]) -> Shown:
    """When each clip came on.

    Parameters
    ----------
    clips : table "clips"; its row numbers 0 to n - 1 are what Shown.rows counts
    shown : the presentations of one run

    Returns
    -------
    Shown, without the clips of which a presentation shows a part only
    """
    movie = clips["movie"].to_numpy()
    start = clips["start"].to_numpy()
    end = start + clips["duration"].to_numpy()
    rows, onsets = [], []
    for one in shown:
        whole = (
            (movie == one.movie)
            & (start >= one.stimulus_onset - _SLACK)
            & (end <= one.stimulus_end + _SLACK)
        )
        found = np.flatnonzero(whole)
        rows.append(found)
        onsets.append(one.onset + (start[found] - one.stimulus_onset) / one.speed)
    if not rows:
        return Shown(np.zeros(0, np.int64), np.zeros(0))
    joined = np.concatenate(onsets)
    order = np.argsort(joined, kind="stable")
    return Shown(np.concatenate(rows)[order], joined[order])


def volume_times(n_volumes: int, t_r: float, start_time: float) -> np.ndarray:
    """Times (n_volumes,) of the volumes from the run's start."""
    return start_time + t_r * np.arange(n_volumes)


def first_volumes(onsets: np.ndarray, lag: float, t_r: float, start_time: float) -> np.ndarray:
    """Volume nearest to onset + lag, the later of two equally near; may lie outside the run.

    Parameters
    ----------
    onsets : (n,), s from the run's start
    lag : s from clip onset to the volume's reference time
    """
    place = (np.asarray(onsets, dtype=float) + lag - start_time) / t_r
    return np.floor(place + 0.5 + _TOLERANCE).astype(np.int64)


def inside(first: np.ndarray, n_volumes: int) -> np.ndarray:
    """Whether each window begins in the run, bool (n,)."""
    return (first >= 0) & (first < n_volumes)
