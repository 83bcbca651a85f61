"""An encoder trained without one of its parts, scored clip by clip.

Reads what the alignment takes, with the test windows, and the name of an ablation; writes a table of what
retrieval earns on each test clip. Everything but the named part is as in "full", the encoder without a
linear path: next to ridge regression the effect of a part would not show. Test windows are
scored and never fitted.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from boldreel.align.inputs import ask, read_files, trial_files
from boldreel.align.settings import AlignSettings
from boldreel.data import provenance, tables
from boldreel.errors import UserError
from boldreel.probe.ablations import ABLATIONS
from boldreel.settings import read
from boldreel.step import parser, run

if TYPE_CHECKING:
    import pandas as pd

    from boldreel.align.data import Trials
    from boldreel.models.decoder import Decoder

METRICS = ("two_way_text", "two_way_image", "top1_text", "top1_image")


def shuffled(trials: Trials, used: np.ndarray, seed: int) -> tuple[Trials, np.ndarray]:
    """The trials with their positions in another order, the same for all subjects and for pretraining."""
    from dataclasses import replace

    from boldreel.data.responses import shuffled_order

    order = shuffled_order(len(used), seed)
    return replace(trials, x=trials.x[:, :, order]), used[order]


def earned(decoder: Decoder, test: Trials, subject: str, ablation: str, seed: int) -> pd.DataFrame:
    """The table "ablation_clips" of one decoder on averaged test responses."""
    import pandas as pd

    from boldreel.probe import predictions, retrieve

    features = test.features
    every = np.arange(len(features.clips))
    predicted = predictions.predict(decoder, test.averaged())
    rows = []
    for metric, _, outcome in retrieve.outcomes(decoder, predicted, features, None, every):
        if metric in METRICS:
            rows.append(
                pd.DataFrame(
                    {
                        "subject": subject,
                        "ablation": ablation,
                        "seed": seed,
                        "clip": features.clips,
                        "shot": features.shots,
                        "metric": metric,
                        "value": np.diag(outcome.matrix),
                        "chance": outcome.chance,
                    }
                )
            )
    return pd.concat(rows, ignore_index=True)


def main(argv: list[str] | None = None) -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--ablation", required=True, help=", ".join(ABLATIONS))
    arguments.add_argument("--pretrained", type=Path, required=True)
    ask(arguments)
    arguments.add_argument("--subject", required=True)
    arguments.add_argument("--seed", type=int, required=True)
    arguments.add_argument("--order-seed", type=int, default=0, help="of shuffled_voxels")
    arguments.add_argument("--output", type=Path, required=True)
    arguments.add_argument("--state", type=Path, required=True)
    args = arguments.parse_args(argv)
    started = time.time()
    if args.ablation not in ABLATIONS:
        raise UserError(
            f"--ablation is {args.ablation!r}; it must be one of {', '.join(ABLATIONS)}"
        )
    changes = dict(ABLATIONS[args.ablation])
    window, shuffling = changes.pop("window", None), changes.pop("shuffled_voxels", False)
    given = {"linear_path": "none", **args.config, **changes, "seed": args.seed}
    settings = read(AlignSettings, given, "align")

    from boldreel.align.data import coordinates, load_trials, used_positions, validation_clips
    from boldreel.align.fit import Material, fit
    from boldreel.training import device, fingerprint, loop
    from boldreel.training.state import discard

    used = used_positions(args.voxels, settings.voxels)
    files = trial_files(args)
    splits = ("train", "validation")
    everything = load_trials(*files, splits, window)
    test = load_trials(*files, "test", window)
    if shuffling:
        test, _ = shuffled(test, used, args.order_seed)
        everything, used = shuffled(everything, used, args.order_seed)
    inputs = [*read_files(args, splits), args.pretrained]
    state = fingerprint.state_folder(
        args.state,
        module="boldreel.probe.ablate",
        config={**asdict(settings), "ablation": args.ablation},
        inputs=inputs,
    )
    with device.lease() as where:
        loop.set_threads()
        held_out = validation_clips(args.windows)
        material = Material.of(
            everything, held_out, used, coordinates(args.voxels), settings, where
        )
        made = fit(material, args.pretrained, state)
    assert made is not None
    decoder = made.ridge if args.ablation == "ridge" else made.encoder
    table = earned(decoder.cpu(), test, args.subject, args.ablation, args.seed)
    tables.write(args.output, table, "ablation_clips")
    provenance.record(
        args.output,
        # What was scored counts here, next to what was fitted on.
        inputs=[*read_files(args, (*splits, "test")), args.pretrained],
        config=asdict(settings),
        seed=args.seed,
        started=started,
    )
    discard(state)
    means = table.groupby("metric")["value"].mean()
    print(
        f"{args.ablation}, seed {args.seed}: best epoch {made.best['epoch']} of {settings.epochs}; "
        + ", ".join(f"{name} {means[name]:.3f}" for name in METRICS)
    )


if __name__ == "__main__":
    run(main)
