"""Presentations: what was shown when, one row for each stretch of film without a break.

Reads and writes `presentations.tsv`, the one table that all stages take onsets, films, splits and exclusions
from. A run's rows that continue each other are one presentation: some data sets have a row for each shot or
frame of a film (ds000113 has 22,551 in a run), and clips across two such rows were shown whole.

A film may be played faster or slower than its file: `speed` is seconds of film per second of the run.
Standard library only: the workflow reads presentations while it plans.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from boldreel.data import atomic
from boldreel.errors import UserError

# Rows this near (s) to each other touch, in the run and in the film: clocks jitter, screens drop pictures,
# and all of it is far less than a volume.
_SLACK = 0.1
SPEED_SLACK = 0.005  # part by which a film's clock may differ from the run's
_STRAIGHT = 0.05  # s by which rows may lie off the line of one speed
_SPEEDS = 0.8, 1.25  # rows that skip more are parts of a film, not a film that is played faster

# Entities of a run besides subject, as pybids names them, and the keys that BIDS has in file names.
ENTITIES = {
    "session": "ses",
    "task": "task",
    "acquisition": "acq",
    "ceagent": "ce",
    "reconstruction": "rec",
    "direction": "dir",
    "run": "run",
}
NOTHING = "n/a"


class Presentation(NamedTuple):
    """A stretch of film that was shown in a run.

    onset, duration : s from the run's start, as the scanner counted it, and s of the run
    stimulus : path of the movie below the folder of stimuli, as the events name it
    stimulus_onset : s into the movie
    speed : s of the movie in 1 s of the run
    part_known : whether the events say which part of the movie it is
    origin : file and row that say so, for messages
    movie : name of the movie in the results
    split : train, validation or test; "" for a presentation that is not used
    """

    onset: float
    duration: float
    stimulus: str
    stimulus_onset: float = 0.0
    speed: float = 1.0
    part_known: bool = True
    origin: str = ""
    movie: str = ""
    split: str = ""

    @property
    def end(self) -> float:
        """s from the run's start."""
        return self.onset + self.duration

    @property
    def stimulus_end(self) -> float:
        """s into the movie at which the presentation ends."""
        return self.stimulus_onset + self.speed * self.duration

    def within(self, begin: float, end: float) -> Presentation | None:
        """The part of it between two times of the run (s); None if there is none."""
        onset, until = max(self.onset, begin), min(self.end, end)
        if until - onset <= 1e-9:
            return None
        start = self.stimulus_onset + self.speed * (onset - self.onset)
        return self._replace(onset=onset, duration=until - onset, stimulus_onset=start)


class ShownRun(NamedTuple):
    """A run of the table, or a stretch of one: what names it, which part of it counts, and its rows.

    label : `task-SEGMENT_run-REPEAT`, which names its files in the results
    file : the same of the functional run that it is a stretch of; equal to `label` for a whole run
    entities : of the functional run, by the names of `ENTITIES`
    begin, end : s of the run that are used; None for no limit
    excluded : the reason why it is not used; "" for a run that is
    """

    label: str
    file: str
    entities: dict[str, str]
    begin: float | None
    end: float | None
    rows: tuple[Presentation, ...]
    excluded: str = ""

    def of(self, *splits: str) -> tuple[Presentation, ...]:
        """The rows in these splits."""
        return tuple(row for row in self.rows if row.split in splits)


def join(rows: Iterable[Presentation], speed_stated: bool = False) -> list[Presentation]:
    """The presentations of one run, with rows that continue each other joined, by onset.

    A row continues another if it shows the same film at the same speed, begins when the other ends or before,
    and at the place in the film that the other has reached by then.

    Parameters
    ----------
    speed_stated : whether the speeds are those that somebody wrote down, not 1 by default

    Raises
    ------
    UserError : rows that show a film without a break, but at another speed than its file's, and no speed is
        stated.
    """
    ordered = sorted(rows, key=lambda row: row.onset)
    if not speed_stated:  # where the speed is stated, parts that skip ahead evenly are just that
        for stretch in _unbroken(ordered):
            _check_speed(stretch)
    joined: list[Presentation] = []
    lead = 0.0
    for row in ordered:
        # Where in the film the run would have begun: the same in all rows of one presentation. Slack must not
        # add up over thousands of rows, so each is held against the first of its stretch.
        own = row.stimulus_onset - row.speed * row.onset
        last = joined[-1] if joined else None
        if (
            last is not None
            and (row.stimulus, row.speed, row.split) == (last.stimulus, last.speed, last.split)
            and row.onset <= last.end + _SLACK
            and abs(own - lead) <= _SLACK
        ):
            joined[-1] = last._replace(duration=max(last.end, row.end) - last.onset)
        else:
            lead = own
            joined.append(row)
    return joined


