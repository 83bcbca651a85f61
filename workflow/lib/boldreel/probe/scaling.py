"""Step: the benefit of more data: retrieval against minutes of a subject's own training data.

Reads windows, series, voxels, clips and features of one subject, and the cohort's noise model; writes a table
of retrieval on the test clips by the encoder's linear path, fitted on the first 1, 2, 4, ... training runs
and on all ("alone"). Each fit chooses everything again. Validation segments are held out as in the choice of
epochs; test windows are scored and never fitted. The voxels are those of the whole training set in every fit.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path

from boldreel.align.inputs import ask, read_files, trial_files
from boldreel.align.settings import AlignSettings
from boldreel.data import provenance, tables
from boldreel.probe.minutes import first_runs, minutes
from boldreel.settings import read
from boldreel.step import parser, run
from boldreel.training.progress import Progress


def main(argv: list[str] | None = None) -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--subject", required=True)
    ask(arguments)
    arguments.add_argument("--noise", type=Path, help="folder of the cohort's noise model")
    arguments.add_argument("--output", type=Path, required=True)
    args = arguments.parse_args(argv)
    started = time.time()
    settings = read(AlignSettings, args.config, "align")

    import pandas as pd

    from boldreel.align.data import coordinates, load_trials, used_positions
    from boldreel.align.fit import choose_path
    from boldreel.data import cohort_noise
    from boldreel.probe import retrieve
    from boldreel.training import loop

    loop.set_threads()
    window = int(tables.read(args.windows, "windows")["window"].iloc[0])
    used = used_positions(args.voxels, settings.voxels)
    files = trial_files(args)
    training = load_trials(*files, "train", window)
    test = load_trials(*files, "test", window)
    x, segments = test.averaged(), test.segments
    chosen = first_runs(training)
    noise = None if args.noise is None else cohort_noise.read(args.noise)
    where = coordinates(args.voxels)
    progress = Progress(len(chosen), "data scaling", unit="fits")
    rows = []
    for part in map(training.take, chosen):
        linear = choose_path(part, used, where, settings, noise).decoder(part)
        length = minutes(part, args.clips)
        found = retrieve.summaries(
            linear, x, test.features, segments, test.onsets, retrieve.METRICS, settings.seed
        )
        rows += [
            {"subject": args.subject, "minutes": length, "training": "alone", **score}
            for score in found
        ]
        progress.update()
    tables.write(args.output, pd.DataFrame(rows), "minutes")
    provenance.record(
        args.output,
        inputs=[*read_files(args, ("train", "test")), *([args.noise] if args.noise else [])],
        config=asdict(settings),
        seed=settings.seed,
        started=started,
    )


if __name__ == "__main__":
    run(main)
