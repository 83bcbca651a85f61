"""Step: what a subject's aligned encoder makes of the test clips, once for all that is scored.

Reads the encoder, test windows and series; writes the folder of `boldreel.probe.predictions`: from all
repeats of each clip averaged, from halves of them and from sets of 1, 2, 5, ... repeats. The transformer is
not linear, so each average is decoded. In batches on the device that is leased; scoring then needs none.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from boldreel.data import atomic, provenance
from boldreel.data.responses import Responses, load_responses, series_files
from boldreel.probe.averages import averages, counts, rows_by_clip, sorted_clips, split_halves
from boldreel.probe.predictions import HALVES, Predicted, Predictions, of_repeats, predict
from boldreel.step import parser, run

if TYPE_CHECKING:
    import numpy as np

    from boldreel.models.encoder import SpatioTemporalEncoder


def of_subject(
    encoder: SpatioTemporalEncoder, averaged: Responses, trials: Responses, own: Responses
) -> Predictions:
    """Everything that is scored of a subject.

    averaged, trials : test responses, averaged over repeats and each.
    own : averaged, in windows of the length that the encoder was trained with.
    """
    import torch

    from boldreel.align.fit import columns
    from boldreel.models.decoder import decode

    clips, order = sorted_clips(averaged)
    _, rows = rows_by_clip(trials)
    halves = zip(HALVES, split_halves(trials, clips) or (), strict=False)
    sets = {name: _embeddings(encoder, x) for name, x in halves}
    for n in counts(rows):  # of one number at a time, for together they take gigabytes
        for k, x in enumerate(averages(trials.x, rows, n)):
            sets[of_repeats(n, k)] = _embeddings(encoder, x)
    whole = predict(encoder, averaged.x[order])
    if encoder.readout is None:
        return Predictions(clips, whole, sets)
    again = torch.from_numpy(own.x[sorted_clips(own)[1]])
    found = [part.deviations for part in decode(encoder, again)]
    encoder.cpu()
    return Predictions(
        clips, whole, sets, torch.cat([columns(encoder, part) for part in found]).numpy()
    )


def _embeddings(encoder: SpatioTemporalEncoder, x: np.ndarray) -> Predicted:
    """Image and text alone: conditions of all sets would take gigabytes."""
    found = predict(encoder, x)
    return {name: found[name] for name in ("image", "text")}


def main(argv: list[str] | None = None) -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--align", type=Path, required=True)
    arguments.add_argument("--windows", type=Path, required=True)
    arguments.add_argument("--series-dir", type=Path, required=True)
    arguments.add_argument("--output", type=Path, required=True)
    args = arguments.parse_args(argv)
    started = time.time()

    from boldreel.models.encoder import SpatioTemporalEncoder
    from boldreel.training.device import lease
    from boldreel.training.loop import set_threads

    set_threads()
    where = (args.windows, args.series_dir, "test")
    averaged, trials = load_responses(*where), load_responses(*where, "each")
    encoder = SpatioTemporalEncoder.from_pretrained(args.align / "model").eval()
    own = averaged
    if encoder.config.window != averaged.x.shape[1]:  # of an encoder that is pooled
        own = load_responses(*where, window=encoder.config.window)
    with lease() as device:
        found = of_subject(encoder.to(device), averaged, trials, own)
    with atomic.folder(args.output) as aside:
        found.write(aside)
        inputs = [args.align / "model", args.windows, *series_files(*where)]
        provenance.record(aside, inputs=inputs, config=args.config, seed=0, started=started)


if __name__ == "__main__":
    run(main)
