"""Runs as this stage sees them: series, timing, and the clips that were shown.

Takes series files, the table of presentations and the clips table; returns one ShownRun per run that shows
something of a wanted split, series memory-mapped. Files of other splits are not opened.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from boldreel.data import arrays, bids_names, features
from boldreel.data import presentations as presentation_table
from boldreel.data.presentations import Presentation
from boldreel.data.splits import SPLITS
from boldreel.errors import UserError
from boldreel.names import natural
from boldreel.windows import clock

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class ShownRun:
    """One run: values float32 (volumes, positions), timing in s, clips shown and when.

    others : what it shows of other splits
    """

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
    others: tuple[Presentation, ...] = ()

    def answers_others(self, length: float) -> np.ndarray:
        """Volumes bool (n,) that hold a response, of a length (s), to what is shown of other splits."""
        times = clock.volume_times(len(self.values), self.t_r, self.start_time)
        found = np.zeros(len(times), bool)
        for row in self.others:
            found |= (times >= row.onset) & (times < row.end + length)
        return found

    def first(self, lag: float) -> np.ndarray:
        """First volume (n clips shown,) of each clip's window; may lie outside the run."""
        return clock.first_volumes(self.shown.onsets, lag, self.t_r, self.start_time)


def clips_of(clips: pd.DataFrame, presentations: Path) -> pd.DataFrame:
    """The clips of the movies that a subject's table names: of thousands, others saw the rest."""
    movies = presentation_table.movies_of(presentation_table.read(presentations))
    return clips[clips["movie"].isin(list(movies))].reset_index(drop=True)


def load_runs(
    series: Sequence[Path],
    presentations: Path,
    clips: pd.DataFrame,
    splits: Collection[str] = SPLITS,
) -> list[ShownRun]:
    """The runs of the wanted splits, by segment, repeat and split.

    Parameters
    ----------
    series : files named by run; runs that show nothing in these splits are passed over
    presentations : the subject's table of what they showed (data.presentations)

    Returns
    -------
    One ShownRun for each split that a run shows something of: mostly one.

    Raises
    ------
    UserError : a series of a run that the table does not have, or without timing; two files for one run;
        presentations that show no known clip.
    """
    table = {run.label: run for run in presentation_table.read(presentations)}
    found: dict[tuple[str, int, str], ShownRun] = {}
    paths: dict[str, Path] = {}
    for path in series:
        segment, repeat = bids_names.parse_label(path)
        label = bids_names.run_label(segment, repeat)
        if label not in table:
            raise UserError(f"{path}: {presentations} has no run {label}; make the table again")
        if label in paths:
            raise UserError(f"{path}: the same run as {paths[label]}; give each run once")
        paths[label] = path
        for split in splits:
            rows = table[label].of(split)
            if not rows or table[label].excluded:
                continue
            values, meta = arrays.load(path, kind="series")
            t_r = float(meta["t_r"])
            if not t_r > 0:
                raise UserError(f"{path}: t_r is {t_r} s in its sidecar; make the series again")
            shown = clock.clip_onsets(clips, rows)
            if not len(shown.rows):
                names = ", ".join(sorted({row.stimulus for row in rows}))
                raise UserError(
                    f"{rows[0].origin or presentations}: {label} shows {names}, but no whole clip of that "
                    "is in the "
                    "clips table; check stimulus, its onset and duration"
                )
            found[segment, repeat, split] = ShownRun(
                label=label,
                segment=segment,
                repeat=repeat,
                split=split,
                values=values,
                t_r=t_r,
                start_time=float(meta["start_time"]),
                shown=shown,
                movies=frozenset(clips["movie"].iloc[shown.rows]),
                path=path,
                others=table[label].of(*(other for other in SPLITS if other != split)),
            )
    if not found:
        raise UserError(
            f"no series of a {' or '.join(sorted(splits))} run; check `segments` (the first series given is "
            f"{series[0].stem if series else 'missing'})"
        )
    order = sorted(found, key=lambda key: (natural(key[0]), key[1], SPLITS.index(key[2])))
    return [found[key] for key in order]


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
    folders : features folders, R/stimuli/{batch}/features; those of other movies are not opened

    Returns
    -------
    float32 (rows of clips, 2 D), each half of unit norm, NaN for clips of other movies

    Raises
    ------
    UserError : a movie without features, or features that do not fit the clips table.
    """
    values: np.ndarray | None = None
    opened = features.FeatureFolders(folders)
    places = clips.groupby("movie", sort=False).indices
    for movie in sorted(movies, key=natural):
        at = places[movie]
        rows = clips.iloc[at]
        found = opened.of_movie(rows, "image", "text")
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