def _unbroken(ordered: Sequence[Presentation]) -> Iterable[list[Presentation]]:
    """Stretches of three or more rows that advance in one film without a break."""
    stretch: list[Presentation] = []
    for row in ordered:
        before = stretch[-1] if stretch else None
        if (
            before is None
            or (row.stimulus, row.speed) != (before.stimulus, before.speed)
            or row.onset > before.end + _SLACK
            or row.stimulus_onset <= before.stimulus_onset
        ):
            if len(stretch) > 2:
                yield stretch
            stretch = []
        stretch.append(row)
    if len(stretch) > 2:
        yield stretch


def _check_speed(rows: Sequence[Presentation]) -> None:
    """UserError if rows without a break advance evenly in their film, but not at the stated speed."""
    first, last = rows[0], rows[-1]
    span = last.onset - first.onset
    shown = last.stimulus_onset - first.stimulus_onset
    if span <= 0:
        return
    found = shown / span
    off = max(
        abs(row.stimulus_onset - first.stimulus_onset - found * (row.onset - first.onset))
        for row in rows
    )
    drift = shown - first.speed * span
    differs = abs(found / first.speed - 1) > SPEED_SLACK and abs(drift) > _SLACK
    low, high = _SPEEDS
    if differs and off <= _STRAIGHT and low <= found / first.speed <= high:
        row = last.origin.rsplit(" ", 1)[-1]
        raise UserError(
            f"{first.origin} to {row} show {shown:g} s of {first.stimulus} in {span:g} s, and clips would "
            "drift "
            f"by {abs(drift):.1f} s; correct the stimulus onsets, or write the speed of the film, "
            f"{found:.4f}, into a column speed"
        )


def movies_of(runs: Iterable[ShownRun], *splits: str) -> dict[str, str]:
    """{name of a movie in the results: its path below the folder of stimuli} of what runs show.

    Runs that are not used and rows without a split count for nothing; `splits` restricts to these.
    """
    return {
        row.movie: row.stimulus
        for run in runs
        if not run.excluded
        for row in run.rows
        if row.split and (not splits or row.split in splits)
    }


# The table

_RUN_COLUMNS = ("subject", *ENTITIES)
_ROW_COLUMNS = ("onset", "duration", "stimulus", "stimulus_onset", "speed", "split")
_END_COLUMNS = ("exclude", "reason")
# Written by the workflow, not asked of a user.
_MADE_COLUMNS = ("movie", "label", "file", "begin", "end", "origin")
COLUMNS = (*_RUN_COLUMNS, *_ROW_COLUMNS, *_END_COLUMNS)


def write(path: Path, subject: str, runs: Iterable[ShownRun]) -> None:
    """Write the table of one subject, complete: a step finds all it needs in it."""
    atomic.write_text(path, text([(subject, runs)], made=True))


def text(subjects: Iterable[tuple[str, Iterable[ShownRun]]], made: bool = False) -> str:
    """The table of subjects as text. made : with the columns that the workflow fills in."""
    out = io.StringIO()
    table = csv.writer(out, delimiter="\t", lineterminator="\n")
    table.writerow([*COLUMNS, *(_MADE_COLUMNS if made else ())])
    for subject, runs in subjects:
        for run in runs:
            about = [subject, *(run.entities.get(name, NOTHING) for name in ENTITIES)]
            ends = ["true" if run.excluded else "false", run.excluded or NOTHING]
            extra = [run.label, run.file, _cell(run.begin), _cell(run.end)]
            for row in run.rows:
                shown = [
                    *(_cell(row.onset), _cell(row.duration), row.stimulus),
                    # Nobody has said which part it is: a check of the movies' lengths asks for it.
                    _cell(row.stimulus_onset if row.part_known or row.stimulus_onset else None),
                    *(_cell(row.speed), row.split or NOTHING),
                ]
                made_cells = [row.movie, *extra, _short(row.origin)] if made else []
                table.writerow([*about, *shown, *ends, *made_cells])
    return out.getvalue()


