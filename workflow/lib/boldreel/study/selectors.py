"""Selectors: which runs, stretches of runs and presentations belong to which split.

Takes the entries of `segments`: a pattern on a run's name, or conditions on its entities, on what is shown
and on times within the run. Returns the rows of a run with their splits. Whole runs are the rule; where a run
is cut into stretches, a guard on both sides keeps the response to one from reaching into the other.
Standard library only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import groupby, pairwise
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from boldreel.data.presentations import ENTITIES, Presentation
from boldreel.data.splits import SPLITS
from boldreel.errors import UserError

# What a condition may be called: as pybids does, or as in BIDS' file names.
_NAMES = {"subject": "subject", "sub": "subject", **{name: name for name in ENTITIES}}
_NAMES |= {key: name for name, key in ENTITIES.items()}
_ROW_CONDITIONS = ("stimulus", "time")
_SLACK = 0.1  # s by which a film may seem to go back where it goes on: clocks jitter
_EXACT = 1e-6  # s; sums of times in a table are rounded


class Stretch(NamedTuple):
    """A part of a run, s; None for no limit. rows : its presentations, each with its split."""

    begin: float | None
    end: float | None
    rows: tuple[Presentation, ...]


class Part(NamedTuple):
    """A part of a run before guards are taken off.

    time : s of the run that it may use; shown : s of the run in which it shows something
    rows : what is of its split
    """

    time: tuple[float, float]
    shown: tuple[float, float]
    split: str
    rows: tuple[Presentation, ...]


@dataclass(frozen=True)
class Selector:
    """One entry of `segments`.

    pattern : of one of the run's names, None for any
    entities : allowed patterns by entity
    stimulus : allowed patterns of the movie's path or name; none for any
    time : stretch of the run, s; None for all of it
    """

    pattern: str | None
    entities: Mapping[str, tuple[str, ...]]
    stimulus: tuple[str, ...] = ()
    time: tuple[float, float] | None = None

    def matches_run(self, names: Iterable[str], entities: Mapping[str, str]) -> bool:
        """Whether a run's name and entities (with subject) match."""
        if self.pattern is not None:
            # `t*` means tasks that begin with t, not every name that begins with "task-".
            spelt = "task-" in self.pattern
            return any(
                fnmatchcase(name, self.pattern) for name in names if spelt or "task-" not in name
            )
        return matches(self.entities, entities)

    def matches_row(self, row: Presentation) -> bool:
        """Whether what a row shows matches."""
        shown = (row.stimulus, PurePosixPath(row.stimulus).stem)
        return not self.stimulus or any(
            fnmatchcase(name, pattern) for name in shown for pattern in self.stimulus
        )


def matches(wanted: Mapping[str, tuple[str, ...]], entities: Mapping[str, str]) -> bool:
    """Whether entities match patterns; an entity that a run does not have matches "" and "*" only."""
    return all(
        any(fnmatchcase(entities.get(name, ""), pattern) for pattern in patterns)
        for name, patterns in wanted.items()
    )


def conditions(
    given: Mapping[str, Any], where: str, beside: Iterable[str] = ()
) -> dict[str, tuple[str, ...]]:
    """{entity: patterns} of conditions as a configuration writes them.

    beside : further keys, which are left out

    Raises
    ------
    UserError : an unknown entity.
    """
    found: dict[str, tuple[str, ...]] = {}
    for key, value in given.items():
        if key in beside:
            continue
        if key not in _NAMES:
            raise UserError(
                f"configuration: {where}: {key} is no entity of a run (known: "
                f"{', '.join([*dict.fromkeys(_NAMES.values()), *beside])})"
            )
        name = _NAMES[key]
        each = value if isinstance(value, list | tuple) else [value]
        found[name] = tuple(_plain(name, one) for one in each)
    return found


def _plain(name: str, value: Any) -> str:
    """A pattern: without the prefix of BIDS' file names, and run indices without zeros in front."""
    text = "" if value is None else str(value)
    text = text.removeprefix(f"{ENTITIES.get(name, 'sub')}-")
    return str(int(text)) if name == "run" and text.isdigit() else text


def parse(segments: Mapping[str, Sequence[Any]]) -> dict[str, list[Selector]]:
    """The selectors of each split; UserError for an entry that is neither a pattern nor conditions."""
    return {
        split: [_selector(entry, f"segments.{split}") for entry in segments.get(split) or ()]
        for split in SPLITS
    }


def _selector(entry: Any, where: str) -> Selector:
    if isinstance(entry, str):
        return Selector(entry, {})
    if not isinstance(entry, Mapping) or not entry:
        raise UserError(
            f"configuration: {where}: {entry!r} is neither a pattern nor conditions such as "
            f"{{task: movie, run: 3}}"
        )
    shown = entry.get("stimulus", ())
    time = entry.get("time")
    if time is not None:
        if (
            not isinstance(time, list | tuple)
            or len(time) != 2
            or not all(isinstance(t, int | float) for t in time)
            or not 0 <= time[0] < time[1]
        ):
            raise UserError(
                f"configuration: {where}: time is {time!r}; give [begin, end] of the run in s, rising"
            )
        time = float(time[0]), float(time[1])
    return Selector(
        None,
        conditions(entry, where, _ROW_CONDITIONS),
        (shown,) if isinstance(shown, str) else tuple(shown),
        time,
    )


