"""NIfTI: what cannot be right is refused with one line."""

import gzip
import tracemalloc

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


def lying(path, shape, datatype=16):
    """A small image whose header claims a shape."""
    nifti.save(path.with_suffix(".nii"), np.zeros((4, 4, 4, 2), np.float32), AFFINE)
    content = bytearray(path.with_suffix(".nii").read_bytes())
    content[40:56] = np.array([len(shape), *shape, *[1] * (7 - len(shape))], "<i2").tobytes()
    content[70:72] = np.int16(datatype).tobytes()
    path.write_bytes(gzip.compress(bytes(content)) if path.suffix == ".gz" else content)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize(
    "shape",
    [
        (4, 4, 4, 3),
        (4, 4, 4, 32767),
        (32767,) * 7,  # more bytes than any integer of a machine counts
        (-4, 4, 4, 2),
        (0, 4, 4, 2),
    ],
)
def test_a_header_that_lies_about_its_size(tmp_path, suffix, shape):
    """No room is made for what is not there."""
    path = tmp_path / f"x{suffix}"
    lying(path, shape)
    tracemalloc.start()
    with pytest.raises(UserError) as caught:
        nifti.values(nifti.load(path))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)
    assert peak < 20e6


def test_a_header_with_a_type_that_is_none(tmp_path):
    lying(tmp_path / "x.nii", (4, 4, 4, 2), datatype=4711)
    with pytest.raises(UserError, match="not a readable NIfTI"):
        nifti.load(tmp_path / "x.nii")


def test_an_image_of_zeros_packs_well_and_is_read(tmp_path):
    nifti.save(tmp_path / "x.nii.gz", np.zeros((40, 40, 40, 3), np.float32), AFFINE)
    assert nifti.values(nifti.load(tmp_path / "x.nii.gz")).shape == (40, 40, 40, 3)


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
