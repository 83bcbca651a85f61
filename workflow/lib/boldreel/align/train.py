"""The alignment of one subject: the linear path first, then the encoder that stands on it.

Reads the pretrained model, the cohort's noise model, windows, series, voxels, clips and their features;
writes `model/` (a SpatioTemporalEncoder), `ridge/` (a LinearDecoder, the baseline next to it), `history.tsv`
and, with `--left-out`, what the encoder makes of training clips whose segment its linear path did not see.
Test windows are never read. With `--pool`, an encoder of several subjects (`align.pool`): a subject among
them takes it as it is, another one tunes it; the ridge next to it is the subject's own in any case.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path

from boldreel.align.inputs import ask, read_files, trial_files
from boldreel.align.settings import AlignSettings
from boldreel.data import cohort_noise, provenance, tables
from boldreel.errors import UserError
from boldreel.settings import read
from boldreel.step import parser, run


def main(argv: list[str] | None = None) -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--pretrained", type=Path, required=True)
    ask(arguments)
    arguments.add_argument("--noise", type=Path, help="folder of the cohort's noise model")
    arguments.add_argument("--pool", type=Path, help="folder of the pooled encoder")
    arguments.add_argument("--subject", default="", help="label, with --pool")
    arguments.add_argument("--left-out", type=Path, help="predictions of training clips")
    arguments.add_argument("--output", type=Path, required=True)
    arguments.add_argument("--state", type=Path, required=True)
    args = arguments.parse_args(argv)
    started = time.time()
    settings = read(AlignSettings, args.config, "align")

    import pandas as pd

    from boldreel.align import pool
    from boldreel.align.data import coordinates, load_trials, used_positions, validation_clips
    from boldreel.align.fit import Fitted, Material, fit
    from boldreel.training import device, fingerprint, loop
    from boldreel.training.state import discard

    used = used_positions(args.voxels, settings.voxels)
    start = None if args.pool is None else pool.load(args.pool)
    window = None if start is None else start.encoder.config.window
    splits = ("train", "validation")
    everything = load_trials(*trial_files(args), splits, window)
    held_out = validation_clips(args.windows)
    inputs = [
        *read_files(args, splits),
        args.pretrained,
        *([] if args.noise is None else [args.noise]),
        *([] if args.pool is None else [args.pool]),
    ]
    state = fingerprint.state_folder(
        args.state, module="boldreel.align.train", config=asdict(settings), inputs=inputs
    )
    with device.lease() as where:
        loop.set_threads()
        noise = None if args.noise is None else cohort_noise.read(args.noise)
        material = Material.of(
            everything, held_out, used, coordinates(args.voxels), settings, where, noise
        )
        if start is not None and args.subject in start.subjects:
            made: Fitted | None = pool.member(start, material)
        else:
            encoder = None if start is None else start.encoder
            made = fit(material, args.pretrained, state, encoder, args.left_out is not None)
        if made is None:
            return
    made.ridge.save_pretrained(args.output / "ridge")
    made.encoder.save_pretrained(args.output / "model")
    if args.left_out is not None:
        if made.left_out is None:
            raise UserError("--left-out: an encoder without a linear path of its own has none")
        made.left_out.save(args.left_out)
    tables.write(args.output / "history.tsv", pd.DataFrame(made.history), "history")
    provenance.record(
        args.output / "model",
        inputs=inputs,
        config=asdict(settings),
        seed=settings.seed,
        started=started,
        extra={
            "from_pretraining": made.loaded,
            "best_epoch": made.best["epoch"],
            "linear_path": made.chosen,
        },
    )
    discard(state)
    print(
        f"{len(made.loaded)} tensors from pretraining; best epoch {made.best['epoch']} of "
        f"{made.history[-1]['epoch']}; validation top-1 {made.best['val_top1']:.3f}, "
        f"two-way {made.best['val_two_way']:.3f}"
    )


if __name__ == "__main__":
    run(main)
