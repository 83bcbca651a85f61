"""Segments: which runs of a task are repeats of each other, and how they are named.

Takes entities of runs and what they showed; returns names. A segment is what a run showed: runs of one task
that show the same are its repeats. Runs that show different things are segments of their own, such as parts
of a film or sets of clips. Standard library only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from boldreel.data.presentations import ENTITIES, Presentation

_SAME_FILM = 1  # decimals (s) to which two runs that show the same agree about the part of a film

Shown = tuple[tuple[str, float], ...]


def content(rows: Iterable[Presentation]) -> Shown:
    """What a run showed, in order: films and the places in them. Onsets jitter between repeats."""
    return tuple((row.stimulus, round(row.stimulus_onset, _SAME_FILM)) for row in rows)


def name_of(entities: Mapping[str, str], by: Iterable[str]) -> str:
    """A segment's name from its task and further entities: letters, digits and plus, as BIDS' labels are."""
    rest = "".join(f"{ENTITIES[name]}{entities[name]}" for name in by if name in entities)
    return f"{entities.get('task', '')}{rest}"


# What tells the runs of a task apart, as little of it as is needed.
BY: tuple[tuple[str, ...], ...] = (
    (),
    ("run",),
    ("session",),
    ("session", "run"),
    tuple(name for name in ENTITIES if name != "task"),
)


def naming_entities(runs: Sequence[tuple[Mapping[str, str], Shown]]) -> tuple[str, ...]:
    """Which entities, with the task, name the segments of one subject's runs of a task.

    Parameters
    ----------
    runs : (entities, what it showed) of each

    Returns
    -------
    The fewest with which all runs that share a name have shown the same.
    """
    for by in BY:
        known: dict[str, Shown] = {}
        if all(known.setdefault(name_of(entities, by), shown) == shown for entities, shown in runs):
            return by
    return BY[-1]
