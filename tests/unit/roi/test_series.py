"""The series of one run: right voxels, right scale, missing ones zero and named."""

import numpy as np
import pytest
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
