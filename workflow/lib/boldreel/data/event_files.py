"""Events files: the rows of an events.tsv as BIDS specifies it, or as spreadsheets and E-Prime write it.

Reads the table; returns its columns and cells as text. What the rows mean is said by study.presentations.
Standard library only: the workflow asks this of every run while it plans.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from boldreel.data import files
from boldreel.errors import UserError

_NOTHING = {"", "n/a", "na", "nan", "none", "null", "-"}
_NEEDED = ("onset", "duration", "stim_file")


def columns(path: Path | str) -> list[str]:
    """Names of the columns; UserError for a file that is missing or no table."""
    return next(_rows(Path(path)))[1]


def rows(path: Path | str) -> Iterator[tuple[int, dict[str, str]]]:
    """(line, {column: cell}) of every row, "" for cells without a value.

    Raises
    ------
    UserError : no such file, no table, or a row of more cells than columns.
    """
    found = _rows(Path(path))
    _, names = next(found)
    for line, cells in found:
        yield line, {name: _cell(cell) for name, cell in zip(names, cells, strict=True)}


def is_template(path: Path | str) -> bool:
    """Whether a file is heudiconv's template: a column TODO, and no row that says anything."""
    try:
        found = _rows(Path(path))
        _, names = next(found)
        return any(name.startswith("TODO") for name in names) and next(found, None) is None
    except UserError:
        return False


def check_columns(path: Path | str, names: Sequence[str]) -> None:
    """UserError unless onset, duration and stim_file are among the columns of an events file."""
    for column in _NEEDED:
        if column not in names:
            raise UserError(
                f"{path}: no column {column} (found {', '.join(names)}); events need onset, duration and "
                "stim_file, the movie's name under stimuli/; or say in presentations.rules what the run "
                "showed"
            )


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


def _cell(text: str) -> str:
    """The text of a cell, "" if it has no value: BIDS' n/a, and what R and Python write for it."""
    return "" if text.lower() in _NOTHING else text
