"""Cleaned series of an invented pretraining cohort, in the layout of the contracts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from boldreel.data import arrays, tables
from boldreel.pretrain.corpus import build

PATCHES = 12


def write_cohort(
    root: Path, subjects: tuple[str, ...] = ("rest01", "rest02", "rest03"), volumes: int = 60
) -> tuple[list[Path], Path]:
    """(series, positions): two runs a subject, three slow waves across positions; the last patch is empty in
    the first subject, and padding never holds a voxel."""
    rng = np.random.default_rng(0)
    n = PATCHES * 16
    padding = np.arange(n) % 16 == 15
    where = np.arange(n) * 3.0
    waves = np.stack([np.cos(np.pi * k * np.arange(n) / n) for k in range(1, 4)])
    positions = pd.DataFrame(
        {
            "position": np.arange(n),
            "patch": np.repeat(np.arange(PATCHES), 16),
            "area": "V1",
            "group": "early",
            "hemisphere": "L",
            "x": np.where(padding, np.nan, where),
            "y": np.where(padding, np.nan, 0.0),
            "z": np.where(padding, np.nan, 0.0),
            **{axis: np.where(padding, -1, np.arange(n)) for axis in "ijk"},
        }
    )
    tables.write(root / "atlas" / "positions.parquet", positions, "positions")
    paths = []
    for subject in subjects:
        for repeat in (1, 2):
            values = rng.standard_normal((volumes, 3)) @ waves
            values += 0.5 * rng.standard_normal((volumes, n))
            values = (values - values.mean(0)) / values.std(0)
            values[:, padding] = 0
            if subject == subjects[0]:
                values[:, -16:] = 0
            run = f"task-rest_run-{repeat}"
            paths.append(root / f"sub-{subject}" / "series" / f"{run}.npy")
            arrays.save(
                paths[-1],
                values.astype(np.float32),
                kind="series",
                t_r=2.0,
                start_time=0.0,
                run=run,
                segment="rest",
                repeat=repeat,
            )
    return paths, root / "atlas" / "positions.parquet"


@pytest.fixture(scope="session")
def cohort_writer() -> Callable[..., tuple[list[Path], Path]]:
    return write_cohort


@pytest.fixture
def shifted(cohort: tuple[list[Path], Path], tmp_path: Path) -> Callable[..., Path]:
    """Makes the corpus of the cohort with something added to some rows, where there are voxels."""

    def make(rows: slice, by: np.ndarray) -> Path:
        folder = tmp_path / f"corpus-{len(list(tmp_path.iterdir()))}"
        build(*cohort, folder)
        shard = np.load(folder / "shard-0000.npy")
        shard[rows] += np.where(shard[rows] != 0, by, 0).astype(np.float32)
        np.save(folder / "shard-0000.npy", shard)
        return folder

    return make


@pytest.fixture(scope="session")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], Path]:
    return write_cohort(tmp_path_factory.mktemp("cohort"))