def read(path: Path | str) -> list[ShownRun]:
    """The runs of a table that `write` wrote, in its order.

    Raises
    ------
    UserError : no such table, a column that is missing, a cell that is no time.
    """
    runs: dict[str, ShownRun] = {}
    found: dict[str, list[Presentation]] = {}
    for origin, cells in cells_of(path, (*COLUMNS, *_MADE_COLUMNS)):
        label = cells["label"]
        found.setdefault(label, []).append(
            row_of(cells, origin)._replace(
                movie=cells["movie"],
                split=_word(cells["split"]),
                origin=_word(cells["origin"]) or origin,
            )
        )
        if label not in runs:
            runs[label] = ShownRun(
                label,
                cells["file"],
                entities_of(cells),
                _limit(cells["begin"], origin),
                _limit(cells["end"], origin),
                (),
                _word(cells["reason"]) if is_excluded(cells) else "",
            )
    return [run._replace(rows=tuple(found[label])) for label, run in runs.items()]


def cells_of(path: Path | str, columns: Iterable[str]) -> Iterable[tuple[str, dict[str, str]]]:
    """("file: row N", {column: cell}) of every row; UserError if one of `columns` is missing."""
    path = Path(path)
    try:
        lines = io.StringIO(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise UserError(
            f"{path}: no such table of presentations; `boldreel init` writes one"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a readable table ({error}); save it as UTF-8") from None
    table = csv.reader(lines, delimiter="\t")
    names = [name.strip() for name in next(table, [])]
    missing = [name for name in columns if name not in names]
    if missing:
        raise UserError(
            f"{path}: no column {missing[0]} (found {', '.join(names) or 'nothing'}); `boldreel init` writes "
            "the table with all its columns"
        )
    for row in table:
        cells = [cell.strip() for cell in row]
        if any(cells) and not cells[0].startswith("#"):
            cells += [""] * (len(names) - len(cells))
            yield f"{path}: row {table.line_num}", dict(zip(names, cells, strict=False))


def row_of(cells: dict[str, str], origin: str) -> Presentation:
    """The presentation of a row of the table; UserError for a cell that is no time."""
    stated = _word(cells.get("stimulus_onset", ""))
    return Presentation(
        number(cells["onset"], "onset", origin),
        number(cells["duration"], "duration", origin, low=0.0),
        cells["stimulus"],
        number(stated or "0", "stimulus_onset", origin, low=0.0),
        number(_word(cells.get("speed", "")) or "1", "speed", origin, low=0.0, above=True),
        bool(stated),
        origin,
    )


def entities_of(cells: dict[str, str]) -> dict[str, str]:
    """The entities of a run that a row of the table names."""
    return {name: word for name in ENTITIES if (word := _word(cells.get(name, "")))}


def is_excluded(cells: dict[str, str]) -> bool:
    """Whether a row of the table says that its run is not used."""
    return _word(cells.get("exclude", "")).lower() in ("true", "yes", "1")


def number(
    cell: str, column: str, origin: str, low: float = -math.inf, above: bool = False
) -> float:
    """The number in a cell; UserError for anything else, and below (or, with `above`, at) `low`."""
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < low or (above and value <= low):
        wanted = "seconds of film a second" if column == "speed" else "a time in seconds"
        raise UserError(f"{origin}: {column} is {cell or NOTHING}; expected {wanted}")
    return value


def _short(origin: str) -> str:
    """An origin without folders: results do not depend on where the data lie."""
    place, row, number = origin.rpartition(": row ")
    return f"{Path(place).name}{row}{number}" if row else Path(origin).name or NOTHING


def _limit(cell: str, origin: str) -> float | None:
    return number(cell, "begin or end", origin) if _word(cell) else None


def _word(cell: str) -> str:
    return "" if cell.lower() in ("", NOTHING) else cell


def _cell(value: float | None) -> str:
    """A number as short as it can be read back exactly."""
    return (
        NOTHING if value is None else f"{value:g}" if float(f"{value:g}") == value else repr(value)
    )
