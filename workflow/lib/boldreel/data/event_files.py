"""Events files: what a run showed when.

Reads an events.tsv as BIDS specifies it, or as spreadsheets and E-Prime write it; returns a table of
presentations, or only the names of the movies.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from boldreel.data import files
from boldreel.errors import UserError

if TYPE_CHECKING:
    import pandas

_NOTHING = {"", "n/a", "na", "nan", "none", "null", "-"}


def stim_files(path: Path | str) -> list[str]:
    """The movies that an events file names, each once; UserError as `read`.

    Without pandas and without a look at the times: the Snakefile asks this of every run.
    """
    rows = _rows(Path(path))
    _, names = next(rows)
    if "stim_file" not in names:
        read(path)  # says what is wrong, in one line
    column = names.index("stim_file")
    found = dict.fromkeys(cells[column] for _, cells in rows)
    return list(filter(None, dict.fromkeys(map(_cell, found))))


def read(path: Path | str, stimuli: Path | str | None = None) -> pandas.DataFrame:
    """What was shown when; rows that continue each other are merged (data.presentations).

    Parameters
    ----------
    stimuli : the data set's stimuli/ directory, to check that every movie is there

    Returns
    -------
    frame : columns of the file with onset, duration (s, from the run's start), stim_file (None where
        a row shows no stimulus), stim_onset (s into the movie; 0 where the file does not say), part_known
        (whether it says), speed (seconds of the movie in a second of the run; 1 where the file does not
        say), movie (stim_file without folder and suffix) and row (the line in the file, the first of them
        where several are one).

    Raises
    ------
    UserError : missing file or column, a cell that is no time, a movie that is not in stimuli/, rows that
        contradict each other. A run at rest, which shows nothing in any row, is no error here.
    """
    import pandas

    from boldreel.data import presentations

    path = Path(path)
    rows = _rows(path)
    _, names = next(rows)
    for column in ("onset", "duration", "stim_file"):
        if column not in names:
            raise UserError(
                f"{path}: no column {column} (found {', '.join(names)}); events need onset, "
                "duration and stim_file, the movie's name under stimuli/"
            )
    lines, cells = [], []
    for line, row in rows:
        lines.append(line)
        cells.append(list(map(_cell, row)))
    frame = pandas.DataFrame(cells, columns=names, dtype=object)
    frame["row"] = lines
    shown = frame["stim_file"].notna()
    speed_stated = "speed" in frame
    for column, default in (("stim_onset", "0"), ("speed", "1")):
        if column not in frame:
            frame[column] = None
        if column == "stim_onset":
            frame["part_known"] = frame[column].notna()
        frame[column] = frame[column].where(frame[column].notna(), default)
    for column in ("onset", "duration", "stim_onset", "speed"):
        numbers = pandas.to_numeric(frame[column], errors="coerce").astype("float64")
        low = float("-inf") if column == "onset" else 0.0
        good = numbers.ge(low) & numbers.lt(float("inf"))
        if column == "speed":
            good &= numbers.gt(0)
        wrong = (shown | frame[column].notna()) & ~good
        if wrong.any():
            place = int(wrong.to_numpy().argmax())
            raise UserError(
                f"{path}: row {lines[place]}: {column} is {frame[column][place] or 'n/a'}; expected "
                + ("seconds of film a second" if column == "speed" else "a time in seconds")
            )
        frame[column] = numbers
    movies = [Path(name).stem if name else None for name in frame["stim_file"]]
    frame["movie"] = pandas.Series(movies, index=frame.index, dtype=object)
    if stimuli is not None:
        for line, name in zip(frame["row"], frame["stim_file"], strict=True):
            if name and not (Path(stimuli) / name).is_file():
                raise UserError(
                    f"{path}: row {line}: stim_file {name} is not in {stimuli}; put the movie "
                    "there or correct the name"
                )
    return presentations.join(frame, path, speed_stated)


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """(line, cells) of a tab-separated table, the names of its columns first, blanks around cells taken off.

    Every row has as many cells as there are columns; tabs behind the last one are passed over.

    Raises
    ------
    UserError : no such file, no table, or a row of more cells than columns.
    """
    files.check_fetched(path)
    if not path.is_file():
        raise UserError(
            f"{path}: no such events file; every run that shows a movie needs one (BIDS)"
        )
    width = 0
    try:
        with path.open(encoding=files.encoding_of(path), newline="") as source:
            lines = csv.reader(source, delimiter="\t")
            for row in lines:
                cells = [cell.strip() for cell in row]
                if not any(cells):
                    continue
                while len(cells) > width and not cells[-1]:
                    cells.pop()
                if width and len(cells) > width:
                    raise UserError(
                        f"{path}: row {lines.line_num} has {len(cells)} cells, the first line names {width}; "
                        "expected a tab-separated table"
                    )
                width = width or len(cells)
                yield lines.line_num, cells + [""] * (width - len(cells))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: not a tab-separated table ({error})") from None
    if not width:
        raise UserError(f"{path}: not a tab-separated table (it is empty)")


def _cell(text: str) -> str | None:
    """The text of a cell, None if it stands for nothing: BIDS' n/a, and what R and Python write for it."""
    return None if text.lower() in _NOTHING else text
