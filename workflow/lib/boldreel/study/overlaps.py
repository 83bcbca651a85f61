"""Overlaps: what several splits show of one film, and what training has to leave out for it.

Takes presentations with their splits; returns stretches of films, and presentations without them. Standard
library only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from boldreel.data.presentations import Presentation, ShownRun

_TOUCHING = 0.1  # s; stretches of a film that overlap by less are neighbours: clocks jitter

# {split: {film: stretches of it, s}}
Held = Mapping[str, Mapping[str, Sequence[tuple[float, float]]]]
# Which splits must not show what a split shows: nothing may be fitted on what is tested.
_BEFORE = {"train": ("validation", "test"), "validation": ("test",), "test": ()}


def find(
    runs: Iterable[ShownRun],
) -> dict[str, dict[str, list[tuple[float, float]]]]:
    """{split: {movie: stretches of it, s}} of movies that are shown in several splits."""
    shown: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for run in runs:
        for row in run.rows:
            if row.split and not run.excluded:
                place = row.stimulus_onset, row.stimulus_end
                shown.setdefault(row.stimulus, {}).setdefault(row.split, []).append(place)
    found: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for stimulus, by_split in shown.items():
        if len(by_split) > 1:
            for split, places in by_split.items():
                found.setdefault(split, {})[stimulus] = _union(places)
    return found


def _union(places: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    joined: list[tuple[float, float]] = []
    for begin, end in sorted(places):
        if joined and begin <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((begin, end))
    return joined


def conflict(run: ShownRun, held: Held) -> tuple[Presentation, str] | None:
    """The first row that shows what a later split shows, and that split."""
    for row in run.rows:
        for split in _BEFORE.get(row.split, ()):
            if left_of(row, held.get(split, {}).get(row.stimulus, ())) != [row]:
                return row, split
    return None


def without(rows: Iterable[Presentation], held: Held) -> tuple[Presentation, ...]:
    """Rows without what later splits show: training without validation and test, validation without test."""
    kept: list[Presentation] = []
    for row in rows:
        places = [
            place
            for split in _BEFORE.get(row.split, ())
            for place in held.get(split, {}).get(row.stimulus, ())
        ]
        kept += left_of(row, places)
    return tuple(kept)


def left_of(row: Presentation, places: Iterable[tuple[float, float]]) -> list[Presentation]:
    """The parts of a row that show none of these stretches of its film (s); [row] if none is shown."""
    left = [row]
    for begin, end in places:
        rest: list[Presentation] = []
        for part in left:
            first = part.onset + (begin - part.stimulus_onset) / part.speed
            last = part.onset + (end - part.stimulus_onset) / part.speed
            if last - _TOUCHING <= part.onset or first + _TOUCHING >= part.end:
                rest.append(part)
            else:
                pieces = part.within(part.onset, first), part.within(last, part.end)
                rest += [piece for piece in pieces if piece]
        left = rest
    return left
