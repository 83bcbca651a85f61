"""Presentations for tests: what events files say, and tables as the workflow writes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path

from boldreel.data import bids_names, presentations
from boldreel.data.presentations import Presentation, ShownRun
from boldreel.study.presentations import Candidate, entities_of, shown_in
from boldreel.study.settings import Rule
from boldreel.study.shown import movie_name

# Of the small studies of these tests, by segment; validation is taken out of training.
SEGMENTS = {"train": ["train*"], "validation": ["train4"], "test": ["test*"]}


def split_of(segment: str, segments: Mapping[str, Iterable[str]] = SEGMENTS) -> str:
    """The split of a segment by patterns, "" for none."""
    found = [
        split
        for split in ("test", "validation", "train")
        if any(fnmatchcase(segment, pattern) for pattern in segments.get(split, ()))
    ]
    return found[0] if found else ""


def shown_by(events: Path, rule: Rule | None = None, earlier: float = 0.0) -> list[Presentation]:
    """What an events file says that its run showed, with the movies' names in the results."""
    bold = events.with_name(events.name.replace("_events.tsv", "_bold.nii.gz"))
    run = Candidate(entities_of("01", events.name), bold, events)
    rows = shown_in(run, rule or Rule(), earlier)
    return [row._replace(movie=movie_name(row.stimulus, False)) for row in rows]


def row(
    onset: float,
    duration: float,
    stimulus: str,
    stimulus_onset: float = 0.0,
    speed: float = 1.0,
    split: str = "",
) -> Presentation:
    """A presentation whose movie is named as in the results."""
    movie = movie_name(stimulus, False)
    return Presentation(onset, duration, stimulus, stimulus_onset, speed, movie=movie, split=split)


def shown_run(
    label: str, rows: Iterable[Presentation], split: str | None = None, **more
) -> ShownRun:
    """A run of the table, of the split that SEGMENTS says unless another is given."""
    segment, repeat = bids_names.parse_label(label)
    split = split_of(segment) if split is None else split
    made = tuple(one if one.split else one._replace(split=split) for one in rows)
    entities = {"task": segment, "run": str(repeat)}
    return ShownRun(label, more.pop("file", label), entities, None, None, made)._replace(**more)


def write_table(path: Path, shown: Mapping[str, Iterable[Presentation]]) -> Path:
    """A table of presentations of sub-01, {label of a run: its rows}."""
    presentations.write(path, "01", [shown_run(label, rows) for label, rows in shown.items()])
    return path
