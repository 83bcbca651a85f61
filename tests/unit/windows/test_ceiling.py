"""Noise ceilings recover the explainable variance that the data were made with."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from boldreel.data import arrays, tables
from boldreel.windows import build, ceiling


def blocks(
    share: np.ndarray, repeats: list[int], samples: int = 240, seed: int = 0, smooth: float = 0.0
) -> list[np.ndarray]:
    """Segments whose single trials have the given share (positions,) of stimulus-driven variance."""
    rng = np.random.default_rng(seed)
    out = []
    for count in repeats:
        signal = rng.standard_normal((samples, 1, len(share)))
        noise = rng.standard_normal((samples, count, len(share)))
        for k in range(1, samples):
            noise[k] = smooth * noise[k - 1] + np.sqrt(1 - smooth**2) * noise[k]
        offset = rng.standard_normal((1, count, len(share)))
        out.append(np.sqrt(share) * signal + np.sqrt(1 - share) * noise + offset)
    return out


@pytest.mark.parametrize("smooth", [0.0, 0.4])
def test_known_ceilings(smooth: float) -> None:
    share = np.repeat([0.01, 0.03, 0.1, 0.3], 100)
    data = blocks(share, [10, 10], smooth=smooth)
    signal, noise, repeats = ceiling.variance_components(data)
    reliability, single, mean = ceiling.ceilings(signal, noise, repeats)
    true = share / (share + (1 - share) / 10)
    for value in np.unique(share):
        here = share == value
        assert abs(reliability[here].mean() - true[here][0]) < 0.03
        if value >= 0.03:
            assert abs(np.median(single[here]) - np.sqrt(value)) < 0.03
            assert abs(np.median(mean[here]) - np.sqrt(true[here][0])) < 0.05
    halves = ceiling.split_half(data)
    big = share >= 0.1
    assert abs(halves[big] - reliability[big]).mean() < 0.05


def test_unbiased_without_signal_and_with_uneven_repeats() -> None:
    signal, noise, repeats = ceiling.variance_components(blocks(np.zeros(400), [2, 10], smooth=0.3))
    assert abs(signal.mean()) < 4 * signal.std() / 20
    assert repeats == pytest.approx(2 / (1 / 2 + 1 / 10))
    share = np.full(400, 0.2)
    signal, noise, _ = ceiling.variance_components(blocks(share, [2, 10]))
    assert signal.mean() == pytest.approx(0.2, abs=0.01)
    assert noise.mean() == pytest.approx(0.8, abs=0.01)


def test_ceiling_is_what_the_perfect_model_reaches() -> None:
    """Correlation of the noiseless response with trials and with their mean."""
    rng = np.random.default_rng(1)
    share, n = 0.15, 8
    signal = rng.standard_normal((500, 1, 60))
    data = np.sqrt(share) * signal + np.sqrt(1 - share) * rng.standard_normal((500, n, 60))
    _, single, mean = ceiling.ceilings(*ceiling.variance_components([data]))

    def reached(trial: np.ndarray) -> float:
        return np.mean([np.corrcoef(signal[:, 0, v], trial[:, v])[0, 1] for v in range(60)])

    assert abs(single.mean() - reached(data[:, 0])) < 0.03
    assert abs(mean.mean() - reached(data.mean(axis=1))) < 0.03


def test_step(study, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "choice.json").write_text(json.dumps({"lag": 6.0, "window": 2}))
    build.main(
        ["--choice", str(tmp_path / "choice.json"), "--series", *study.series]
        + ["--presentations", study.presentations, "--clips", study.clips]
        + ["--output", str(tmp_path / "windows.parquet")]
    )
    out = tmp_path / "noise_ceiling.parquet"
    arguments = ["--windows", str(tmp_path / "windows.parquet"), "--output", str(out)]
    ceiling.main([*arguments, "--series-dir", str(study.root / "series")])
    table = tables.read(out, "noise_ceiling")
    assert table.groupby("split")["position"].count().to_dict() == {"test": 400, "train": 400}
    train = table[table["split"] == "train"]
    assert set(train["repeats"]) == {2}
    assert np.isnan(train["reliability"].iloc[3]) and np.isnan(train["ceiling_mean"].iloc[3])
    # The study's stimulus drives .05 of the variance of a trial, on average over positions.
    assert np.nanmean(train["ceiling_single"] ** 2) == pytest.approx(0.05, abs=0.02)


def test_nothing_shown_twice(study, tmp_path: Path, capsys) -> None:  # type: ignore[no-untyped-def]
    series = [name for name in study.series if "run-1" in name]
    (tmp_path / "choice.json").write_text(json.dumps({"lag": 6.0, "window": 2}))
    build.main(
        ["--choice", str(tmp_path / "choice.json"), "--series", *series]
        + ["--presentations", study.presentations, "--clips", study.clips]
        + ["--output", str(tmp_path / "windows.parquet")]
    )
    ceiling.main(
        ["--windows", str(tmp_path / "windows.parquet")]
        + ["--series-dir", str(study.root / "series"), "--output", str(tmp_path / "c.parquet")]
    )
    assert not len(tables.read(tmp_path / "c.parquet", "noise_ceiling"))
    assert "no clip is in two runs" in capsys.readouterr().err


def test_repeats_are_of_clips_not_of_tasks(tmp_path: Path) -> None:
    """Runs of a task show one film, another, both films again, and a run of another task the first."""
    rng = np.random.default_rng(3)
    films = {name: rng.standard_normal((20, 30)) for name in ("a", "b")}
    rows = []
    for segment, repeat, shown in (("m", 1, "a"), ("m", 2, "b"), ("m", 3, "ab"), ("n", 1, "a")):
        run = f"task-{segment}_run-{repeat}"
        values = np.concatenate([films[film] for film in shown])
        noisy = values + 2 * rng.standard_normal(values.shape)
        meta = {"run": run, "segment": segment, "repeat": repeat, "t_r": 2.0, "start_time": 0.0}
        arrays.save(tmp_path / f"{run}.npy", noisy.astype("f4"), kind="series", **meta)
        for first, clip in enumerate(f"{film}{k}" for film in shown for k in range(20)):
            row = {"clip": clip, "segment": segment, "run": run, "repeat": repeat, "shot": clip}
            rows.append(
                {
                    **row,
                    "onset": 2.0 * first,
                    "first_volume": first,
                    "window": 1,
                    "lag": 5.0,
                    "split": "train",
                }
            )
    tables.write(tmp_path / "windows.parquet", pd.DataFrame(rows), "windows")
    found = ceiling.repeat_blocks(tmp_path / "windows.parquet", tmp_path, "train")
    assert [block.shape for block in found] == [(20, 3, 30), (20, 2, 30)]
    for block, film in zip(found, films.values(), strict=True):
        for k in range(block.shape[1]):
            assert np.corrcoef(block[:, k].ravel(), film.ravel())[0, 1] > 0.3


def shown_in_runs(
    folder: Path, orders: list[list[int]], share: float, positions: int = 300, seed: int = 0
) -> Path:
    """Windows and series of runs of their own segments, each with its clips in the given order.

    A clip's n-th showing is the same response wherever it is; `share` of its variance is the clip's.
    """
    rng = np.random.default_rng(seed)
    clips = max(max(order) for order in orders) + 1
    signal = rng.standard_normal((clips, positions))
    trials = rng.standard_normal((clips, len(orders), positions))
    trials = np.sqrt(share) * signal[:, None] + np.sqrt(1 - share) * trials
    count, rows = np.zeros(clips, int), []
    for number, order in enumerate(orders):
        segment = f"r{number}"
        run = f"task-{segment}_run-1"
        values = trials[order, count[order]]
        count[order] += 1
        meta = {"run": run, "segment": segment, "repeat": 1, "t_r": 2.0, "start_time": 0.0}
        arrays.save(folder / f"{run}.npy", values.astype("f4"), kind="series", **meta)
        for place, clip in enumerate(order):
            shown = {"clip": f"c{clip:03d}", "shot": f"c{clip:03d}", "onset": 2.0 * place}
            where = {"segment": segment, "run": run, "repeat": 1, "split": "test"}
            rows.append({**shown, **where, "first_volume": place, "window": 1, "lag": 5.0})
    tables.write(folder / "windows.parquet", pd.DataFrame(rows), "windows")
    return folder / "windows.parquet"


def found_in(windows: Path) -> tuple[np.ndarray, ...]:
    blocks = ceiling.repeat_blocks(windows, windows.parent, "test")
    return (*ceiling.variance_components(blocks), ceiling.split_half(blocks))


def test_the_order_of_clips_within_runs_changes_nothing(tmp_path: Path) -> None:
    """Ten runs of one order, and ten of ten orders: segments of their own with the same trials."""
    rng = np.random.default_rng(2)
    ordered = shown_in_runs(tmp_path / "a", [list(range(60))] * 10, 0.2)
    shuffled = shown_in_runs(tmp_path / "b", [list(rng.permutation(60)) for _ in range(10)], 0.2)
    for first, second in zip(found_in(ordered), found_in(shuffled), strict=True):
        np.testing.assert_allclose(first, second, atol=1e-6)


@pytest.mark.parametrize("share", [0.0, 0.2])
def test_repeats_that_are_scattered_over_runs_have_the_known_ceiling(
    tmp_path: Path, share: float
) -> None:
    """Each clip three times, in runs that no other clip shares with it all: BOLD Moments' training."""
    rng = np.random.default_rng(4)
    shown = np.concatenate([rng.permutation(120) for _ in range(3)])
    orders = [list(part) for part in shown.reshape(24, 15)]
    windows = shown_in_runs(tmp_path, orders, share, positions=800)
    blocks = ceiling.repeat_blocks(windows, tmp_path, "test")
    assert any(isinstance(block, ceiling.Scattered) for block in blocks)
    signal, noise, repeats = ceiling.variance_components(blocks)
    assert repeats == pytest.approx(3)
    assert signal.mean() == pytest.approx(share, abs=4 * signal.std() / np.sqrt(800))
    assert noise.mean() == pytest.approx(1 - share, abs=4 * noise.std() / np.sqrt(800))
    _, single, mean = ceiling.ceilings(signal, noise, repeats)
    if share:
        assert np.median(single) == pytest.approx(np.sqrt(share), abs=0.03)
        reliability = share / (share + (1 - share) / 3)
        assert np.median(mean) == pytest.approx(np.sqrt(reliability), abs=0.03)
        # halves of three showings are one showing each
        assert np.median(ceiling.split_half(blocks)) == pytest.approx(
            2 * share / (1 + share), abs=0.05
        )


def test_runs_that_differ_in_their_mean_are_no_signal_and_no_noise() -> None:
    """Where numbers are equal the general way gives what blocks give."""
    (block,) = blocks(np.full(50, 0.3), [4], samples=80)
    samples, repeats, positions = block.shape
    scattered = ceiling.without_runs(
        block.reshape(-1, positions),
        np.repeat(np.arange(samples), repeats),
        np.tile(np.arange(repeats), samples),
    )
    for first, second in zip(
        ceiling.variance_components([block]), ceiling.variance_components([scattered]), strict=True
    ):
        np.testing.assert_allclose(first, second)