def assign(
    selectors: Mapping[str, Sequence[Selector]],
    names: Sequence[str],
    entities: Mapping[str, str],
    rows: Sequence[Presentation],
    guard: float,
) -> tuple[bool, list[Stretch]]:
    """(whether `segments` names the run, its stretches with the split of each row).

    Parameters
    ----------
    names : of the run, any of which a pattern may match
    entities : of the run, with subject
    guard : s on each side of a border between stretches of different splits that are not used

    Returns
    -------
    A run that is not cut is one stretch without limits, with all its rows; rows that nothing names have
    split "". Rows of a stretch are cut to it. Rows that have a split already cut the run where a film goes on
    in another split, as times in `segments` do, and not where another film does, as `stimulus` does not.

    Raises
    ------
    UserError : a presentation, or a time of the run, is of the test and of another split.
    """
    applying = {
        split: [one for one in each if one.matches_run(names, entities)]
        for split, each in selectors.items()
    }
    timed = [
        Part(one.time, one.time, split, tuple(row for row in rows if one.matches_row(row)))
        for split, each in applying.items()
        for one in each
        if one.time is not None
    ]
    if any(row.split for row in rows):  # the user's own table says it
        if not _parts_of_a_film(rows):
            return True, [Stretch(None, None, tuple(rows))]
        return True, _cut(_parts(rows), f"{rows[0].origin}: {names[0]}", guard)
    if timed:
        where = f"configuration: segments: {names[0]}"
        if any(one.time is None for each in applying.values() for one in each):
            raise UserError(
                f"{where} is named both with a time and as a whole; give every stretch of it a time"
            )
        return True, _cut(timed, where, guard)
    named = any(not one.stimulus for each in applying.values() for one in each)
    split_rows = tuple(
        row._replace(split=_one_of([s for s in SPLITS if _any(applying[s], row)], row, names[0]))
        for row in rows
    )
    return named or any(row.split for row in split_rows), [Stretch(None, None, split_rows)]


def _any(selectors: Iterable[Selector], row: Presentation) -> bool:
    return any(one.matches_row(row) for one in selectors)


def _one_of(splits: Sequence[str], row: Presentation, name: str) -> str:
    """Validation is taken out of training; UserError for a row of the test that is of another split too."""
    if "test" in splits and len(splits) > 1:
        raise UserError(
            f"configuration: {name} ({row.stimulus}) is matched by segments.test and by "
            f"segments.{splits[0]}; "
            "make them exclusive, or test data leaks into training"
        )
    return "validation" if "validation" in splits else splits[0] if splits else ""


def _parts_of_a_film(rows: Sequence[Presentation]) -> bool:
    """Whether somewhere in a run a film goes on in another split than before."""
    named = sorted((row for row in rows if row.split), key=lambda row: row.onset)
    return any(
        before.stimulus == after.stimulus
        and before.split != after.split
        and after.stimulus_onset >= before.stimulus_end - _SLACK
        for before, after in pairwise(named)
    )


def _parts(rows: Sequence[Presentation]) -> list[Part]:
    """The parts of a run that rows of one split follow each other in; they meet halfway between them."""
    named = sorted((row for row in rows if row.split), key=lambda row: row.onset)
    groups = [tuple(each) for _, each in groupby(named, key=lambda row: row.split)]
    shown = [(own[0].onset, max(row.end for row in own)) for own in groups]
    borders = [(before[1] + after[0]) / 2 for before, after in pairwise(shown)]
    times = pairwise([0.0, *borders, float("inf")])
    return [
        Part(time, span, own[0].split, own)
        for time, span, own in zip(times, shown, groups, strict=True)
    ]


def _cut(parts: Iterable[Part], where: str, guard: float) -> list[Stretch]:
    """The stretches of a run, each less a guard where another one meets it."""
    ordered = sorted(parts, key=lambda part: part.time)
    stretches = []
    for k, part in enumerate(ordered):
        begin, end = part.time
        before = ordered[k - 1] if k else None
        after = ordered[k + 1] if k + 1 < len(ordered) else None
        if before and before.shown[1] > part.shown[0] + _EXACT:
            raise UserError(
                f"{where}: the stretches {list(before.shown)} ({before.split}) and {list(part.shown)} "
                f"({part.split}) overlap; make them exclusive"
            )
        # The response to a stretch's end goes on in the next one.
        if before and before.split != part.split:
            begin += max(0.0, guard - (begin - before.time[1]) / 2)
        if after and after.split != part.split:
            end -= max(0.0, guard - (after.time[0] - part.time[1]) / 2)
        left = min(end, part.shown[1]) - max(begin, part.shown[0])
        if left < guard:
            raise UserError(
                f"{where}: {left:g} s are left of the stretch {list(part.shown)} ({part.split}) after a "
                f"guard of {guard:g} s on each side; make it longer"
            )
        inside = (row.within(begin, end) for row in part.rows)
        rows = tuple(row._replace(split=part.split) for row in inside if row)
        stretches.append(Stretch(begin, None if end == float("inf") else end, rows))
    return stretches
