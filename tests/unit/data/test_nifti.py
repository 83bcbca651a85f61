"""NIfTI: what cannot be right is refused with one line."""

import nibabel as nib
import numpy as np
import pytest

from boldreel.data import nifti
from boldreel.errors import UserError

AFFINE = np.diag([2.0, 3.0, 4.0, 1.0])


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_round_trip(tmp_path, suffix):
    data = np.random.default_rng(0).normal(size=(4, 5, 6, 3)).astype(np.float32)
    path = tmp_path / f"x{suffix}"
    nifti.save(path, data, AFFINE, t_r=1.49)
    image = nifti.load(path)
    np.testing.assert_array_equal(nifti.values(image), data)
    np.testing.assert_allclose(image.affine, AFFINE)
    assert image.header.get_zooms()[3] == pytest.approx(1.49)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_truncated(tmp_path, suffix):
    path = tmp_path / f"x{suffix}"
    nifti.save(path, np.random.default_rng(0).normal(size=(8, 8, 8, 3)), AFFINE)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UserError, match="truncated"):
        nifti.values(nifti.load(path))


def test_missing_and_foreign(tmp_path):
    with pytest.raises(UserError, match="not found"):
        nifti.load(tmp_path / "none.nii")
    path = tmp_path / "text.nii"
    for text in ("hello " * 100, "short", ""):
        path.write_text(text)
        with pytest.raises(UserError, match="not a readable NIfTI"):
            nifti.load(path)


@pytest.mark.parametrize(
    ("header", "unit", "expected"),
    [
        (2.0, "sec", 2.0),
        (2000.0, "msec", 2.0),
        (1.0, "sec", 1.0),
        (1.0, None, None),
        (0.0, "sec", None),
    ],
)
def test_the_headers_tr(header, unit, expected):
    """A second that is stated is a second; 0, and 1 without a unit, are what converters write for want."""
    image = nib.Nifti1Image(np.zeros((2, 2, 2, 3), np.int16), AFFINE)
    image.header.set_zooms((2.0, 2.0, 2.0, header))
    image.header.set_xyzt_units("mm", unit)
    assert nifti.repetition_time(image) == expected
