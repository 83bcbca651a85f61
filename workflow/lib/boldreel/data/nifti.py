"""NIfTI images through nibabel, checked on the way in and written whole on the way out."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np

from boldreel.data import atomic
from boldreel.errors import UserError

_TIME_UNITS = {"sec": 1.0, "msec": 1e-3, "usec": 1e-6}


def load(path: str | Path) -> nib.Nifti1Image:
    """Open a NIfTI image; uncompressed data stays memory-mapped.

    Raises UserError if the file is missing, is no NIfTI, is shorter than its header says, or its
    affine is not finite.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path}: image not found")
    try:
        image = nib.Nifti1Image.from_filename(str(path))
    except (
        nib.filebasedimages.ImageFileError,
        nib.spatialimages.HeaderDataError,
        nib.wrapstruct.WrapStructError,
        ValueError,
        OSError,
        EOFError,
    ) as error:
        raise UserError(f"{path}: not a readable NIfTI image ({_first_line(error)})") from None
    if min(image.shape, default=0) < 1:
        raise UserError(f"{path}: header gives an empty shape {image.shape}")
    if not np.isfinite(image.affine).all():
        raise UserError(f"{path}: affine holds NaN or infinite values; mend the header")
    if path.suffix == ".nii":
        itemsize = image.header.get_data_dtype().itemsize
        offset = int(image.dataobj.offset)  # type: ignore[attr-defined]
        size = offset + int(np.prod(image.shape, dtype=np.int64)) * itemsize
        if path.stat().st_size < size:
            raise UserError(
                f"{path}: truncated, {path.stat().st_size} of {size} bytes; copy it again"
            )
    return image


def values(image: nib.Nifti1Image, dtype: type = np.float32) -> np.ndarray:
    """The image's values with its scaling applied; UserError if the file ends early."""
    try:
        return np.asanyarray(image.dataobj).astype(dtype, copy=False)
    except (OSError, EOFError, ValueError) as error:
        raise UserError(
            f"{image.get_filename()}: truncated or damaged ({_first_line(error)}); copy it again"
        ) from None


def repetition_time(image: nib.Nifti1Image) -> float | None:
    """TR (s) of a run's header, None where it does not know: converters write 0 then, or 1 without a unit."""
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
