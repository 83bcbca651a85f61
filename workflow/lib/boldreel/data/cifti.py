"""CIFTI dense time series (dtseries.nii) through nibabel, checked on the way in.

Takes a path; returns the series' axes and, memory-mapped where the file is not compressed (CIFTI never
is), its values (volumes, grayordinates).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np

from boldreel.data import files
from boldreel.errors import UserError

SLAB = 256 << 20  # bytes of values that are held at once where a series is read in parts
CORTEX = {"L": "CIFTI_STRUCTURE_CORTEX_LEFT", "R": "CIFTI_STRUCTURE_CORTEX_RIGHT"}


@dataclass(frozen=True)
class Dense:
    """A dense time series.

    image : nibabel's, values on disk; t_r, start : s; models : the axis of grayordinates
    """

    path: Path
    image: nib.Cifti2Image
    t_r: float
    start: float
    models: nib.cifti2.BrainModelAxis

    @property
    def volumes(self) -> int:
        """Number of volumes."""
        return int(self.image.shape[0])

    def values(self, columns: np.ndarray | None = None) -> np.ndarray:
        """float32 (volumes, grayordinates), or of some grayordinates; UserError if the file ends early."""
        try:
            every = np.asanyarray(self.image.dataobj)
            taken = every if columns is None else every[:, columns]
            return np.ascontiguousarray(taken, dtype=np.float32)
        except (OSError, EOFError, ValueError) as error:
            raise UserError(
                f"{self.path}: truncated or damaged ({str(error).splitlines()[0]}); copy it again"
            ) from None

    def slabs(self) -> Iterator[tuple[int, np.ndarray]]:
        """(first volume, float32 (k, grayordinates)) in order of time, parts of about SLAB bytes."""
        step = max(1, SLAB // (4 * len(self.models)))
        try:
            every = np.asanyarray(self.image.dataobj)
        except (OSError, EOFError, ValueError) as error:
            raise UserError(
                f"{self.path}: truncated or damaged ({str(error).splitlines()[0]}); copy it again"
            ) from None
        for start in range(0, self.volumes, step):
            yield start, np.ascontiguousarray(every[start : start + step], dtype=np.float32)

    def vertices(self, hemisphere: str) -> tuple[np.ndarray, np.ndarray]:
        """(grayordinates, vertices), each (n,), of the cortex of hemisphere "L" or "R"."""
        mask = self.models.name == CORTEX[hemisphere]
        return np.flatnonzero(mask), np.asarray(self.models.vertex)[mask]


@dataclass(frozen=True)
class Outline:
    """What a dense series says of itself at its beginning.

    t_r : s; offset : bytes before the first value; dtype : of values on disk
    """

    volumes: int
    grayordinates: int
    t_r: float
    offset: int
    dtype: np.dtype


def outline(path: str | Path) -> Outline:
    """The outline of a dense series; its lists of vertices, which take a second to read, are left alone.

    Raises
    ------
    UserError : missing, no dense series of seconds, or shorter than its header says.
    """
    path = Path(path)
    files.check_fetched(path)
    if not path.exists():
        raise UserError(f"{path}: dense time series not found")
    try:
        with open(path, "rb") as stream:
            header = nib.Nifti2Header.from_fileobj(stream)
            offset = int(header["vox_offset"])
            stream.seek(0)
            axes = stream.read(offset).decode("utf-8", "replace")
    except (nib.wrapstruct.WrapStructError, nib.spatialimages.HeaderDataError, ValueError):
        raise UserError(f"{path}: not a readable CIFTI file") from None
    found = header.get_data_shape()
    if len(found) != 6:
        raise UserError(
            f"{path}: shape {found}; a dense series has six dimensions, four of length 1"
        )
    volumes, grayordinates = int(found[4]), int(found[5])
    dtype = header.get_data_dtype()
    _refuse_short(path, offset + volumes * grayordinates * dtype.itemsize)
    maps = re.findall(r"<MatrixIndicesMap\b[^>]*>", axes)
    told = [dict(re.findall(r"""(\w+)\s*=\s*["']([^"']*)""", tag)) for tag in maps]
    kinds = {own.get("IndicesMapToDataType"): own for own in told}
    series = kinds.get("CIFTI_INDEX_TYPE_SERIES")
    if series is None or "CIFTI_INDEX_TYPE_BRAIN_MODELS" not in kinds:
        raise UserError(
            f"{path}: not a dense time series (dtseries.nii): its axes are of other kind"
        )
    if series.get("SeriesUnit") != "SECOND":
        raise UserError(f"{path}: its series is in {series.get('SeriesUnit')}, not in seconds")
    try:
        t_r = float(series["SeriesStep"]) * 10.0 ** int(series.get("SeriesExponent", 0))
    except (KeyError, ValueError):
        raise UserError(f"{path}: its header does not state its TR; fetch it again") from None
    return Outline(volumes, grayordinates, t_r, offset, dtype)


def sample(path: str | Path, count: int = 100) -> np.ndarray:
    """The series of grayordinates from the middle of the list, float32 (count, volumes).

    On disk a grayordinate's volumes lie together, so that this takes no more than one short reading.
    Raises as `outline`.
    """
    about = outline(path)
    count = min(count, about.grayordinates)
    size = about.volumes * about.dtype.itemsize
    with open(path, "rb") as stream:
        stream.seek(about.offset + (about.grayordinates - count) // 2 * size)
        values = np.frombuffer(stream.read(count * size), about.dtype)
    return values.astype(np.float32).reshape(count, about.volumes)


def _refuse_short(path: Path, size: int) -> None:
    if path.stat().st_size < size:
        raise UserError(f"{path}: truncated, {path.stat().st_size} of {size} bytes; copy it again")


def load(path: str | Path) -> Dense:
    """Open a dense time series.

    Raises
    ------
    UserError : missing, unreadable, shorter than its header says, or not a series of grayordinates.
    """
    path = Path(path)
    files.check_fetched(path)
    if not path.exists():
        raise UserError(f"{path}: dense time series not found")
    try:
        image = nib.Cifti2Image.from_filename(str(path))
        series, models = (image.header.get_axis(k) for k in range(2))
    except (
        nib.filebasedimages.ImageFileError,
        nib.spatialimages.HeaderDataError,
        nib.cifti2.Cifti2HeaderError,
        nib.wrapstruct.WrapStructError,
        ValueError,
        OSError,
        EOFError,
        IndexError,
        KeyError,
        TypeError,
        AttributeError,
    ) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{path}: not a readable CIFTI file ({reason})") from None
    if not isinstance(series, nib.cifti2.SeriesAxis) or not isinstance(
        models, nib.cifti2.BrainModelAxis
    ):
        raise UserError(
            f"{path}: not a dense time series (dtseries.nii): its axes are of other kind"
        )
    if series.unit != "SECOND":
        raise UserError(f"{path}: its series is in {series.unit}, not in seconds")
    offset = int(image.dataobj.offset)  # type: ignore[attr-defined]
    size = offset + int(np.prod(image.shape, dtype=np.int64)) * image.get_data_dtype().itemsize
    _refuse_short(path, size)
    return Dense(path, image, float(series.step), float(series.start), models)
