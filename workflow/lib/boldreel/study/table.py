"""The table of presentations of one subject: which run showed what, when, and for which split.

Reads the events files of the subject's runs, or the user's own table; writes presentations.tsv. All stages
read what was shown, and which runs count, from it alone.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from boldreel import step
from boldreel.data import overlap_files, presentations, provenance
from boldreel.data.presentations import Presentation, ShownRun
from boldreel.errors import UserError
from boldreel.settings import read
from boldreel.study import overlaps, selectors
from boldreel.study import presentations as shown
from boldreel.study.overlaps import Held
from boldreel.study.presentations import RunSpec
from boldreel.study.settings import PresentationsSettings
from boldreel.study.shown import Table, movie_name, read_table, run_key


def build(
    specs: Iterable[RunSpec],
    settings: PresentationsSettings,
    segments: Mapping[str, Sequence[Any]],
    held: Held,
    full_names: bool,
    table: Table | None = None,
) -> list[ShownRun]:
    """The runs of a subject with their presentations, as the plan has found them.

    Parameters
    ----------
    held : what several splits show, as study.overlaps.find returns it
    full_names : whether movies are named by their whole path
    table : the user's own, in place of events files

    Raises
    ------
    UserError : events that changed since the plan, or that cannot be read.
    """
    chosen = selectors.parse(segments)
    made: list[ShownRun] = []
    for spec in specs:
        rows = _rows(spec, settings, table)
        _, stretches = shown.stretches_of(spec, rows, chosen, settings.guard)
        for run in stretches:
            kept = [
                row._replace(movie=movie_name(row.stimulus, full_names))
                for row in overlaps.without(run.rows, held)
            ]
            made.append(run._replace(rows=tuple(kept), excluded=spec.excluded))
    return made


def _rows(
    spec: RunSpec, settings: PresentationsSettings, table: Table | None
) -> Sequence[Presentation]:
    if table:
        return table.rows.get((spec.entities["subject"], run_key(spec.entities)), [])
    run = spec.candidate
    return shown.shown_in(run, shown.rule_of(settings.rules, run), spec.earlier)


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    started = time.time()
    parser = step.parser(__doc__)
    parser.add_argument("--subject", required=True, help="label, without sub-")
    parser.add_argument(
        "--runs", type=json.loads, required=True, help="the runs, a JSON list (see RunSpec)"
    )
    parser.add_argument(
        "--events", type=Path, nargs="+", required=True, help="what it is made from"
    )
    parser.add_argument("--overlaps", type=Path, help="what several splits show, .json")
    parser.add_argument("--output", type=Path, required=True, help="presentations.tsv")
    arguments = parser.parse_args(argv)
    config = dict(arguments.config)
    segments = config.pop("segments")
    held = overlap_files.held(arguments.overlaps) if arguments.overlaps else {}
    full_names = config.pop("full_names")
    settings = read(PresentationsSettings, config, "presentations")
    specs = [RunSpec(*one) for one in arguments.runs]
    if not specs:
        raise UserError(f"sub-{arguments.subject}: no run shows anything; check `segments`")
    table = read_table(arguments.events[0]) if settings.table else None
    runs = build(specs, settings, segments, held, full_names, table)
    presentations.write(arguments.output, arguments.subject, runs)
    inputs = [*arguments.events, *([arguments.overlaps] if arguments.overlaps else [])]
    provenance.record(arguments.output, inputs=inputs, config=arguments.config, started=started)
    counted = sum(len(run.rows) for run in runs)
    print(f"sub-{arguments.subject}: {counted} presentations in {len(runs)} runs")


if __name__ == "__main__":
    step.run(main)
