"""The clips to compare: at one number of frames and size, run by run, with their attributes.

Takes clips, the clips table and the stimuli; returns uint8 arrays and rows of clips.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from boldreel.data import batches
from boldreel.data.frames import Movies, frame_index, resize
from boldreel.errors import UserError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Segment:
    """The test clips of one run, in time order.

    rows : (n,) rows of each clip in the arrays of the whole set.
    """

    name: str
    rows: np.ndarray


def as_size(clips: np.ndarray, frames: int, size: tuple[int, int]) -> np.ndarray:
    """Clips (n, F, h, w, 3) with `frames` frames shown at evenly spaced times, at `size`."""
    taken = clips[:, frame_index(clips.shape[1], frames)]
    if taken.shape[2:4] == tuple(size):
        return taken
    return np.stack([resize(clip, size) for clip in taken])


def mean_frame(
    table: pd.DataFrame, stimuli: Sequence[Path | str], size: tuple[int, int]
) -> np.ndarray:
    """Mean frame (h, w, 3) uint8 over the table's (training) clips, each frame once."""
    total, count = None, 0
    decoded = Movies(stimuli)
    for (batch, movie), rows in table.groupby([batches.of_clips(table), "movie"], sort=False):
        frames, _ = decoded.frames(str(movie), str(batch))
        # Of these clips alone: the rest of the film may be the test.
        shown = np.zeros(len(frames), bool)
        for row in rows.itertuples():
            shown[row.first_frame : row.first_frame + row.n_frames] = True
        # In pieces: a long movie's sum must not take the memory of a float copy.
        for chosen in np.array_split(np.flatnonzero(shown), max(1, int(shown.sum()) // 256)):
            part = frames[chosen].sum(axis=0, dtype=np.float64)
            total = part if total is None else total + part
        count += int(shown.sum())
    if total is None:
        raise UserError("no training clip to take the mean frame of; check segments.train")
    return resize(np.round(total / count).astype(np.uint8)[None], size)[0]


def segments(rows: pd.DataFrame) -> list[Segment]:
    """Runs of the clips, each in the order in which it showed them.

    rows : a clip each, with the columns segment and onset (s from the start of the run), or movie and index
        where videos are scored without runs
    """
    by = ["onset"] if "onset" in rows else ["movie", "index"]
    out = []
    for name in sorted(rows["segment"].unique()):
        inside = np.flatnonzero((rows["segment"] == name).to_numpy())
        order = rows.iloc[inside].reset_index(drop=True).sort_values(by, kind="stable").index
        out.append(Segment(name, inside[order.to_numpy()]))
    return out
