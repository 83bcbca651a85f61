"""Runs as this stage sees them: series, timing, and the clips that were shown.

Takes series files, events files and the clips table; returns one ShownRun per run whose segment is in
a wanted split, series memory-mapped. Files of other splits are not opened.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from boldreel.data import arrays, bids, event_files, features
from boldreel.data.splits import SPLITS, split_of
from boldreel.errors import UserError
from boldreel.windows import clock

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class ShownRun:
    """One run: values float32 (volumes, positions), timing in s, clips shown and when."""

    label: str
    segment: str
    repeat: int
    split: str
    values: np.ndarray
    t_r: float
    start_time: float
    shown: clock.Shown
    movies: frozenset[str]
    path: Path

    def first(self, lag: float) -> np.ndarray:
        """First volume (n clips shown,) of each clip's window; may lie outside the run."""
        return clock.first_volumes(self.shown.onsets, lag, self.t_r, self.start_time)


def load_runs(
    series: Sequence[Path],
    events: Sequence[Path],
    clips: pd.DataFrame,
    patterns: Mapping[str, Sequence[str]],
    splits: Collection[str] = SPLITS,
) -> list[ShownRun]:
    """The runs of the wanted splits, by segment and repeat.

    Parameters
    ----------
    series : files named by run; segments that no pattern names are passed over
    events : of each of them, in the same order, whatever their names: one may apply to several runs

    Raises
    ------
    UserError : a run without events or timing, two files for one run, events that show no known clip.
    """
    if len(series) != len(events):
        raise UserError(f"{len(series)} series and {len(events)} events files; give one for each")
    found: dict[tuple[str, int], ShownRun] = {}
    for path, shown_in in zip(series, events, strict=True):
        segment, repeat = key = bids.parse_label(path)
        split = split_of(segment, patterns)
        if split is None or split not in splits:
            continue
        if key in found:
            raise UserError(f"{path}: the same run as {found[key].path}; give each run once")
        if bids.parse_entities(shown_in.name).get("task", segment) != segment:
            raise UserError(
                f"{path}: {shown_in} is of another task; give events in the order of series"
            )
        values, meta = arrays.load(path, kind="series")
        t_r = float(meta["t_r"])
        if not t_r > 0:
            raise UserError(f"{path}: t_r is {t_r} s in its sidecar; make the series again")
        table = event_files.read(shown_in)
        if not table["stim_file"].notna().any():
            raise UserError(
                f"{shown_in}: stim_file is n/a in every row; name the movie that was shown, or "
                "take the run's task out of segments"
            )
        shown = clock.clip_onsets(clips, table)
        movies = frozenset(clips["movie"].iloc[shown.rows])
        if not len(shown.rows):
            names = ", ".join(sorted({name for name in table["movie"] if isinstance(name, str)}))
            raise UserError(
                f"{shown_in}: shows {names}, but no whole clip of that is in the clips table; "
                "check stim_file, stim_onset and duration"
            )
        found[key] = ShownRun(
            label=bids.run_label(segment, repeat),
            segment=segment,
            repeat=repeat,
            split=split,
            values=values,
            t_r=t_r,
            start_time=float(meta["start_time"]),
            shown=shown,
            movies=movies,
            path=path,
        )
    if not found:
        raise UserError(
            f"no series of a {' or '.join(sorted(splits))} segment; check the patterns in segments "
            f"(the first series given is {series[0].stem if series else 'missing'})"
        )
    return [found[key] for key in sorted(found, key=lambda key: (bids.natural(key[0]), key[1]))]


def check_positions(shown: Sequence[ShownRun], positions: int, source: Path) -> None:
    """UserError unless every series has as many columns as the table has positions."""
    for run in shown:
        if run.values.shape[1] != positions:
            raise UserError(
                f"{run.path}: {run.values.shape[1]} positions, {source} has {positions}; make both from "
                "one positions table"
            )


def clip_features(
    clips: pd.DataFrame, folders: Sequence[Path], movies: Collection[str]
) -> np.ndarray:
    """CLIP features of the clips of some movies: mean over frames, then text.

    Parameters
    ----------
    folders : features folders, R/stimuli/{movie}/features; those of other movies are not opened

    Returns
    -------
    float32 (rows of clips, 2 D), each half of unit norm, NaN for clips of other movies

    Raises
    ------
    UserError : a movie without features, or features that do not fit the clips table.
    """
    values: np.ndarray | None = None
    for movie in sorted(movies, key=bids.natural):
        at = np.flatnonzero((clips["movie"] == movie).to_numpy())
        rows = clips.iloc[at]
        found = features.of_movie(features.folder_of(folders, movie), rows, "image", "text")
        means = [
            features.mean_image(found["image"], first, count)
            for first, count in zip(rows["first_frame"], rows["n_frames"], strict=True)
        ]
        both = np.concatenate([np.stack(means), found["text"]], axis=1)
        if values is None:
            values = np.full((len(clips), both.shape[1]), np.nan, np.float32)
        values[at] = both
    assert values is not None
    return values
