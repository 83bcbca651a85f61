"""The pretraining corpus: memory and speed of building and reading, beside opening CIFTI per sample.

Writes runs of generated series (120 rows each), builds a corpus of each size from them in a process of its
own, reads random batches in another, and reads batches of the same size from CIFTI files, opening one
for each sample; prints seconds, peak memory and the ratio. Needs about 25 kB of disk a segment.

    .venv/bin/python benchmarks/corpus.py --segments 60000 600000 --folder /path/with/space
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

ROWS = 120  # of a run: MinD-Vis' 1,200 volumes, averaged by ten
GRAYORDINATES = 91_282
CIFTI_VOLUMES, CIFTI_FILES = 240, 6
POSITIONS = 3_008
BATCH = 32
CIFTI_BATCHES = 2


def peak_mb() -> float:
    """Largest resident memory of this process, pages of mapped files included."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def write_runs(folder: Path, segments: int, positions: int = POSITIONS) -> None:
    """Series of runs, each with content of its own, and the positions table."""
    import pandas as pd

    from boldreel.data import arrays, tables

    rng = np.random.default_rng(0)
    noise = rng.standard_normal((ROWS, positions)).astype(np.float32)
    for number in range(segments // ROWS):
        path = folder / f"sub-{number // 4:05d}" / "series" / f"task-rest_run-{number % 4 + 1}.npy"
        noise[0, 0] = number + 1
        values = np.roll(noise, number, axis=0)
        about = {"run": path.stem, "segment": "rest", "repeat": number % 4 + 1}
        arrays.save(path, values, kind="series", t_r=0.72, start_time=0.0, **about)
    index = np.arange(positions)
    place = {axis: index.astype(float) for axis in "xyz"} | dict.fromkeys("ijk", index)
    names = {"area": "V1", "group": "early", "hemisphere": "L"}
    table = pd.DataFrame({"position": index, "patch": index // 16, **names, **place})
    tables.write(folder / "positions.parquet", table, "positions")


def build(folder: Path) -> dict[str, float]:
    """Build the corpus of a folder's runs."""
    from boldreel.pretrain import corpus

    series = sorted(folder.glob("sub-*/series/*.npy"))
    started = time.perf_counter()
    corpus.build(series, folder / "positions.parquet", folder / "corpus")
    return {"build_s": time.perf_counter() - started, "build_peak_mb": peak_mb()}


def read(folder: Path, batches: int) -> dict[str, float]:
    """Read random batches across all shards."""
    from boldreel.pretrain.corpus import Corpus

    corpus = Corpus.open(folder / "corpus")
    rng = np.random.default_rng(1)
    started = time.perf_counter()
    for _ in range(batches):
        volumes, _ = corpus.read(rng.integers(len(corpus), size=BATCH))
        assert volumes.shape == (BATCH, POSITIONS)
    seconds = time.perf_counter() - started
    return {"batch_ms": 1000 * seconds / batches, "read_peak_mb": peak_mb()}


def cifti(folder: Path, batches: int) -> dict[str, float]:
    """Open a CIFTI file for each sample and take one row and these positions."""
    import nibabel as nib

    rng = np.random.default_rng(2)
    chosen = np.sort(rng.choice(GRAYORDINATES, POSITIONS, replace=False))
    paths = [folder / f"run-{number}.dtseries.nii" for number in range(CIFTI_FILES)]
    half = GRAYORDINATES // 2
    sides = [
        nib.cifti2.BrainModelAxis.from_mask(np.ones(n, bool), name=f"CIFTI_STRUCTURE_CORTEX_{side}")
        for side, n in (("LEFT", half), ("RIGHT", GRAYORDINATES - half))
    ]
    rows = nib.cifti2.SeriesAxis(0, 0.72, CIFTI_VOLUMES)
    for path in paths:
        values = rng.standard_normal((CIFTI_VOLUMES, GRAYORDINATES), np.float32)
        nib.save(nib.Cifti2Image(values, (rows, sides[0] + sides[1])), path)
    started = time.perf_counter()
    for _ in range(batches):
        for _ in range(BATCH):
            image = nib.load(paths[rng.integers(CIFTI_FILES)])
            np.asarray(image.dataobj[int(rng.integers(CIFTI_VOLUMES))])[..., chosen]
    return {"cifti_batch_ms": 1000 * (time.perf_counter() - started) / batches}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--segments", type=int, nargs="+", default=[60_000, 600_000])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--batches", type=int, default=18_750)
    parser.add_argument(
        "--part", choices=["build", "read", "cifti"], help="for processes of their own"
    )
    args = parser.parse_args()
    if args.part:
        how = {
            "build": lambda: build(args.folder),
            "read": lambda: read(args.folder, args.batches),
            "cifti": lambda: cifti(args.folder, CIFTI_BATCHES),
        }
        print(json.dumps(how[args.part]()))
        return

    def alone(part: str, folder: Path) -> dict[str, float]:
        words = [sys.executable, __file__, "--part", part, "--folder", str(folder)]
        words += ["--batches", str(args.batches)]
        done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
        return json.loads(done.stdout.splitlines()[-1])

    for segments in args.segments:
        folder = args.folder / f"segments-{segments}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        write_runs(folder, segments)
        row: dict[str, float] = {"segments": segments, "positions": POSITIONS}
        for part in ("build", "read", "cifti"):
            row |= alone(part, folder)
        row["times_faster_than_cifti"] = row["cifti_batch_ms"] / row["batch_ms"]
        print(json.dumps({key: round(value, 2) for key, value in row.items()}), flush=True)
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
