"""Haemodynamic responses are recovered, deconvolution inverts them, and no test run is looked at."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fixtures_presentations import row

from boldreel.data import arrays, tables
from boldreel.errors import UserError
from boldreel.windows import clock, deconvolve, kernels, response, runs, sweep


def hrf(study, out: Path, **own) -> pd.DataFrame:
    config = {"hrf": {"mode": "kernel", **own}}
    kernels.main(
        [
            *("--voxels", str(study.root / "voxels.parquet"), "--output", str(out / "hrf.tsv")),
            *(
                "--series",
                *study.series,
                "--presentations",
                study.presentations,
                "--clips",
                study.clips,
            ),
            *("--features", *study.features, "--config", json.dumps(config)),
        ]
    )
    return tables.read(out / "hrf.tsv", "hrf")


def two_areas(study) -> None:  # type: ignore[no-untyped-def]
    """The second half of the positions becomes an area whose blood is two seconds later."""
    path = study.root / "voxels.parquet"
    voxels = tables.read(path, "voxels")
    late = np.arange(len(voxels)) >= len(voxels) // 2
    voxels["area"] = np.where(late, "late", "early")
    tables.write(path, voxels, "voxels")
    for name in study.series:
        values, meta = arrays.load(name, kind="series", mmap=False)
        values[1:, late] = values[:-1, late].copy()
        kept = {key: meta[key] for key in ("t_r", "start_time", "run", "segment", "repeat")}
        arrays.save(name, values, kind="series", **kept)


def peak(frame: pd.DataFrame, area: str) -> float:
    curve = frame[frame["area"] == area]
    return float(curve["delay"].iloc[curve["value"].to_numpy().argmax()])


def test_each_area_gets_its_own_response(make_study, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    study = make_study(variance=0.2, seed=6, positions=200)
    two_areas(study)
    frame = hrf(study, tmp_path)
    assert set(frame["source"]) == {"area"} and frame["p"].max() < 0.01
    # The canonical response peaks at 5 s.
    assert abs(peak(frame, "early") - 5) <= 0.5
    assert abs(peak(frame, "late") - peak(frame, "early") - 2) <= 0.5
    for area, later in (("early", 0), ("late", 2)):
        curve = frame[frame["area"] == area]
        truth = response.double_gamma(curve["delay"].to_numpy() - later)
        assert np.corrcoef(curve["value"], truth)[0, 1] > 0.95
    assert frame.groupby("area")["value"].max().round(6).eq(1).all()


def test_no_signal_takes_the_canonical_one(make_study, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    frame = hrf(make_study(variance=0.0, seed=7, positions=100), tmp_path)
    assert set(frame["source"]) == {"canonical"}
    truth = response.double_gamma(frame["delay"].to_numpy())
    assert np.allclose(frame["value"], truth / truth.max(), atol=0.02)
    assert frame["p"].min() > 0.01


def test_an_area_without_signal_borrows_from_the_others(make_study, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    study = make_study(variance=0.2, seed=8, positions=200)
    two_areas(study)
    rng = np.random.default_rng(0)
    for name in study.series:
        values, meta = arrays.load(name, kind="series", mmap=False)
        values[:, 100:] = rng.standard_normal((len(values), 100))
        kept = {key: meta[key] for key in ("t_r", "start_time", "run", "segment", "repeat")}
        arrays.save(name, values, kind="series", **kept)
    sources = hrf(study, tmp_path).drop_duplicates("area").set_index("area")["source"]
    assert sources.to_dict() == {"early": "area", "late": "all areas"}


def test_validation_and_test_runs_are_not_looked_at(make_study, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    study = make_study(variance=0.2, seed=9, positions=60)
    (tmp_path / "before").mkdir()
    before = hrf(study, tmp_path / "before")
    for name in study.series:
        if "train4" in Path(name).name or "test" in Path(name).name:
            Path(name).write_bytes(b"no array")
    (tmp_path / "after").mkdir()
    pd.testing.assert_frame_equal(hrf(study, tmp_path / "after"), before)


def test_a_movie_that_began_before_the_run() -> None:
    """As in cc2017, where it began 2 s before: the same as a run that waits for its first volume."""
    scores, durations = np.random.default_rng(2).normal(size=(30, 3)), np.full(30, 2.0)

    def run(start_time: float, onset: float) -> runs.ShownRun:
        shown = clock.Shown(np.arange(30), onset + 2.0 * np.arange(30))
        about = ("task-a_run-1", "a", 1, "train", np.zeros((25, 4)), 2.0, start_time, shown)
        return runs.ShownRun(*about, frozenset({"a"}), Path("a.npy"))

    early = kernels.design(run(0.0, -2.0), scores, durations, 20.0)
    np.testing.assert_allclose(early, kernels.design(run(2.0, 0.0), scores, durations, 20.0))
    assert np.abs(early - kernels.design(run(0.0, 0.0), scores, durations, 20.0)).max() > 0.1


def test_responses_to_other_splits_teach_nothing(make_study, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """Runs that end with clips of the test: whatever their volumes are, the responses are the same."""
    study = make_study(variance=0.2, positions=60, clips=60)
    for label in [label for label in study.shown if "train" in label and "train4" not in label]:
        movie = study.shown[label][0].stimulus
        study.shown[label] = [
            row(0, 80, movie, 0, split="train"),
            row(80, 40, movie, 80, split="test"),
        ]
    before = hrf(study, tmp_path)
    for name in study.series:
        values, meta = arrays.load(name, kind="series", mmap=False)
        times = meta["start_time"] + meta["t_r"] * np.arange(len(values))
        values[times >= 80] *= -9
        kept = {key: meta[key] for key in ("t_r", "start_time", "run", "segment", "repeat")}
        arrays.save(name, values, kind="series", **kept)
    pd.testing.assert_frame_equal(hrf(study, tmp_path), before)
    for label, rows in study.shown.items():
        tested = [row(0, 120, "test1.mp4", split="test")]
        study.shown[label] = [*rows[:1], *tested] if "train" in label else rows
    with pytest.raises(UserError, match="every volume of the training runs holds a response to"):
        hrf(study, tmp_path)


def test_one_segment_is_told(make_study, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    study = make_study(positions=40)
    study.series = [name for name in study.series if "train1" in Path(name).name]
    with pytest.raises(UserError, match="kernel needs two"):
        hrf(study, tmp_path)


@given(st.integers(0, 2**31), st.integers(20, 60), st.sampled_from([0.72, 1.0, 1.49, 2.0]))
@settings(max_examples=25, deadline=None)
def test_deconvolution_inverts_convolution(seed: int, volumes: int, t_r: float) -> None:
    """Without noise, and by the naive formula with it."""
    delays = np.arange(41) * 0.5
    kernel = deconvolve.weights(delays, response.double_gamma(delays), t_r)
    assert np.isclose(np.linalg.norm(kernel), 1)
    truth = np.random.default_rng(seed).standard_normal((volumes, 3))
    forward = np.zeros((volumes, volumes))
    for volume in range(volumes):
        for k in range(min(len(kernel), volume + 1)):
            forward[volume, volume - k] = kernel[k]
    measured = forward @ truth
    found = deconvolve.deconvolve(measured, kernel, 0.7)
    naive = np.linalg.inv(forward.T @ forward + 0.7 * np.eye(volumes)) @ forward.T @ measured
    assert np.allclose(found, naive, atol=1e-8)
    sharp = deconvolve.deconvolve(measured, kernel, 1e-6)
    assert np.linalg.norm(forward @ sharp - measured) < 0.01 * np.linalg.norm(measured)
    # Activity ten seconds before the end was seen to its peak.
    seen = volumes - round(10 / t_r)
    if seen > 5:
        assert np.corrcoef(sharp[:seen].ravel(), truth[:seen].ravel())[0, 1] > 0.8


def activity(study, out: Path, **own) -> list[str]:  # type: ignore[no-untyped-def]
    paths = []
    for name in study.series:
        path = out / "activity" / Path(name).name
        config = json.dumps({"hrf": own})
        deconvolve.main(
            [
                *("--series", name, "--voxels", str(study.root / "voxels.parquet")),
                *("--hrf", str(out / "hrf.tsv"), "--output", str(path), "--config", config),
            ]
        )
        paths.append(str(path))
    return paths


@pytest.mark.parametrize("t_r", [1.0, 2.0])
def test_activity_comes_when_the_clip_does(make_study, tmp_path: Path, t_r: float) -> None:  # type: ignore[no-untyped-def]
    """Whatever the lag of the blood, the sweep on deconvolved series finds activity at the clip."""
    study = make_study(variance=0.2, delay=1.5, seed=10, positions=150, t_r=t_r, clips=60)
    hrf(study, tmp_path)
    before = study.series
    study.series = activity(study, tmp_path, noise=1.0)
    values, meta = arrays.load(study.series[0], kind="series")
    assert np.allclose(values.mean(0), 0, atol=1e-5) and (values[:, 3] == 0).all()
    present = values[:, np.arange(150) != 3]
    assert np.allclose(present.std(0), 1, atol=1e-4)
    assert meta["t_r"] == t_r and meta["run"] == "task-train1_run-1"
    own = {"mode": "kernel", "lags": [-4.0, -2.0, 0.0, 2.0, 4.0]}
    config = {"seed": 1, "permutations": 120, "windows": [1], "hrf": own}
    sweep.main(study.sweep(tmp_path, "--config", json.dumps(config)))
    choice = json.loads((tmp_path / "choice.json").read_text())
    assert choice["hrf"] == "kernel" and choice["source"] == "sweep"
    assert choice["lag"] == 0 and choice["lag_estimate"] is None
    # One volume of activity tells at least what the best single volume of blood does.
    study.series = before
    config["hrf"] = {"mode": "lag"}
    sweep.main(study.sweep(tmp_path, "--config", json.dumps(config)))
    measured = json.loads((tmp_path / "choice.json").read_text())
    assert choice["best"]["score"] > measured["best"]["score"] - 0.03


def test_one_window_from_the_first_lag_to_the_last(make_study, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    study = make_study(variance=0.1, seed=11, positions=150, t_r=1.0, clips=60)
    config = {"seed": 1, "permutations": 120, "lags": [2.0, 4.0, 8.0]}
    config["hrf"] = {"mode": "fir"}
    sweep.main(study.sweep(tmp_path, "--config", json.dumps(config)))
    choice = json.loads((tmp_path / "choice.json").read_text())
    table = tables.read(tmp_path / "sweep.tsv", "sweep")
    assert len(table) == 1 and table["chosen"].all()
    assert (choice["lag"], choice["window"], choice["hrf"]) == (2.0, 7, "fir")
    assert choice["source"] == "config" and abs(choice["lag_estimate"] - study.peak) < 1
    # Against one volume at the best lag.
    config["hrf"] = {"mode": "lag"}
    config["windows"] = [1]
    sweep.main(study.sweep(tmp_path, "--config", json.dumps(config)))
    single = tables.read(tmp_path / "sweep.tsv", "sweep")["score"].max()
    assert table["score"].iloc[0] > single


def test_no_signal_takes_activity_at_the_clip(make_study, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    study = make_study(variance=0.0, seed=12, positions=100)
    config = {"seed": 1, "permutations": 120, "windows": [1]}
    config["hrf"] = {"mode": "deconvolution"}
    sweep.main(study.sweep(tmp_path, "--config", json.dumps(config)))
    choice = json.loads((tmp_path / "choice.json").read_text())
    assert (choice["source"], choice["lag"]) == ("default", 0.0)


def test_canonical_response_reads_nothing(study, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    output = tmp_path / "hrf.tsv"
    config = json.dumps({"hrf": {"mode": "deconvolution"}})
    voxels = str(study.root / "voxels.parquet")
    kernels.main(["--voxels", voxels, "--output", str(output), "--config", config])
    frame = tables.read(output, "hrf")
    assert set(frame["source"]) == {"canonical"} and abs(peak(frame, "V1") - 5) <= 0.5
