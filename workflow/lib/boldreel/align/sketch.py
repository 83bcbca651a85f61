"""A subject's decoder of sketches: coarse colours, and where a clip moves.

Reads the cohort's noise model, windows, series, voxels, clips and their features; writes `model/` (a
LinearDecoder whose image part is the sketch) and left-out predictions of training clips. It is the linear
path of the encoder, fitted to another target with penalties of its own: sketches and CLIP embeddings come
from other areas, with other noise. Test windows are never read.
"""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from boldreel.align.inputs import ask, read_files, trial_files
from boldreel.align.settings import AlignSettings
from boldreel.data import cohort_noise, features, provenance
from boldreel.data.left_out import LeftOut
from boldreel.settings import read
from boldreel.step import parser, run

if TYPE_CHECKING:
    from boldreel.align.data import Trials
    from boldreel.align.linear import LinearPath

# Share of the sketches' variance in the components that the encoding model predicts responses from.
VARIANCE = 0.97


def of_sketches(trials: Trials, sketches: np.ndarray) -> Trials:
    """The same trials with the sketches (clips, C, r, k) as their only features, as image embeddings."""
    n = len(sketches)
    known = replace(
        trials.features,
        image=sketches.reshape(n, -1).astype(np.float32),
        text=np.zeros((n, 0), np.float32),
        condition=np.zeros((n, 1, 1), np.float32),
        motion=np.zeros((n, 0), np.float32),
        image_variants=None,
        text_variants=None,
    )
    return replace(trials, features=known)


def left_out(path: LinearPath, trials: Trials) -> LeftOut:
    """Predicted deviations of sketches from their mean, by fits that did not see a clip's segment."""
    width = trials.features.image.shape[1]
    single = path.left_out(trials)[:, :width]
    averaged = np.stack([single[rows].mean(0) for rows in trials.rows_of])
    return LeftOut.of(averaged, single, trials.rows_of, trials.features.clips)


def main(argv: list[str] | None = None) -> None:
    arguments = parser(__doc__)
    ask(arguments)
    arguments.add_argument("--noise", type=Path, help="folder of the cohort's noise model")
    arguments.add_argument("--left-out", type=Path, required=True, help="file of the predictions")
    arguments.add_argument("--output", type=Path, required=True, help="folder of the decoder")
    args = arguments.parse_args(argv)
    started = time.time()
    settings = replace(read(AlignSettings, args.config, "align"), latent_variance=VARIANCE)

    from boldreel.align.data import (
        coordinates,
        load_trials,
        training_and_validation,
        used_positions,
        validation_clips,
    )
    from boldreel.align.fit import choose_path
    from boldreel.training import loop

    loop.set_threads()
    splits = ("train", "validation")
    trials = load_trials(*trial_files(args), splits)
    sketches = features.load_sketches(args.clips, args.features, trials.features.clips)
    trials = of_sketches(trials, sketches)
    training, _ = training_and_validation(trials, validation_clips(args.windows))
    noise = None if args.noise is None else cohort_noise.read(args.noise)
    used = used_positions(args.voxels, settings.voxels)
    path = choose_path(training, used, coordinates(args.voxels), settings, noise)
    print(path.told())
    fitted = trials if settings.refit else training
    path.decoder(fitted).save_pretrained(args.output)
    left_out(path, fitted).save(args.left_out)
    inputs = [*read_files(args, splits), *([] if args.noise is None else [args.noise])]
    provenance.record(
        args.output,
        inputs=inputs,
        config=asdict(settings),
        started=started,
        extra={"linear_path": path.chosen},
    )


if __name__ == "__main__":
    run(main)
