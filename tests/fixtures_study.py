"""A small invented study on disk, in the layout of the contracts: series with a known signal.

Clips of shots have labels; frozen features are sums of label vectors; each voxel is a linear mixture
of labels, spread in time by a short HRF, plus noise. With `variance` 0 there is no signal at all.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from boldreel.data import arrays, tables
from boldreel.models.autoencoder import MaskedAutoencoder, MaskedAutoencoderConfig

LABELS = {
    "object": ["ball", "box", "star", "fish", "ring", "heart"],
    "colour": ["red", "green", "blue", "white"],
    "background": ["grass", "brick", "space", "fur"],
}
HRF = np.array([0.0, 0.3, 1.0, 0.7, 0.2, -0.1])
LAG_VOLUMES = 2


@dataclass(frozen=True)
class Study:
    """Paths and sizes of a study that was written to disk."""

    root: Path
    segments: dict[str, str]  # name -> split
    n_clips: int

    @property
    def subject(self) -> Path:
        return self.root / "sub-01"

    @property
    def windows(self) -> Path:
        return self.subject / "windows.parquet"

    @property
    def series(self) -> Path:
        return self.subject / "series"

    @property
    def voxels(self) -> Path:
        return self.subject / "roi" / "voxels.parquet"

    @property
    def clips(self) -> Path:
        return self.root / "clips.parquet"

    @property
    def features(self) -> list[Path]:
        return [self.root / "stimuli" / name / "features" for name in self.segments]


def write_study(
    root: Path,
    *,
    variance: float = 0.1,
    clips: int = 40,
    patches: int = 6,
    absent: int = 9,
    train: int = 4,
    test: int = 2,
    test_repeats: int = 6,
    dim: int = 12,
    tokens: int = 5,
    seed: int = 0,
    noise_seed: int = 0,
    lacking: int = 0,
) -> Study:
    """Write a study; `variance` is the share of a voxel's single-trial variance that is signal.

    Studies with the same seed share the movies and the voxels' tuning; another `noise_seed` gives another
    subject. The first `lacking` voxels are missing.
    """
    rng = np.random.default_rng(seed)
    noise_of = np.random.default_rng([seed, noise_seed])
    names = [f"train{k + 1:02d}" for k in range(train)] + [f"test{k + 1:02d}" for k in range(test)]
    splits = ["train"] * (train - 1) + ["validation"] + ["test"] * test
    study = Study(root, dict(zip(names, splits, strict=True)), clips)
    codes = {label: rng.standard_normal((len(v), dim)) for label, v in LABELS.items()}
    words = {label: rng.standard_normal((len(v), tokens, 8)) for label, v in LABELS.items()}
    mean = rng.standard_normal(dim)
    n_present = patches * 16 - absent
    mixing = rng.standard_normal((sum(map(len, LABELS.values())), n_present))
    table, window_rows = [], []
    for name, split in study.segments.items():
        shots = _shots(clips, rng)
        labels = [
            {label: values[rng.integers(len(values))] for label, values in LABELS.items()}
            for _ in range(shots.max() + 1)
        ]
        shown = [labels[shot] for shot in shots]
        _write_features(study, name, shown, codes, words, mean, rng)
        for k, (shot, label) in enumerate(zip(shots, shown, strict=True)):
            table.append(
                {
                    "clip": f"{name}-{k:04d}",
                    "movie": name,
                    "index": k,
                    "start": 2.0 * k,
                    "duration": 2.0,
                    "first_frame": 2 * k,
                    "n_frames": 2,
                    "shot": f"{name}-s{shot:03d}",
                    "cuts": 0,
                    "caption": " ".join(label.values()),
                    "attributes": json.dumps(label),
                }
            )
        signal = _signal(shown, mixing)
        for repeat in range(1, (test_repeats if split == "test" else 2) + 1):
            run = f"task-{name}_run-{repeat}"
            noise = rng.standard_normal(signal.shape)
            if noise_seed:
                noise = noise_of.standard_normal(signal.shape)
            values = np.sqrt(variance) * signal + np.sqrt(1 - variance) * noise
            series = np.zeros((clips, patches * 16), np.float32)
            series[:, :n_present] = (values - values.mean(0)) / values.std(0)
            series[:, :lacking] = 0
            arrays.save(
                study.series / f"{run}.npy",
                series,
                kind="series",
                t_r=2.0,
                start_time=0.0,
                run=run,
                segment=name,
                repeat=repeat,
            )
            for k in range(clips):
                window_rows.append(
                    {
                        "clip": f"{name}-{k:04d}",
                        "segment": name,
                        "run": run,
                        "repeat": repeat,
                        "onset": 2.0 * k,
                        "first_volume": min(k + LAG_VOLUMES, clips - 1),
                        "window": 2,
                        "lag": 2.0 * LAG_VOLUMES,
                        "split": split,
                        "shot": f"{name}-s{shots[k]:03d}",
                    }
                )
    tables.write(study.clips, pd.DataFrame(table), "clips")
    tables.write(study.windows, pd.DataFrame(window_rows), "windows")
    tables.write(study.voxels, _voxels(patches, n_present, lacking), "voxels")
    return study


def _shots(clips: int, rng: np.random.Generator) -> np.ndarray:
    lengths = rng.integers(1, 4, size=clips)
    return np.repeat(np.arange(clips), lengths)[:clips]


def _write_features(
    study: Study,
    name: str,
    shown: list[dict[str, str]],
    codes: dict[str, np.ndarray],
    words: dict[str, np.ndarray],
    mean: np.ndarray,
    rng: np.random.Generator,
) -> None:
    index = [[LABELS[label].index(value) for label, value in one.items()] for one in shown]
    pairs = [list(zip(codes, row, strict=True)) for row in index]
    text = np.stack([mean + sum(codes[label][k] for label, k in row) for row in pairs])
    image = np.repeat(text, 2, axis=0) + 0.3 * rng.standard_normal((2 * len(text), len(mean)))
    condition = np.stack([sum(words[label][k] for label, k in row) for row in pairs])
    folder = study.root / "stimuli" / name / "features"
    unit = {"text": text, "image": image}
    for key, values in unit.items():
        values = values / np.linalg.norm(values, axis=1, keepdims=True)
        arrays.save(folder / f"{key}.npy", values.astype(np.float32), kind=f"{key}_features")
    arrays.save(folder / "condition.npy", condition.astype(np.float32), kind="condition")
    # what moves follows from the first label, so that responses carry it
    motion = np.eye(6, dtype=np.float32)[[row[0] % 6 for row in index]]
    arrays.save(folder / "motion.npy", motion, kind="motion", columns=list("abcdef"))
    sketch = np.tile(motion[:, :1, None, None], (1, 4, 8, 8))
    channels = ["red", "green", "blue", "moving"]
    arrays.save(folder / "sketch.npy", sketch, kind="sketch", channels=channels)


def _signal(shown: list[dict[str, str]], mixing: np.ndarray) -> np.ndarray:
    one_hot = np.zeros((len(shown), len(mixing)))
    for k, one in enumerate(shown):
        offset = 0
        for label, values in LABELS.items():
            one_hot[k, offset + values.index(one[label])] = 1
            offset += len(values)
    drive = one_hot @ mixing
    spread = np.stack([np.convolve(column, HRF)[: len(shown)] for column in drive.T], axis=1)
    return (spread - spread.mean(0)) / spread.std(0)


def _voxels(patches: int, n_present: int, lacking: int) -> pd.DataFrame:
    n = patches * 16
    grid = np.array(list(itertools.islice(itertools.product(range(n), range(8), range(8)), n)))
    return pd.DataFrame(
        {
            "position": np.arange(n),
            "patch": np.repeat(np.arange(patches), 16),
            "area": "V1",
            "group": "early",
            "hemisphere": "L",
            **{axis: 4.0 * grid[:, k] for k, axis in enumerate("xyz")},
            **{axis: grid[:, k] for k, axis in enumerate("ijk")},
            "present": (np.arange(n) < n_present) & (np.arange(n) >= lacking),
            "reliability": 0.1,
            "selected": (np.arange(n) < n_present) & (np.arange(n) >= lacking),
        }
    )


@pytest.fixture(scope="session")
def study_writer() -> Callable[..., Study]:
    return write_study


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study with a clear signal."""
    return write_study(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="session")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a pretrained model with random weights."""
    folder = tmp_path_factory.mktemp("pretrained") / "model"
    torch.manual_seed(0)
    sizes = {"embed_dim": 16, "depth": 1, "num_heads": 2, "decoder_embed_dim": 16}
    config = MaskedAutoencoderConfig(96, **sizes, decoder_depth=1, decoder_num_heads=2)
    MaskedAutoencoder(config).save_pretrained(folder)
    return folder
