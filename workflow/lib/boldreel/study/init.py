"""The first table of presentations of a data set, and a configuration to begin with.

Reads what a data set says about its runs; returns the text of presentations.tsv, which a user may edit, and
of a short configuration. Nothing in the data set is changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from boldreel.data import bids, bids_inheritance, derivatives, presentations
from boldreel.data.presentations import ShownRun
from boldreel.errors import UserError
from boldreel.study.settings import PresentationsSettings
from boldreel.study.shown import StudyPresentations
from boldreel.study.study import Study


def of_study(study: Study) -> tuple[str, list[str]]:
    """(table, lines about it) of a configured study: what its stages read, with splits."""
    if study.embedded:
        raise UserError(
            "boldreel init: the configuration has no `bids`; name the root of a data set of your own"
        )
    made = []
    for subject in study.subjects:
        runs = [
            run
            for one in study.presentations.runs[subject]
            if one.named or one.spec.excluded
            for run in one.stretches
            if run.rows
        ]
        made.append((subject, runs))
    return presentations.text(made), _lines(made)


def of_tree(root: Path, tree: Path | None = None) -> tuple[str, list[str]]:
    """(table, lines about it) of a data set of which nothing else is known: all that events say, without
    splits.

    tree : derivatives whose runs are taken, None for raw runs

    Raises
    ------
    UserError : no such data set, or events that cannot be read.
    """
    if not root.is_dir():
        raise UserError(f"{root}: no such BIDS directory; name the root of a data set")
    subjects = sorted(path.name[4:] for path in root.glob("sub-*") if path.is_dir())
    if not subjects:
        raise UserError(f"{root}: no folder sub-XX; name the root of a BIDS data set")

    def find(subject: str) -> list[Any]:
        return list(derivatives.find(tree, subject) if tree else bids.find_runs(root, subject))

    def events_of(subject: str, run: Any) -> Path | None:
        path = bids_inheritance.events_of(bids.raw_name(run.path, root) if tree else run.path)
        return path if path.exists() else None

    found = StudyPresentations(PresentationsSettings(), {}, events_of, lenient=True)
    found.read({subject: find(subject) for subject in subjects})
    made = [
        (subject, [run for one in runs for run in one.stretches if run.rows])
        for subject, runs in found.runs.items()
    ]
    silent = sorted(
        {
            one.found.segment
            for runs in found.runs.values()
            for one in runs
            if not one.stretches[0].rows
        }
    )
    lines = _lines(made)
    if silent:
        lines.append(
            f"tasks of which events name no movie: {', '.join(silent)}; if they showed one, say it in "
            "presentations.rules (docs/own-data.md) and call boldreel init with --configfile"
        )
    return presentations.text(made), [*found.skipped, *lines]


def _lines(made: Iterable[tuple[str, Iterable[ShownRun]]]) -> list[str]:
    runs = [run for _, each in made for run in each]
    shown = {row.stimulus for run in runs for row in run.rows}
    count = sum(len(run.rows) for run in runs)
    return [f"{count} presentations of {len(shown)} movies in {len(runs)} runs"]


def configuration(root: str, table: str) -> str:
    """The text of a configuration to begin with."""
    name = re.sub(r"[^A-Za-z0-9_-]", "-", Path(root).resolve().name).lstrip("-_") or "mine"
    return (
        f"dataset: {name}\n"
        f"bids: {root}\n"
        "preset: base                # one GPU of 24 GB\n"
        f"presentations: {{table: {table}}}\n"
        "# Or leave the column split of the table empty, and name runs here: patterns on task or "
        "task_run-N, or\n"
        "# conditions such as {task: movie, run: [1, 2]}.\n"
        "segments: {train: [], validation: [], test: []}\n"
        "bold: {engine: fmriprep-docker, fmriprep: {licence: path/to/freesurfer/license.txt}}\n"
    )
