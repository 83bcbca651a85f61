"""Step: the spatial noise model of the cohort, which every subject's windows are whitened with.

Reads the corpus folder; writes `correlation.npy` (V, V) and `noise.json`: correlations of all pairs of
positions, shrunk towards a curve over their distance.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from boldreel.data import cohort_noise, provenance
from boldreel.errors import UserError
from boldreel.models import noise
from boldreel.pretrain.corpus import Corpus, runs_within
from boldreel.step import parser, run
from boldreel.training.progress import Progress

# Volumes that are read: a bound on time, by whole runs spread evenly.
AT_MOST = 20000


def estimate(corpus: Corpus) -> cohort_noise.CohortNoise:
    """The noise of a corpus, run by run.

    Raises UserError if no run has four volumes.
    """
    try:
        sample = noise.sample_correlation(_runs(corpus))
    except ValueError as error:
        raise UserError(
            f"the corpus: {error}; lower pretrain.segment_duration, or add runs"
        ) from None
    xyz = corpus.positions[["x", "y", "z"]].to_numpy(np.float64)
    curve = noise.distance_curve(sample, xyz)
    mixed, weight = noise.shrunk(sample, curve.matrix(xyz), curve.own)
    subjects = tuple(dict.fromkeys(map(str, corpus.subjects)))
    return cohort_noise.CohortNoise(mixed.astype(np.float32), curve, weight, len(corpus), subjects)


def _runs(corpus: Corpus) -> Iterator[np.ndarray]:
    numbers = runs_within(corpus, np.arange(len(corpus)), AT_MOST)
    progress = Progress(len(numbers), "noise model", unit="runs")
    for number in numbers:
        yield corpus.read(np.flatnonzero(corpus.runs == number))[0]
        progress.update()


def main(argv: list[str] | None = None) -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--corpus", type=Path, required=True)
    arguments.add_argument("--output", type=Path, required=True)
    args = arguments.parse_args(argv)
    started = time.time()
    made = estimate(Corpus.open(args.corpus))
    near, far = made.curve.at(np.array([4.0, 40.0]))
    cohort_noise.write(args.output, made)
    provenance.record(args.output, inputs=[args.corpus], config={}, started=started)
    print(
        f"{made.volumes} volumes of {len(made.subjects)} subjects; correlation {near:.2f} "
        f"at 4 mm, {far:.2f} at 40 mm; weight of the curve {made.weight:.2f}"
    )


if __name__ == "__main__":
    run(main)
