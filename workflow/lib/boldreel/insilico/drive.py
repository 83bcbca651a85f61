"""Stimulus drive: what the movies make the visual system compute, once for all subjects.

Reads the movies (mp4) and the annotations of their shots; writes a folder with one array
`{movie}.npy` for each, float32 (n_features, n) at 0.5 s, standardised over all movies. Names and
sizes of the features' blocks stand in each sidecar.
"""

from __future__ import annotations

import csv
import sys
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np

from boldreel import step
from boldreel.data import arrays, atomic, provenance, video
from boldreel.errors import UserError
from boldreel.insilico import features
from boldreel.insilico.settings import InsilicoSettings
from boldreel.settings import read


def time_courses(movie: Path, annotations: Path, seed: int) -> np.ndarray:
    """Raw features (n_features, n) of one movie at features.INTERVAL."""
    frames = video.read_frames(movie, features.FRAME_RATE)
    if len(frames) % 2:
        frames = np.concatenate([frames, frames[-1:]])
    with open(annotations, newline="", encoding="utf-8") as source:
        rows = list(csv.DictReader(source, delimiter="\t"))
    labels = features.named(rows, movie.stem, len(frames) // 2, seed)
    return np.concatenate([features.seen(frames), labels])


def standardise(courses: list[np.ndarray]) -> list[np.ndarray]:
    """Mean 0 and sd 1 over all movies together; a feature that never changes becomes 0."""
    together = np.concatenate(courses, axis=1)
    mean, sd = together.mean(1, keepdims=True), together.std(1, keepdims=True)
    gain = np.where(sd > 1e-6, 1 / np.maximum(sd, 1e-6), 0)
    return [((course - mean) * gain).astype(np.float32) for course in courses]


def load(folder: Path) -> dict[str, np.ndarray]:
    """The drive of every movie in a folder that this step wrote."""
    paths = sorted(folder.glob("*.npy"))
    if not paths:
        raise UserError(f"{folder}: no drive of any movie; run boldreel.insilico.drive first")
    return {path.stem: arrays.load(path, kind="drive")[0] for path in paths}


def main(argv: list[str] | None = None) -> None:
    """Compute the drive of all movies."""
    started = time.time()
    parser = step.parser(__doc__)
    parser.add_argument("--movies", required=True, nargs="+", type=Path)
    parser.add_argument("--annotations", required=True, nargs="+", type=Path)
    parser.add_argument("--output", required=True, type=Path, help="folder")
    args = parser.parse_args(argv)
    settings = read(InsilicoSettings, args.config, "insilico")
    tables = {path.stem: path for path in args.annotations}
    absent = [path.stem for path in args.movies if path.stem not in tables]
    if absent:
        raise UserError(f"--annotations: none for movie {absent[0]}; give {absent[0]}.tsv")
    seed = settings.seed
    courses = [time_courses(path, tables[path.stem], seed) for path in args.movies]
    blocks = {name: block.size for name, block in features.BLOCKS.items()}
    with atomic.folder(args.output) as aside:
        for path, course in zip(args.movies, standardise(courses), strict=True):
            arrays.save(
                aside / f"{path.stem}.npy",
                course,
                kind="drive",
                movie=path.stem,
                interval=features.INTERVAL,
                blocks=blocks,
            )
    provenance.record(
        args.output,
        inputs=[*args.movies, *args.annotations],
        config=asdict(settings),
        seed=seed,
        started=started,
    )
    print(f"{len(courses)} movies, {len(courses[0])} features", file=sys.stderr)


if __name__ == "__main__":
    step.run(main)
