"""Anatomical derivatives, and T1w images that cannot be one."""

import numpy as np
import pytest
from tests.fixtures_settings import words

from boldreel.bold import anatomy
from boldreel.bold.intensity import WHITE_MATTER
from boldreel.bold.naming import AnatomyFiles
from boldreel.data import nifti
from boldreel.errors import UserError


def test_mask_transforms_and_normalised_t1w(subject, phantom):
    files = AnatomyFiles(subject.derivatives / "anat")
    image = nifti.load(files.t1w)
    mask = nifti.values(nifti.load(files.mask)) > 0
    truth = phantom.see(phantom.brain, image.affine, image.shape, subject.t1w_to_template) > 0.5
    overlap = 2 * (mask & truth).sum() / (mask.sum() + truth.sum())
    assert overlap > 0.97
    forth, back = np.loadtxt(files.to_template), np.loadtxt(files.from_template)
    np.testing.assert_allclose(forth @ back, np.eye(4), atol=1e-6)
    assert 0.6 * WHITE_MATTER < np.median(nifti.values(image)[mask]) < 1.1 * WHITE_MATTER


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: np.where(v > 10, np.nan, v), "NaN or infinite"),
        (lambda v: np.full_like(v, 3.0), "every voxel is 3"),
        (lambda v: v[:, :, :15], "whole head"),
        (lambda v: np.stack([v, v], axis=3), "three dimensions"),
    ],
)
def test_bad_t1w_gets_one_line(tmp_path, change, message):
    values = np.random.default_rng(0).uniform(0, 20, (40, 45, 40)).astype(np.float32)
    affine = np.diag([4.0, 4.0, 4.0, 1.0])
    nifti.save(tmp_path / "t1w.nii", change(values).astype(np.float32), affine)
    with pytest.raises(UserError, match=message) as caught:
        anatomy.load_t1w(tmp_path / "t1w.nii")
    assert "\n" not in str(caught.value) and "t1w.nii" in str(caught.value)


def test_what_is_no_head_is_refused(tmp_path):
    values = np.random.default_rng(0).uniform(0, 20, (50, 60, 50)).astype(np.float32)
    nifti.save(tmp_path / "t1w.nii", values, np.diag([4.0, 4.0, 4.0, 1.0]))
    with pytest.raises(UserError, match="could not be laid on the template"):
        anatomy.main(
            ["--t1w", str(tmp_path / "t1w.nii"), "--output", str(tmp_path / "sub-01/anat")]
            + ["--config", words("bold")]
        )
    assert not list((tmp_path / "sub-01").rglob("*.nii*"))
