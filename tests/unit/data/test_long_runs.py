"""What is held in memory does not grow with the length of a run or a film."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.fixtures_cifti import write_dense
from tests.fixtures_settings import words

from boldreel.bold import check, content_hash, quality
from boldreel.data import arrays, cifti, nifti, preprocessed_runs, tables, video
from boldreel.errors import UserError
from boldreel.roi import series
from boldreel.stimuli import decode, shots

SHAPE = (20, 22, 18)
SHORT, LONG = 200, 800
PLACES = 50


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    """Parts of 40 volumes, as those of a run at 2 mm are parts of its thousands."""
    monkeypatch.setattr(nifti, "SLAB", 40 * 4 * int(np.prod(SHAPE)))
    monkeypatch.setattr(cifti, "SLAB", 40 * 4 * int(np.prod(SHAPE)))


def peak(work: Callable[[], object]) -> int:
    """Bytes that are allocated at most."""
    work()  # what is imported or cached once does not count
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def run(folder: Path, volumes: int, dtype: type = np.int16) -> Path:
    rng = np.random.default_rng(volumes)
    path = folder / f"sub-01_task-a_run-{volumes}_bold.nii.gz"
    values = rng.integers(900, 1100, (*SHAPE, volumes)).astype(dtype)
    nifti.save(path, values, np.diag([2.0, 2, 2, 1]), t_r=1.0)
    path.with_name(path.name.replace(".nii.gz", ".json")).write_text('{"RepetitionTime": 1.0}')
    return path


def grows(works: list[Callable[[], object]]) -> float:
    short, long = map(peak, works)
    return long / short


def test_checks_and_hashes(tmp_path):
    paths = [run(tmp_path, count) for count in (SHORT, LONG)]
    assert grows([lambda path=path: check.check_run(path) for path in paths]) < 1.1
    assert grows([lambda path=path: content_hash.of_file(path) for path in paths]) < 1.1
    assert grows([lambda path=path: content_hash.check_duplicates([path]) for path in paths]) < 1.1


def test_a_hash_does_not_depend_on_how_a_run_is_read(tmp_path, monkeypatch):
    path = run(tmp_path, 90)
    assert content_hash.of_file(path) == content_hash.of_values(content_hash.read_volumes(path)[0])
    values = np.random.default_rng(0).normal(size=(90, 5)).astype(np.float32)
    dense = write_dense(tmp_path / "x.dtseries.nii", values, left=3, right=2)
    monkeypatch.setattr(cifti, "SLAB", 4 * 5 * 7)
    assert content_hash.of_file(dense) == content_hash.of_values(cifti.load(dense).values())


def test_a_value_that_is_no_number_is_found_in_any_part(tmp_path):
    values = np.ones((*SHAPE, 100), np.float32)
    values[..., 50] = np.arange(np.prod(SHAPE)).reshape(SHAPE)
    values[3, 4, 5, [45, 99]] = np.nan
    path = run(tmp_path, 100)
    nifti.save(path, values, np.eye(4), t_r=1.0)
    with pytest.raises(UserError, match=r"2 values are NaN or infinite, the first in volume 45"):
        check.check_run(path)


def positions(folder: Path) -> Path:
    path = folder / "positions.parquet"
    places = np.random.default_rng(0).integers(0, SHAPE, (PLACES, 3))
    frame = pd.DataFrame(places, columns=list("ijk"))
    frame[list("xyz")] = 2.0 * places
    frame = frame.assign(position=range(PLACES), patch=0, hemisphere="L", area="a", group="g")
    tables.write(path, frame, "positions")
    return path


def test_series_at_positions(tmp_path):
    table = positions(tmp_path)
    paths = [run(tmp_path, count) for count in (SHORT, LONG)]
    outputs = [4 * PLACES * count for count in (SHORT, LONG)]
    short, long = (peak(lambda path=path: series.read_volume(table, path)) for path in paths)
    assert (long - outputs[1]) / (short - outputs[0]) < 1.1
    values, real = series.read_volume(table, paths[0])
    whole = nifti.values(nifti.load(paths[0]))
    np.testing.assert_array_equal(
        values, series.extract(whole, series.load_indices(table, paths[0]))
    )
    assert real.all()


def adopted(path: Path, kind: str, volumes: int) -> preprocessed_runs.Run:
    space = ("X", 2.0, "volume") if kind == "volume" else ("fsLR", float("nan"), "cifti")
    return preprocessed_runs.Run("a", 1, str(path), "", "", *space, volumes, 1.0, 0.0, "hcp")


def test_quality_of_a_run(tmp_path, monkeypatch):
    monkeypatch.setattr(quality, "_CARPET_ROWS", 5)
    paths = [run(tmp_path, count) for count in (SHORT, LONG)]
    works = [
        lambda path=path, n=n: quality.measure_adopted(adopted(path, "volume", n))
        for path, n in zip(paths, (SHORT, LONG), strict=True)
    ]
    assert grows(works) < 1.1


@pytest.mark.parametrize("kind", ["volume", "cifti"])
def test_quality_is_that_of_the_whole_run(tmp_path, kind, monkeypatch):
    """Temporal signal-to-noise around a quadratic trend, from the definition."""
    rng = np.random.default_rng(3)
    n, p = 90, 40
    time = np.linspace(-1, 1, n)
    values = (10_000 + 50 * rng.normal(size=(n, p)) + 300 * time[:, None] ** 2).astype(np.float32)
    values[:, 7] = 123.0
    if kind == "volume":
        path = tmp_path / "run.nii.gz"
        nifti.save(path, values.T.reshape(p, 1, 1, n), np.eye(4), t_r=1.0, dtype=np.float32)
        monkeypatch.setattr(nifti, "SLAB", 4 * p * 7)
    else:
        path = write_dense(tmp_path / "run.dtseries.nii", values, left=25, right=15)
        monkeypatch.setattr(cifti, "SLAB", 4 * p * 7)
    found = quality.measure_adopted(adopted(path, kind, n))
    trend = np.polynomial.polynomial.polyvander(time, 2)
    exact = values.astype(float)
    residual = exact - trend @ np.linalg.lstsq(trend, exact, rcond=None)[0]
    tsnr = exact.mean(0) / residual.std(0)
    tsnr[7] = np.nan
    np.testing.assert_allclose(found.tsnr.ravel(), tsnr, rtol=1e-5)
    np.testing.assert_allclose(found.mean.ravel(), exact.mean(0), rtol=1e-6)
    others = np.delete(np.arange(p), 7)
    z = (residual / residual.std(0)).T
    np.testing.assert_allclose(found.carpet[others], z[others], atol=1e-4)
    assert not found.carpet[7].any()
    assert found.content == content_hash.of_values(values[:, None, None])


def film(folder: Path, seconds: int) -> Path:
    path = folder / f"film{seconds}.mp4"
    rng = np.random.default_rng(0)
    scenes = rng.integers(0, 255, (7, 64, 64, 3), dtype=np.uint8)
    video.write_mp4(path, (scenes[k // 40 % 7] for k in range(8 * seconds)), 8.0)
    return path


def test_a_film_is_decoded_picture_by_picture(tmp_path, monkeypatch):
    monkeypatch.setattr(shots.jumps, "__defaults__", (32,))
    sizes = [20, 80]
    works = []
    for seconds in sizes:
        arguments = [
            "--movie",
            str(film(tmp_path, seconds)),
            "--output",
            str(tmp_path / str(seconds)),
        ]
        arguments += ["--config", words("stimuli", size=64)]
        works.append(lambda arguments=arguments: decode.main(arguments))
    assert grows(works) < 1.25
    for seconds in sizes:
        found, about = arrays.load(tmp_path / str(seconds) / "frames.npy", kind="frames")
        whole = video.read_frames(tmp_path / f"film{seconds}.mp4", 3.0, 64)
        np.testing.assert_array_equal(found, whole)
        assert about["shape"] == list(whole.shape)
        arrays.save(tmp_path / "whole.npy", whole, kind="frames", frame_rate=3.0, source="x")
        written = (tmp_path / str(seconds) / "frames.npy").read_bytes()
        assert written == (tmp_path / "whole.npy").read_bytes()


@pytest.mark.parametrize("count", [1, 2, 5, 8, 9, 30])
def test_shots_do_not_depend_on_how_many_pictures_are_held(count):
    frames = np.random.default_rng(count).integers(0, 255, (count, 32, 32, 3), dtype=np.uint8)
    whole = shots.jumps(frames)
    assert len(whole) == count and whole[0] == 0
    np.testing.assert_array_equal(shots.jumps(iter(frames), block=5), whole)
    np.testing.assert_array_equal(shots.jumps(iter(frames), block=8), whole)
