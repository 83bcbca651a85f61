"""What a movie's annotations say: shots, captions and attributes.

Takes the table next to a movie (onset, duration, shot, caption, and any further columns, which are
attributes; one row per shot or finer), or one table of all movies, which has a column `movie` as well;
returns shots and, for a stretch of the movie, its caption.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from boldreel.data import tables
from boldreel.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

_FIXED = ("onset", "duration", "shot", "caption")
# Times in hand-made tables are rounded; this much (s) never moves a clip into another row.
TOLERANCE = 1e-3


def read(path: Path | str) -> pd.DataFrame:
    """The annotations of a movie in order of onset.

    Raises
    ------
    UserError : not a table of kind "annotations", empty, or rows that overlap.
    """
    path = Path(path)
    frame = _checked(tables.read(path, "annotations"), str(path))
    if not len(frame):
        raise UserError(f"{path}: no rows; annotate the movie or take the file away")
    return frame


def read_all(path: Path | str) -> dict[str, pd.DataFrame]:
    """{movie, as the table names it: its annotations}, from one table of all movies.

    Raises
    ------
    UserError : not a table of kind "annotations_of_movies", or rows of a movie that overlap.
    """
    path = Path(path)
    table = tables.read(path, "annotations_of_movies")
    return {
        str(movie): _checked(rows.drop(columns="movie"), f"{path}: {movie}")
        for movie, rows in table.groupby("movie", sort=False)
    }


def _checked(frame: pd.DataFrame, where: str) -> pd.DataFrame:
    """Rows by onset; UserError if they overlap."""
    frame = frame.sort_values("onset", kind="stable").reset_index(drop=True)
    ends = (frame["onset"] + frame["duration"]).to_numpy()
    overlap = ends[:-1] > frame["onset"].to_numpy()[1:] + TOLERANCE
    if overlap.any():
        row = int(overlap.argmax())
        raise UserError(
            f"{where}: the row at {frame['onset'][row]} s ends at {ends[row]} s, after the next begins; "
            "correct onset or duration"
        )
    return frame


def shots(frame: pd.DataFrame) -> list[tuple[float, float]]:
    """(onset, duration) in s of each shot; neighbouring rows of one shot label are one shot."""
    bounds: list[tuple[float, float]] = []
    before = None
    for row in frame.itertuples():
        end = row.onset + row.duration
        if row.shot == before:
            bounds[-1] = (bounds[-1][0], end - bounds[-1][0])
        else:
            bounds.append((row.onset, row.duration))
        before = row.shot
    return bounds


def rows_at(onsets: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Index of the last of the rising onsets that is not later than each time; at least 0."""
    return np.maximum(np.searchsorted(onsets, np.asarray(times) + TOLERANCE, side="right") - 1, 0)


def caption(frame: pd.DataFrame, times: np.ndarray) -> str:
    """The captions of the rows shown at the given rising times (s), joined with "Then"."""
    rows = rows_at(frame["onset"].to_numpy(), times)
    return join_captions([frame["caption"][row] for row in dict.fromkeys(rows.tolist())])


def join_captions(captions: list[str]) -> str:
    """One caption for several shots, each said once: ``a dog runs Then a car stops``."""
    kept = [text for k, text in enumerate(captions) if k == 0 or text != captions[k - 1]]
    return " Then ".join(kept)


def attributes(frame: pd.DataFrame, time: float) -> str:
    """JSON object of the further columns of the row shown at a time, missing values left out."""
    row = int(rows_at(frame["onset"].to_numpy(), np.array([time]))[0])
    values: dict[str, Any] = {}
    for name in frame.columns:
        value = frame[name].iloc[row]
        if name not in _FIXED and value is not None and value == value:
            values[name] = value.item() if isinstance(value, np.generic) else value
    return json.dumps(values, ensure_ascii=False)
