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
from boldreel.pretrain.corpus import Corpus
from boldreel.step import parser, run
from boldreel.training.progress import Progress


def estimate(corpus: Corpus, rows: np.ndarray | None = None) -> cohort_noise.CohortNoise:
    """The noise of rows of a corpus, run by run; None: of all.

    Raises UserError if no run has four of these rows.
    """
    rows = np.arange(len(corpus)) if rows is None else rows
    try:
        sample = noise.sample_correlation(_runs(corpus, rows))
    except ValueError as wrong:
        raise UserError(
            f"pretraining corpus: {wrong}; add runs, or lower pretrain.segment_duration"
        ) from None
    xyz = corpus.positions[["x", "y", "z"]].to_numpy(np.float64)
    curve = noise.distance_curve(sample, xyz)
    mixed, weight = noise.shrunk(sample, curve.matrix(xyz))
    subjects = tuple(dict.fromkeys(map(str, corpus.subjects[rows])))
    return cohort_noise.CohortNoise(mixed.astype(np.float32), curve, weight, len(rows), subjects)


def covariance(corpus: Corpus, rows: np.ndarray, at_most: int = 20000) -> np.ndarray:
    """Covariance float32 (V, V) of rows of a corpus: the noise model, in the units of the volumes.

    At most so many rows are read, of runs that are spread evenly.
    """
    numbers = np.unique(corpus.runs[rows])
    runs = min(len(numbers), max(1, at_most * len(numbers) // len(rows)))
    taken = numbers[np.unique(np.linspace(0, len(numbers) - 1, runs).round().astype(int))]
    rows = rows[np.isin(corpus.runs[rows], taken)]
    squares, count = np.zeros((2, corpus.present.shape[1]))
    for number in taken:
        values, present = corpus.read(rows[corpus.runs[rows] == number])
        squares += np.square(values, dtype=np.float64).sum(0)
        count += present.sum(0)
    size = np.sqrt(squares / np.maximum(count, 1))
    size[size < 1e-6] = 1
    return estimate(corpus, rows).correlation * np.outer(size, size).astype(np.float32)


def _runs(corpus: Corpus, rows: np.ndarray) -> Iterator[np.ndarray]:
    numbers = np.unique(corpus.runs[rows])
    progress = Progress(len(numbers), "noise model", unit="runs")
    for number in numbers:
        yield corpus.read(rows[corpus.runs[rows] == number])[0]
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
