"""A small invented study with pictures: what methods take, on disk, and a classifier with random weights.

A clip shows a square of one of four colours in one of four places that moves; each voxel is a linear mixture
of colour and place plus noise. With `signal` 0 the series are noise alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from boldreel.data import arrays, tables

SPLITS = {"train01": "train", "train02": "train", "train03": "validation", "test01": "test"}
COLOURS = ((220, 40, 40), (40, 200, 60), (50, 80, 230), (230, 220, 60))
CLIPS, FRAMES, SIDE, VOXELS, ABSENT = 40, 3, 32, 60, 6


@dataclass(frozen=True)
class Study:
    """Paths of a study."""

    root: Path

    @property
    def windows(self) -> Path:
        return self.root / "windows.parquet"

    @property
    def series(self) -> Path:
        return self.root / "series"

    @property
    def clips(self) -> Path:
        return self.root / "clips.parquet"

    @property
    def stimuli(self) -> Path:
        return self.root / "stimuli"

    def words(self) -> list[str]:
        """The arguments that every method's steps share."""
        return [
            *("--windows", str(self.windows), "--series-dir", str(self.series)),
            *("--clips", str(self.clips), "--stimuli", str(self.stimuli)),
        ]

    def truth(self, movie: str = "test01") -> dict[str, np.ndarray]:
        """True clips (frames, side, side, 3) by name."""
        frames, _ = arrays.load(self.stimuli / movie / "frames.npy", kind="frames")
        parts = frames.reshape(CLIPS, FRAMES, SIDE, SIDE, 3)
        return {f"{movie}-{k:04d}": part for k, part in enumerate(parts)}

    def disturb(self, movie: str = "test01") -> None:
        """Replace a movie's series by something else."""
        for path in self.series.glob(f"task-{movie}_*.npy"):
            series, meta = arrays.load(path, kind="series", mmap=False)
            kept = {k: v for k, v in meta.items() if k not in ("kind", "shape", "dtype")}
            arrays.save(path, series[::-1] * 3 + 1, kind="series", **kept)


def draw(colour: int, place: int) -> np.ndarray:
    """A clip: a square of half the side that moves by a pixel a frame."""
    clip = np.full((FRAMES, SIDE, SIDE, 3), 90, np.uint8)
    top, left = (place // 2) * SIDE // 2, (place % 2) * SIDE // 2
    for k in range(FRAMES):
        clip[k, top + 2 + k : top + SIDE // 2 - 2 + k, left + 2 : left + SIDE // 2 - 2] = COLOURS[
            colour
        ]
    return clip


@pytest.fixture(scope="session")
def make_study(tmp_path_factory) -> Callable[..., Study]:  # type: ignore[no-untyped-def]
    """signal (standard deviation against the noise's 1), seed -> Study."""

    def make(signal: float = 1.0, seed: int = 0) -> Study:
        rng = np.random.default_rng(seed)
        study = Study(tmp_path_factory.mktemp("study"))
        mixing = rng.normal(size=(8, VOXELS)) / np.sqrt(2)
        clips, windows = [], []
        for movie, split in SPLITS.items():
            labels = np.repeat(rng.integers(4, size=(CLIPS // 2, 2)), 2, axis=0)
            frames = np.concatenate([draw(*pair) for pair in labels])
            arrays.save(study.stimuli / movie / "frames.npy", frames, kind="frames", frame_rate=1.5)
            hot = np.zeros((CLIPS, 8))
            hot[np.arange(CLIPS), labels[:, 0]] = 1
            hot[np.arange(CLIPS), 4 + labels[:, 1]] = 1
            response = np.zeros((CLIPS + 4, VOXELS))
            response[2 : CLIPS + 2] = (hot - 0.25) @ mixing
            for k in range(CLIPS):
                name = f"{movie}-{k:04d}"
                clips.append(
                    {
                        "clip": name,
                        "movie": movie,
                        "index": k,
                        "start": 2.0 * k,
                        "duration": 2.0,
                        "first_frame": FRAMES * k,
                        "n_frames": FRAMES,
                        "shot": f"{movie}-s{k // 2:03d}",
                        "cuts": 0,
                        "caption": "a square",
                        "attributes": json.dumps({"colour": str(labels[k, 0])}),
                    }
                )
            for run in (1, 2):
                series = signal * response + rng.normal(size=response.shape)
                series[:, -ABSENT:] = 0
                arrays.save(
                    study.series / f"task-{movie}_run-{run}.npy",
                    series.astype(np.float32),
                    kind="series",
                    t_r=2.0,
                    start_time=0.0,
                    run=f"task-{movie}_run-{run}",
                    segment=movie,
                    repeat=run,
                )
                windows += [
                    {
                        "clip": f"{movie}-{k:04d}",
                        "segment": movie,
                        "run": f"task-{movie}_run-{run}",
                        "repeat": run,
                        "onset": 2.0 * k,
                        "first_volume": k + 1,
                        "window": 2,
                        "lag": 2.0,
                        "split": split,
                        "shot": f"{movie}-s{k // 2:03d}",
                    }
                    for k in range(CLIPS)
                ]
        tables.write(study.clips, pd.DataFrame(clips), "clips")
        tables.write(study.windows, pd.DataFrame(windows), "windows")
        return study

    return make


@pytest.fixture(scope="session")
def study(make_study) -> Study:  # type: ignore[no-untyped-def]
    return make_study()


@pytest.fixture(scope="session")
def silent(make_study) -> Study:  # type: ignore[no-untyped-def]
    """A study without signal."""
    return make_study(signal=0.0, seed=1)


@pytest.fixture(scope="session")
def classifier(tmp_path_factory) -> str:  # type: ignore[no-untyped-def]
    """Folder of a small convolutional classifier with random weights."""
    import torch
    from transformers import ConvNextImageProcessorPil, ResNetConfig, ResNetForImageClassification

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("classifier")
    config = ResNetConfig(
        embedding_size=8,
        hidden_sizes=[8, 16],
        depths=[1, 1],
        layer_type="basic",
        id2label={k: f"class {k}" for k in range(5)},
    )
    ResNetForImageClassification(config).save_pretrained(folder)
    ConvNextImageProcessorPil(size={"shortest_edge": SIDE}).save_pretrained(folder)
    return str(folder)
