"""Which movies are decoded together.

Takes what each subject saw; returns batches. Up to `ALONE` movies are a batch each. Thousands of short clips
share jobs and folders: those of one combination of splits, in the order of the subjects who saw them first,
up to `MOST` of them or `LONGEST` s of film. A subject with a later label so adds batches and changes none.
Standard library only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from boldreel.data import batches
from boldreel.data.presentations import ShownRun
from boldreel.data.splits import SPLITS

ALONE = 64  # movies
MOST = 200  # movies
LONGEST = 1200.0  # s of film


class Batch(NamedTuple):
    """Movies that one job decodes.

    movies : their names
    splits : those that show them
    subject : whose table of presentations lists them; "" for a movie by itself
    rows : which movies of that table, as data.batches.as_ranges writes it
    """

    movies: tuple[str, ...]
    splits: tuple[str, ...]
    subject: str = ""
    rows: str = ""


class Seen(NamedTuple):
    """What a subject saw of a movie: in which splits, and how far into it (s)."""

    splits: frozenset[str]
    until: float


def seen_in(runs: Sequence[ShownRun], names: Mapping[str, str]) -> dict[str, Seen]:
    """{movie: what was seen of it} in the runs of one subject, by name.

    names : {path of a movie: its name}
    """
    splits: dict[str, set[str]] = {}
    until: dict[str, float] = {}
    for run in runs:
        for row in run.rows:
            if row.split:
                name = names[row.stimulus]
                splits.setdefault(name, set()).add(row.split)
                until[name] = max(until.get(name, 0.0), row.stimulus_end)
    return {name: Seen(frozenset(splits[name]), until[name]) for name in sorted(splits)}


def of(seen: Mapping[str, Mapping[str, Seen]]) -> dict[str, Batch]:
    """{name of a batch: the batch}.

    Parameters
    ----------
    seen : by subject, in the order of labels, and movie, by name
    """
    shown: dict[str, set[str]] = {}
    for each in seen.values():
        for movie, what in each.items():
            shown.setdefault(movie, set()).update(what.splits)
    if len(shown) <= ALONE:
        return {movie: Batch((movie,), _ordered(shown[movie])) for movie in sorted(shown)}
    found: dict[str, Batch] = {}
    known: set[str] = set()
    for subject, each in seen.items():
        groups: dict[tuple[str, ...], list[tuple[int, str, float]]] = {}
        for row, (movie, what) in enumerate(each.items()):
            if movie not in known:
                groups.setdefault(_ordered(shown[movie]), []).append((row, movie, what.until))
        known.update(each)
        for splits in sorted(groups):
            for rows, movies in _cut(groups[splits]):
                name = batches.name_of(splits, movies)
                found[name] = Batch(tuple(movies), splits, subject, batches.as_ranges(rows))
    return found


def _ordered(splits: set[str]) -> tuple[str, ...]:
    return tuple(split for split in SPLITS if split in splits)


def _cut(movies: Sequence[tuple[int, str, float]]) -> Iterator[tuple[list[int], list[str]]]:
    """(row, movie, s) cut into batches of rows and movies."""
    rows: list[int] = []
    names: list[str] = []
    length = 0.0
    for row, name, seconds in movies:
        if names and (len(names) == MOST or length + seconds > LONGEST):
            yield rows, names
            rows, names, length = [], [], 0.0
        rows.append(row)
        names.append(name)
        length += seconds
    if names:
        yield rows, names
