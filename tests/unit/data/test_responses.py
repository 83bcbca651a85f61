"""Responses against a plain loop over the windows table."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from boldreel.data import arrays, tables
from boldreel.data.responses import load_responses
from boldreel.errors import UserError

VOLUMES, POSITIONS, WINDOW = 8, 5, 3


@pytest.fixture
def subject(tmp_path: Path) -> Path:
    """Two clips of train (2 runs) and one of test (1 run); windows reach past the run's end."""
    rng = np.random.default_rng(0)
    rows = []
    for segment, repeats in (("train", 2), ("test", 1)):
        for repeat in range(1, repeats + 1):
            run = f"task-{segment}_run-{repeat}"
            values = rng.standard_normal((VOLUMES, POSITIONS)).astype(np.float32)
            values[:, 2] = 0
            meta = {"t_r": 2.0, "start_time": 1.0, "run": run, "segment": segment, "repeat": repeat}
            arrays.save(tmp_path / "series" / f"{run}.npy", values, kind="series", **meta)
            for clip, first in (("b", 6), ("a", 1)):
                rows.append(
                    {
                        "clip": f"{segment}-{clip}",
                        "segment": segment,
                        "run": run,
                        "repeat": repeat,
                        "onset": 2.0 * first,
                        "first_volume": first,
                        "window": WINDOW,
                        "lag": 4.0,
                        "split": segment,
                        "shot": f"{segment}-s{clip}",
                    }
                )
    tables.write(tmp_path / "windows.parquet", pd.DataFrame(rows), "windows")
    return tmp_path


def window(folder: Path, run: str, first: int) -> np.ndarray:
    values = np.load(folder / "series" / f"{run}.npy")
    return np.stack([values[min(first + k, VOLUMES - 1)] for k in range(WINDOW)])


def test_each_and_average(subject: Path) -> None:
    table, series = subject / "windows.parquet", subject / "series"
    each = load_responses(table, series, "train", "each")
    assert each.clips == ["train-b", "train-a", "train-b", "train-a"]
    assert each.repeats.tolist() == [1, 1, 2, 2]
    assert np.array_equal(each.x[2], window(subject, "task-train_run-2", 6))
    mean = load_responses(table, series, ("train", "validation"))
    assert mean.clips == ["train-b", "train-a"] and mean.shots == ["train-sb", "train-sa"]
    assert mean.repeats.tolist() == [2, 2] and mean.x.dtype == np.float32
    both = [window(subject, f"task-train_run-{r}", 1) for r in (1, 2)]
    np.testing.assert_allclose(mean.x[1], np.mean(both, axis=0), rtol=1e-6)
    assert not mean.x[:, :, 2].any()


def test_first_repeats_only(subject: Path) -> None:
    one = load_responses(subject / "windows.parquet", subject / "series", "train", 1)
    assert np.array_equal(one.x[0], window(subject, "task-train_run-1", 6))
    with pytest.raises(UserError, match="shown 2 times, 3 repeats asked"):
        load_responses(subject / "windows.parquet", subject / "series", "train", 3)


def test_errors(subject: Path) -> None:
    table = subject / "windows.parquet"
    with pytest.raises(UserError, match="no window in split validation"):
        load_responses(table, subject / "series", "validation")
    frame = tables.read(table, "windows")
    frame.loc[0, "first_volume"] = VOLUMES
    tables.write(table, frame, "windows")
    with pytest.raises(UserError, match="task-train_run-1: a window starts at volume 8"):
        load_responses(table, subject / "series", "train")
    (subject / "series" / "task-test_run-1.npy").unlink()
    with pytest.raises(UserError, match="task-test_run-1"):
        load_responses(table, subject / "series", "test")
