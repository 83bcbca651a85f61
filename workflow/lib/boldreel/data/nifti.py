"""NIfTI images through nibabel, checked on the way in and written whole on the way out."""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np

from boldreel.data import atomic, files, headers
from boldreel.errors import UserError

# Deflate packs at most 1,032 bytes into one; images of brains reach 2 to 10, beyond 20 is looked at.
_MOST_PACKED, _SUSPICIOUS = 1032, 20
SLAB = 64 << 20  # bytes of values that are held at once where a run is read in parts
_TIME_UNITS = {"sec": 1.0, "msec": 1e-3, "usec": 1e-6}


def load(path: str | Path, keep_open: bool = False) -> nib.Nifti1Image:
    """Open a NIfTI-1 or NIfTI-2 image; uncompressed data stays memory-mapped.

    keep_open : whether the file stays open between readings, so that reading on costs no new start

    Raises UserError if the file is missing, was not fetched, is no NIfTI, is shorter than its header says,
    or its affine is not finite.
    """
    path = Path(path)
    files.check_fetched(path)
    if not path.exists():
        raise UserError(f"{path}: image not found")
    # nibabel's NIfTI-2 image is a NIfTI-1 image with a longer header.
    kind = nib.Nifti2Image if headers.is_nifti2(path) else nib.Nifti1Image
    try:
        image = kind.from_filename(str(path), keep_file_open=keep_open)
    except (
        nib.filebasedimages.ImageFileError,
        nib.spatialimages.HeaderDataError,
        nib.wrapstruct.WrapStructError,
        ValueError,
        OSError,
        EOFError,
        zlib.error,
    ) as error:
        raise UserError(f"{path}: not a readable NIfTI image ({_first_line(error)})") from None
    if min(image.shape, default=0) < 1:
        raise UserError(f"{path}: header gives an empty shape {image.shape}")
    if not np.isfinite(image.affine).all():
        raise UserError(f"{path}: affine holds NaN or infinite values; correct the header")
    itemsize = image.header.get_data_dtype().itemsize
    offset = int(image.dataobj.offset)  # type: ignore[attr-defined]
    # In Python's integers: seven dimensions of a lying header overflow any other.
    size = offset + math.prod(int(n) for n in image.shape) * itemsize
    there = path.stat().st_size if path.suffix == ".nii" else _unpacked(path, size)
    if there < size:
        raise UserError(f"{path}: truncated, {there} of {size} bytes; copy it again")
    return image


def _unpacked(path: Path, wanted: int) -> int:
    """Bytes in a compressed file, counted up to `wanted` if the file may be too small to hold them.

    So no memory is reserved for an image that is not there.
    """
    packed = path.stat().st_size
    if wanted <= packed * _SUSPICIOUS:
        return wanted  # what is missing shows when it is read
    found = 0
    if wanted <= packed * _MOST_PACKED:
        try:
            with gzip.open(path) as stream:
                while found < wanted and (block := stream.read(1 << 22)):
                    found += len(block)
            return found
        except (OSError, EOFError, zlib.error):
            pass
    raise UserError(
        f"{path}: truncated or with a wrong header: {packed} packed bytes cannot hold {wanted}; copy it "
        "again, or correct the header"
    )


def values(image: nib.Nifti1Image, dtype: type = np.float32) -> np.ndarray:
    """The image's values with its scaling applied; UserError if the file ends early."""
    try:
        return np.asanyarray(image.dataobj).astype(dtype, copy=False)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise UserError(
            f"{image.get_filename()}: truncated or damaged ({_first_line(error)}); copy it again"
        ) from None


def slabs(path: str | Path) -> Iterator[tuple[int, np.ndarray]]:
    """(first volume, float32 (x, y, z, k)) of a 4-D image in order of time: parts of about SLAB bytes.

    What is held in memory does not grow with the length of the run, and a compressed file is unpacked once.
    Raises as `load` and `values`.
    """
    image = load(path, keep_open=True)
    count = image.shape[3]
    step = max(1, SLAB // (4 * math.prod(image.shape[:3])))
    for start in range(0, count, step):
        try:
            part = np.asanyarray(image.dataobj[..., start : start + step])
        except (OSError, EOFError, ValueError, zlib.error) as error:
            raise UserError(
                f"{path}: truncated or damaged ({_first_line(error)}); copy it again"
            ) from None
        yield start, part.astype(np.float32, copy=False)


def check_orientation(image: nib.Nifti1Image) -> None:
    """UserError if a header does not say which side is left: both of its codes are 0.

    Its affine is then made up from the voxel size alone (NIfTI-1, method 1).
    """
    if int(image.header["sform_code"]) == 0 and int(image.header["qform_code"]) == 0:
        raise UserError(
            f"{image.get_filename()}: its orientation is unknown, so left and right cannot be told "
            "(sform_code and qform_code are 0); convert it again, or find out and set it: "
            "fslorient -setsform and -setsformcode 1, or nibabel's set_sform(affine, code=1)"
        )


def repetition_time(image: nib.Nifti1Image) -> float | None:
    """TR (s) of a run's header, None if it does not know: converters write 0 then, or 1 without a unit."""
    unit = image.header.get_xyzt_units()[1]
    header = float(image.header.get_zooms()[3]) * _TIME_UNITS.get(unit, 1.0)
    unknown = header == 0.0 or (header == 1.0 and unit not in _TIME_UNITS)
    return None if unknown else header


def save(
    path: str | Path,
    data: np.ndarray,
    affine: np.ndarray,
    t_r: float | None = None,
    dtype: type | str | None = None,
) -> None:
    """Write `data` (x, y, z[, t]) with a world affine (RAS, mm) to .nii or .nii.gz in one step.

    `t_r` in seconds goes into the header of a 4-D image. `dtype` is the type on disk; integer
    types are scaled by nibabel so that values are kept to their precision.
    """
    path = Path(path)
    image = nib.Nifti1Image(data, affine)
    if dtype is not None:
        image.set_data_dtype(dtype)
    image.header.set_xyzt_units("mm", "sec")
    image.header.set_qform(affine, code=1)
    image.header.set_sform(affine, code=1)
    if t_r is not None:
        image.header.set_zooms((*image.header.get_zooms()[:3], t_r))
    with atomic.file(path) as aside:
        image.to_filename(str(aside))


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
