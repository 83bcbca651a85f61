"""Dense time series: what is read is what was written, and what is not one is refused in one line."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from tests.fixtures_cifti import models, write_dense

from boldreel.data import cifti
from boldreel.errors import UserError


def test_values_and_axes(tmp_path):
    values = np.random.default_rng(0).normal(size=(7, 50)).astype(np.float32)
    path = write_dense(tmp_path / "run.dtseries.nii", values, t_r=0.72, left=30, right=20)
    dense = cifti.load(path)
    assert (dense.volumes, dense.t_r, dense.start) == (7, 0.72, 0.0)
    about = cifti.outline(path)
    assert (about.volumes, about.grayordinates, about.t_r) == (7, 50, 0.72)
    assert np.array_equal(cifti.sample(path, 4), values[:, 23:27].T)
    assert np.array_equal(cifti.sample(path), values.T)
    assert np.array_equal(dense.values(), values)
    columns = np.array([49, 0, 31])
    assert np.array_equal(dense.values(columns), values[:, columns])


def test_vertices_of_each_hemisphere(tmp_path):
    values = np.zeros((3, 50), np.float32)
    dense = cifti.load(write_dense(tmp_path / "run.dtseries.nii", values, left=30, right=20))
    grayordinates, vertices = dense.vertices("R")
    assert np.array_equal(grayordinates, np.arange(30, 50))
    assert np.array_equal(vertices, 2 * np.arange(20))


def test_truncated(tmp_path):
    path = write_dense(
        tmp_path / "run.dtseries.nii", np.ones((9, 50), np.float32), left=30, right=20
    )
    path.write_bytes(path.read_bytes()[:-100])
    for read in (cifti.load, cifti.outline):
        with pytest.raises(UserError, match=r"truncated"):
            read(path)


@pytest.mark.parametrize("what", ["text", "volume", "scalar", "absent"])
def test_not_a_dense_series(tmp_path, what):
    path = tmp_path / "run.dtseries.nii"
    if what == "text":
        path.write_text("no image")
    if what == "volume":
        nib.Nifti1Image(np.zeros((2, 2, 2, 3), np.float32), np.eye(4)).to_filename(path)
    if what == "scalar":
        axes = nib.cifti2.ScalarAxis(["a"]), models(30, 20)
        nib.Cifti2Image(np.zeros((1, 50), np.float32), axes).to_filename(path)
    for read in (cifti.load, cifti.outline):
        with pytest.raises(UserError, match=str(path)):
            read(path)
