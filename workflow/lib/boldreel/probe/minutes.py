"""What a new subject gains from others: retrieval against minutes of training data.

Reads a pool that the subject is not in, and the subject's windows, series, voxels, clips and features; writes
a table of retrieval on the test clips after the first 0, 1, 2, 4, ... training runs: with the pooled
encoder tuned to them ("pooled"; as it is after 0), and with a linear path of the subject's own ("alone").
Test windows are scored and never fitted.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from boldreel.align.inputs import ask, read_files, trial_files
from boldreel.align.settings import AlignSettings
from boldreel.data import cohort_noise, provenance, tables
from boldreel.settings import read
from boldreel.step import parser, run
from boldreel.training.progress import Progress

if TYPE_CHECKING:
    from boldreel.align.data import Trials


def first_runs(trials: Trials) -> list[np.ndarray]:
    """Bool (rows,) of the first 1, 2, 4, ... runs and of all of them: first showings first."""
    order = list(dict.fromkeys(sorted(zip(trials.repeat, trials.segment, strict=True))))
    counts = [2**k for k in range(len(order).bit_length()) if 2**k < len(order)] + [len(order)]
    runs = list(zip(trials.repeat, trials.segment, strict=True))
    return [np.array([run in order[:count] for run in runs]) for count in counts]


def minutes(trials: Trials, clips: Path) -> float:
    """How long the trials took: the durations of all showings, in minutes."""
    durations = tables.read(clips, "clips").set_index("clip")["duration"]
    shown = durations.loc[trials.features.clips].to_numpy()
    return float(shown[trials.clip].sum() / 60)


def main(argv: list[str] | None = None) -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--pool", type=Path, required=True)
    arguments.add_argument("--subject", required=True)
    ask(arguments)
    arguments.add_argument("--noise", type=Path, help="folder of the cohort's noise model")
    arguments.add_argument("--output", type=Path, required=True)
    args = arguments.parse_args(argv)
    started = time.time()
    settings = read(AlignSettings, args.config, "align")

    import pandas as pd
    import torch

    from boldreel.align import pool
    from boldreel.align.data import coordinates, load_trials, used_positions
    from boldreel.align.fit import choose_path, tuned_path
    from boldreel.errors import UserError
    from boldreel.models.decoder import Decoder
    from boldreel.probe import retrieve
    from boldreel.training import loop

    start = pool.load(args.pool)
    if args.subject in start.subjects:
        raise UserError(
            f"{args.pool}: sub-{args.subject} is in this pool, so it is not new; pool only the others"
        )
    window = start.encoder.config.window
    used = used_positions(args.voxels, settings.voxels)
    files = trial_files(args)
    training = load_trials(*files, "train", window)
    test = load_trials(*files, "test", window)
    x, segments = test.averaged(), test.segments
    noise = None if args.noise is None else cohort_noise.read(args.noise)
    xyz = coordinates(args.voxels)

    def decoders() -> Iterator[tuple[float, str, Decoder]]:
        encoder = start.encoder
        with torch.no_grad():
            encoder.present.copy_(torch.tensor(used))
        yield 0.0, "pooled", encoder
        chosen = first_runs(training)
        progress = Progress(2 * len(chosen), "minutes of data", unit="fits")
        for rows in chosen:
            part = training.take(rows)
            length = minutes(part, args.clips)
            tuned = tuned_path(part, used, xyz, settings, noise, encoder.readout)
            yield length, "pooled", encoder.on(tuned.decoder(part))
            progress.update()
            alone = choose_path(part, used, xyz, settings, noise)
            yield length, "alone", alone.decoder(part)
            progress.update()

    rows: list[dict[str, Any]] = []
    loop.set_threads()
    for length, kind, decoder in decoders():
        scores = retrieve.summaries(
            decoder, x, test.features, segments, test.onsets, retrieve.METRICS, settings.seed
        )
        rows += [
            {"subject": args.subject, "minutes": length, "training": kind, **score}
            for score in scores
        ]
        print(f"{length:.0f} min, {kind}: two-way {scores[0]['value']:.3f}", flush=True)
    table = pd.DataFrame(rows)
    tables.write(args.output, table, "minutes")
    provenance.record(
        args.output,
        inputs=[
            args.pool,
            *read_files(args, ("train", "test")),
            *([args.noise] if args.noise else []),
        ],
        config=asdict(settings),
        seed=settings.seed,
        started=started,
    )


if __name__ == "__main__":
    run(main)
