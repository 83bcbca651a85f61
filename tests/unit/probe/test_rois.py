"""What areas tell: a planted place of the signal is found, and a control tells nothing."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.fixtures_settings import words

from boldreel.align import fit
from boldreel.data import arrays, tables
from boldreel.errors import UserError
from boldreel.probe import rois


def with_groups(study: Any, folder: Path) -> Any:
    """A copy of a study with two groups of areas, of which the second has no signal, and a control."""
    copy = type(study)(folder / "study", study.segments, study.n_clips)
    shutil.copytree(study.root, copy.root)
    voxels = tables.read(copy.voxels, "voxels")
    voxels.loc[48:, "group"] = "motion"
    tables.write(copy.voxels, voxels, "voxels")
    rng = np.random.default_rng(5)
    for path in copy.series.glob("*.npy"):
        series, meta = arrays.load(path, kind="series", mmap=False)
        kept = {k: v for k, v in meta.items() if k not in ("kind", "shape", "dtype")}
        series = series.copy()
        series[:, 48:] = np.where(series[:, 48:] != 0, rng.normal(size=series[:, 48:].shape), 0)
        arrays.save(path, series, kind="series", **kept)
        noise = rng.normal(size=(len(series), 32)).astype(np.float32)
        arrays.save(copy.root / "control" / path.name, noise, kind="series", **kept)
    control = voxels.iloc[:32].drop(columns=["present", "reliability", "selected"])
    tables.write(copy.root / "control.parquet", control.assign(group="motor"), "positions")
    return copy


def table(study: Any, output: Path, *more: str) -> Any:
    rois.main(
        [
            *("--subject", "01", "--windows", str(study.windows)),
            *("--series-dir", str(study.series), "--voxels", str(study.voxels)),
            *("--clips", str(study.clips), "--features", *map(str, study.features)),
            *("--output", str(output), "--config", words("align", seed=3), *more),
        ]
    )
    found = tables.read(output, "rois")
    return found[found["metric"] == "two_way_text"].set_index(["group", "part"])


def control(study: Any) -> list[str]:
    words = ["--control-positions", str(study.root / "control.parquet")]
    return [*words, "--control-series", str(study.root / "control")]


def test_a_planted_place_is_found_and_the_control_tells_nothing(
    study: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = fit.choose_path

    def listening(part: Any, *rest: Any) -> Any:
        assert not any(segment.startswith("test") for segment in part.segment)
        return real(part, *rest)

    monkeypatch.setattr(fit, "choose_path", listening)
    grouped = with_groups(study, tmp_path)
    found = table(grouped, tmp_path / "rois.tsv", *control(grouped))
    value, p = found["value"], found["p"]
    assert value["early", "only"] > 0.9 and value["motion", "without"] == value["early", "only"]
    for silent in (("motion", "only"), ("early", "without"), ("motor", "control")):
        assert 0.35 < value[silent] < 0.65 and p[silent] > 0.05
    assert value["", "all"] > 0.85 and p["", "all"] < 0.05
    assert found.loc[("", "all"), "positions"] == 96 - 9
    assert found.loc[("early", "only"), "positions"] == 48
    assert found.loc[("motor", "control"), "positions"] == 32


def test_no_fit_sees_a_test_run(
    study: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grouped = with_groups(study, tmp_path)
    weights: list[list[np.ndarray]] = []
    real = fit.choose_path

    def keeping(*arguments: Any) -> Any:
        made = real(*arguments)
        weights[-1].append(made.solve(arguments[0])[0])
        return made

    monkeypatch.setattr(fit, "choose_path", keeping)
    for _ in range(2):
        weights.append([])
        table(grouped, tmp_path / "rois.tsv", *control(grouped))
        for folder in (grouped.series, grouped.root / "control"):
            for path in folder.glob("task-test*.npy"):
                series, meta = arrays.load(path, kind="series", mmap=False)
                kept = {k: v for k, v in meta.items() if k not in ("kind", "shape", "dtype")}
                arrays.save(path, series[::-1] * 2 + 1, kind="series", **kept)
    assert len(weights[0]) == 7  # of all positions, then of each part
    assert all(np.array_equal(a, b) for a, b in zip(*weights, strict=True))


def test_one_group_alone_has_nothing_that_it_would_leave(study: Any, tmp_path: Path) -> None:
    found = table(study, tmp_path / "rois.tsv")
    assert list(found.index) == [("", "all"), ("early", "only")]


def test_half_a_control_is_refused(study: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--control-series"):
        table(study, tmp_path / "rois.tsv", "--control-positions", "control.parquet")
