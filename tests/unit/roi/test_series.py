"""The series of one run: right voxels, right scale, missing ones zero and named."""

import numpy as np
import pytest
from tests.fixtures_settings import settings as chosen
from tests.fixtures_settings import words

from boldreel.data import arrays, nifti, tables
from boldreel.errors import UserError
from boldreel.roi import series


def extract(preprocessed_path, positions, tmp_path, **config):
    output = tmp_path / "series" / "task-train01_run-2.npy"
    series.main(
        [
            *("--positions", str(positions), "--bold", str(preprocessed_path)),
            *("--output", str(output), "--config", words("roi", **config)),
        ]
    )
    return arrays.load(output, kind="series")


def test_values_belong_to_their_positions(preprocessed, positions, tmp_path):
    path = preprocessed()
    values, meta = extract(path, positions, tmp_path, confounds="none", detrend_order=-1)
    frame = tables.read(positions, "positions")
    raw = nifti.values(nifti.load(path))
    for row in frame[frame["i"] >= 0].iloc[::200].itertuples():
        own = raw[row.i, row.j, row.k]
        np.testing.assert_allclose(
            values[:, row.position], (own - own.mean()) / own.std(), atol=1e-3
        )
    assert meta["t_r"] == 2.0 and meta["start_time"] == 1.0
    assert (meta["run"], meta["segment"], meta["repeat"]) == ("task-train01_run-2", "train01", 2)


def test_scale_and_padding(preprocessed, positions, tmp_path):
    values, meta = extract(preprocessed(), positions, tmp_path)
    real = (tables.read(positions, "positions")["i"] >= 0).to_numpy()
    assert not values[:, ~real].any()
    np.testing.assert_allclose(values[:, real].std(0), 1, atol=1e-3)
    assert meta["absent"] == [] and meta["regressors"] == 10


def test_uncovered_and_broken_voxels_are_zero_and_named(preprocessed, positions, tmp_path):
    frame = tables.read(positions, "positions")
    first, second = (frame.loc[k, ["i", "j", "k"]].tolist() for k in (0, 40))

    def change(values):
        values[tuple(first)] = 0.0
        values[(*second, 5)] = np.nan

    values, meta = extract(preprocessed(change), positions, tmp_path)
    assert meta["absent"] == [0, 40]
    assert not values[:, [0, 40]].any()


def test_another_grid_is_refused(preprocessed, positions, grid, tmp_path):
    moved = grid.affine.copy()
    moved[0, 3] += 2.0
    with pytest.raises(UserError, match=r"differ by up to 2\.0 mm"):
        extract(preprocessed(affine=moved), positions, tmp_path)


def test_a_run_that_covers_nothing_is_refused(preprocessed, positions, tmp_path):
    def change(values):
        values[:] = 0

    with pytest.raises(UserError, match="none of the"):
        extract(preprocessed(change), positions, tmp_path)
    assert not (tmp_path / "series").exists()


def stretch(path, positions, output, begin, end, part, **config):
    """A stretch of the run, as the workflow asks for it."""
    series.main(
        [
            *("--positions", str(positions), "--bold", str(path), "--output", str(output)),
            *("--label", f"task-train01part{part}_run-2", "--begin", str(begin)),
            *("--end", str(end), "--config", words("roi", **config)),
        ]
    )
    return arrays.load(output, kind="series", mmap=False)


def test_a_stretch_is_a_run_of_its_own(preprocessed, positions, tmp_path):
    """Its volumes, its clock, and its regressors, as if the run had been cut before."""
    path = preprocessed()
    values, meta = stretch(path, positions, tmp_path / "part2.npy", 40, 100, 2)
    times = 1.0 + 2.0 * np.arange(60)
    used = (times >= 40) & (times < 100)
    assert len(values) == used.sum() == 30
    assert meta["start_time"] == times[used][0] == 41.0 and meta["t_r"] == 2.0
    assert (meta["run"], meta["segment"], meta["repeat"]) == (
        *("task-train01part2_run-2", "train01part2", 2),
    )
    real = (tables.read(positions, "positions")["i"] >= 0).to_numpy()
    np.testing.assert_allclose(values[:, real].mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(values[:, real].std(0), 1, atol=1e-3)
    raw, _ = series.read_volume(positions, path)
    moves = np.loadtxt(
        path.parent / "sub-01_task-train01_run-2_desc-confounds_timeseries.tsv",
        skiprows=1,
        usecols=range(6),
    )[used]
    trend = np.linspace(-1, 1, 30)[:, None] ** np.arange(0, chosen("roi").detrend_order + 1)
    design = np.column_stack([trend, moves])
    own = raw[used][:, real].astype(float)
    left = own - design @ np.linalg.lstsq(design, own, rcond=None)[0]
    np.testing.assert_allclose(values[:, real], left / left.std(0), atol=2e-3)


def test_without_limits_a_stretch_is_the_run(preprocessed, positions, tmp_path):
    whole, meta = extract(preprocessed(), positions, tmp_path)
    source = series.source_beside(preprocessed())
    assert series.stretch_of(source, None, None, None) == source
    assert source.volumes(60) == slice(0, 60)
    cropped, about = stretch(preprocessed(), positions, tmp_path / "x.npy", -10, 1000, 1)
    assert np.array_equal(whole, cropped) and about["start_time"] == meta["start_time"]


def test_limits_are_times_of_volumes(preprocessed):
    """Volumes at 1, 3, 5 s ...: from 3 s on, and before 7 s."""
    source = series.source_beside(preprocessed())
    assert series.stretch_of(source, None, 3.0, 7.0).volumes(60) == slice(1, 3)
    assert series.stretch_of(source, None, 3.1, 7.1).volumes(60) == slice(2, 4)
    assert series.stretch_of(source, None, 3.0, None).volumes(60) == slice(1, 60)
    with pytest.raises(UserError, match="no volume between 500 and 900 s; correct the times"):
        series.stretch_of(source, None, 500.0, 900.0).volumes(60)


@pytest.mark.parametrize("confounds", ["motion6", "none"])
def test_the_test_stretch_of_a_run_changes_nothing_in_training(
    preprocessed, positions, tmp_path, confounds
):
    """Neither its volumes nor its confounds, whatever they are: no leakage across the cut."""
    output = tmp_path / "part1.npy"
    options = {"confounds": confounds, "detrend_order": 2}
    path = preprocessed()
    before, about = stretch(path, positions, output, 0, 60, 1, **options)

    def change(values):
        values[..., 35:] = np.random.default_rng(5).normal(50, 3000, values[..., 35:].shape)

    path = preprocessed(change)
    table = path.parent / "sub-01_task-train01_run-2_desc-confounds_timeseries.tsv"
    lines = table.read_text().splitlines()
    for row in range(36, len(lines)):
        lines[row] = "\t".join("77.5" if k % 2 else str(row**2) for k in range(7))
    table.write_text("\n".join(lines) + "\n")
    after, also = stretch(path, positions, output, 0, 60, 1, **options)
    assert before.shape[0] == 30 and np.array_equal(before, after)
    assert about["absent"] == also["absent"] == []
    test = stretch(path, positions, tmp_path / "part2.npy", 80, 120, 2, **options)[0]
    assert np.isfinite(test).all()
