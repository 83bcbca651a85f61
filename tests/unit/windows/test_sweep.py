"""The sweep finds the lag that the data were made with, and nothing where there is nothing."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from boldreel.data import tables
from boldreel.errors import UserError
from boldreel.windows import sweep

CFG = {"seed": 1, "permutations": 120}


def run(study, out: Path, **config) -> dict:  # type: ignore[no-untyped-def]
    sweep.main(study.sweep(out, "--config", json.dumps(CFG | config)))
    return json.loads((out / "choice.json").read_text())


def test_known_lag(study, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    choice = run(study, tmp_path)
    assert choice["source"] == "sweep" and choice["p"] < 0.01
    assert abs(choice["lag_estimate"] - study.peak) < 0.5
    # Volumes are timed by their middle and ties go to the later: lag 6 is the volume at 7 s. The
    # window covers the peak.
    first = choice["lag"] + 1
    assert first - 1 <= study.peak <= first + 2 * (choice["window"] - 1) + 1
    table = tables.read(tmp_path / "sweep.tsv", "sweep")
    assert len(table) == 18 and table["chosen"].sum() == 1
    chosen = table[table["chosen"]].iloc[0]
    assert (chosen["lag"], chosen["window"]) == (choice["lag"], choice["window"])
    assert chosen["score"] > 0.7 and round(chosen["score"], 3) == round(table["score"].max(), 3)
    assert table.loc[table["lag"] == 0, "score"].min() < 0.6


@pytest.mark.parametrize("delay", [-1.5, 0.0])
def test_other_lags(make_study: Callable, tmp_path: Path, delay: float) -> None:
    study = make_study(delay=delay, seed=3)
    choice = run(study, tmp_path, windows=[1])
    assert abs(choice["lag_estimate"] - study.peak) < 0.5


@pytest.mark.parametrize("t_r", [0.72, 1.0, 1.49, 1.75])
def test_other_repetition_times(make_study: Callable, tmp_path: Path, t_r: float) -> None:
    """The lag is in seconds: it is the same whatever the TR."""
    study = make_study(t_r=t_r, seed=4, variance=0.1, clips=60, positions=200)
    choice = run(study, tmp_path, windows=[1, 2])
    assert choice["source"] == "sweep"
    assert abs(choice["lag_estimate"] - study.peak) < 0.7
    # A window begins no later than the response peaks.
    assert 0 < choice["lag"] < study.peak + t_r


def test_no_signal_takes_the_default(make_study: Callable, tmp_path: Path) -> None:
    choice = run(make_study(variance=0.0, seed=5), tmp_path, default_lag=4.0, windows=[1, 2])
    assert (choice["source"], choice["lag"], choice["window"]) == ("default", 4.0, 2)
    assert choice["p"] > 0.05 and choice["lag_estimate"] is None
    assert "above chance" in choice["note"]
    assert abs(choice["best"]["score"] - 0.5) < 0.1


def test_config_overrides(study, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    choice = run(study, tmp_path, windows=[1], lags=[4, 6], lag=5.5, window=3, permutations=20)
    assert (choice["source"], choice["lag"], choice["window"]) == ("config", 5.5, 3)


def test_test_segments_are_never_read(make_study: Callable, tmp_path: Path) -> None:
    """Other test data, same bytes; even unreadable test data."""
    study = make_study(seed=2, clips=50, positions=100)
    options = {"windows": [1], "permutations": 20}
    run(study, tmp_path / "a", **options)
    for name in (name for name in study.series if "task-test" in name):
        values = np.load(name)
        np.save(name, -values[::-1])
    run(study, tmp_path / "b", **options)
    for name in (name for name in study.series if "task-test" in name):
        Path(name).write_bytes(b"not readable")
    (study.root / "stimuli" / "test1" / "features" / "image.npy").unlink()
    run(study, tmp_path / "c", **options)
    for name in ("sweep.tsv", "choice.json"):
        first = (tmp_path / "a" / name).read_bytes()
        assert (tmp_path / "b" / name).read_bytes() == first
        assert (tmp_path / "c" / name).read_bytes() == first


def test_absent_positions_do_not_count(make_study: Callable, tmp_path: Path) -> None:
    study = make_study(seed=2, clips=50, positions=100)
    options = {"windows": [1], "permutations": 20}
    run(study, tmp_path / "a", **options)
    for name in study.series:
        values = np.load(name)
        values[:, 3] = 1000
        np.save(name, values)
    run(study, tmp_path / "b", **options)
    assert (tmp_path / "a" / "sweep.tsv").read_bytes() == (
        tmp_path / "b" / "sweep.tsv"
    ).read_bytes()


def test_errors(make_study: Callable, tmp_path: Path) -> None:
    study = make_study(clips=20, positions=16)
    shown = dict(study.shown)
    for label, rows in shown.items():
        study.shown[label] = [one._replace(split="train") for one in rows]
    with pytest.raises(UserError, match="0 validation clips"):
        run(study, tmp_path)
    for label, rows in shown.items():
        study.shown[label] = [one._replace(split="test") for one in rows]
    with pytest.raises(UserError, match="no series of a train or validation run"):
        run(study, tmp_path)
    study.shown = shown
    study.features = [name for name in study.features if "train2" not in name]
    with pytest.raises(UserError, match="no folder for movie train2"):
        run(study, tmp_path)
    del study.shown["task-train1_run-2"]
    with pytest.raises(UserError, match="has no run task-train1_run-2"):
        run(study, tmp_path)
    assert not (tmp_path / "choice.json").exists()


def test_movies_that_others_saw_change_nothing(make_study: Callable, tmp_path: Path) -> None:
    """Nor do their features have to be there."""
    study = make_study(clips=40, positions=60, seed=6)
    run(study, tmp_path / "few", windows=[1])
    table = tables.read(study.clips, "clips")
    others = [
        table.assign(
            clip=table["clip"] + f"-of-{k}", movie=f"other{k}", shot=table["shot"] + f"-{k}"
        )
        for k in range(3)
    ]
    every = pd.concat([others[0], table, *others[1:]], ignore_index=True)
    tables.write(study.clips, every, "clips")
    run(study, tmp_path / "many", windows=[1])
    for name in ("sweep.tsv", "choice.json"):
        few, many = (tmp_path / folder / name for folder in ("few", "many"))
        assert few.read_bytes() == many.read_bytes()
