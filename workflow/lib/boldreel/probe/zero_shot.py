"""Step: what other subjects' data alone teach about a new subject's responses.

Reads windows, series and voxels of all subjects, clips and features, and the cohort's noise model; writes a
table of retrieval on all test clips, condition "zero_shot": the linear path of the encoder, fitted on the
training and validation windows of other subjects together, reads each subject's test responses. Positions are
anatomical, so that it can. Everything is chosen on left-out segments of the others. Of the subject itself
only its positions are known, and where its windows begin.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from boldreel.align.settings import AlignSettings
from boldreel.data import cohort_noise, provenance, tables
from boldreel.errors import UserError
from boldreel.probe.settings import RetrievalSettings
from boldreel.settings import read
from boldreel.step import parser, run
from boldreel.training.progress import Progress

CONDITION = "zero_shot"
# Others that a subject is read with: a bound on time and memory; of more, some spread evenly over the list.
AT_MOST = 8


def others(number: int, count: int) -> list[int]:
    """Numbers of the subjects that stand in for a subject, all but itself or AT_MOST of them."""
    rest = [k for k in range(count) if k != number]
    kept = min(len(rest), AT_MOST)
    return [rest[k * len(rest) // kept] for k in range(kept)]


def main(argv: list[str] | None = None) -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--subjects", nargs="+", required=True, help="labels, two or more")
    for name in ("windows", "series-dir", "voxels"):
        arguments.add_argument(f"--{name}", type=Path, nargs="+", required=True, help="for each")
    arguments.add_argument("--clips", type=Path, required=True)
    arguments.add_argument("--features", type=Path, nargs="+", required=True)
    arguments.add_argument("--noise", type=Path, help="folder of the cohort's noise model")
    arguments.add_argument("--align", type=json.loads, required=True, help="the section align")
    arguments.add_argument("--output", type=Path, required=True)
    args = arguments.parse_args(argv)
    started = time.time()
    scoring = read(RetrievalSettings, args.config, "evaluate")
    settings = read(AlignSettings, args.align, "align")
    count = len(args.subjects)
    if count < 2 or not count == len(args.windows) == len(args.series_dir) == len(args.voxels):
        raise UserError(
            f"--subjects: {count}; give two or more, and --windows, --series-dir and --voxels of each"
        )

    import pandas as pd
    import torch

    from boldreel.align.data import coordinates, used_positions
    from boldreel.align.fit import choose_path
    from boldreel.align.pool import SPLITS, common_window, pooled_trials
    from boldreel.data.responses import series_files
    from boldreel.probe.cross import scored
    from boldreel.training.loop import set_threads

    set_threads()
    noise = None if args.noise is None else cohort_noise.read(args.noise)
    rows: list[dict[str, Any]] = []
    progress = Progress(count, "zero-shot", unit="subjects")
    for number, subject in enumerate(args.subjects):
        of = others(number, count)
        windows, series, voxels = (
            [given[k] for k in of] for given in (args.windows, args.series_dir, args.voxels)
        )
        # what every table holds: a longer window might lie outside a run
        width = min(common_window([table]) for table in (args.windows[number], *windows))
        trials, used = pooled_trials(
            windows, series, voxels, args.clips, args.features, settings, width
        )
        path = choose_path(trials, used, coordinates(voxels[0]), settings, noise)
        decoder = path.decoder(trials)
        own = used_positions(args.voxels[number], settings.voxels)
        decoder.present.copy_(torch.from_numpy(used & own))
        files = args.windows[number], args.series_dir[number], args.clips, args.features
        rows += scored(decoder, *files, scoring, subject, CONDITION, width)
        progress.update()
    tables.write(args.output, pd.DataFrame(rows), "metrics")
    inputs = [*args.windows, *args.voxels, args.clips, *args.features]
    for table, folder in zip(args.windows, args.series_dir, strict=True):
        inputs += series_files(table, folder, (*SPLITS, "test"))
    provenance.record(
        args.output,
        inputs=[*inputs, *([args.noise] if args.noise else [])],
        config={"align": asdict(settings), "evaluate": asdict(scoring)},
        seed=settings.seed,
        started=started,
    )


if __name__ == "__main__":
    run(main)
