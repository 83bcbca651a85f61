"""Size and grid of an image by its header, without any package: while planning there may be none.

Takes the path of a NIfTI-1, NIfTI-2 or CIFTI-2 file; returns its number of volumes, or its grid. Everything
else about an image is read by data.nifti and data.cifti.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path
from typing import NamedTuple

from boldreel.data import files
from boldreel.errors import UserError

# What lies where, by the size of the header, which is its first number (nifti1.h, nifti2.h).
_NIFTI1, _NIFTI2 = 348, 540


class _Places(NamedTuple):
    """Format and offset of fields of a header."""

    dim: tuple[str, int]
    pixdim: tuple[str, int]
    codes: tuple[str, int]
    quaternion: tuple[str, int]
    sform: tuple[str, int]


_FIELDS = {
    _NIFTI1: _Places(("8h", 40), ("8f", 76), ("2h", 252), ("6f", 256), ("12f", 280)),
    _NIFTI2: _Places(("8q", 16), ("8d", 104), ("2i", 344), ("6d", 352), ("12d", 400)),
}
# CIFTI-2 keeps dimensions 1 to 4 for others' use: a dense series has six, time being the fifth.
_DENSE = 6
_SAME_PLACE = 0.1  # mm


class Grid(NamedTuple):
    """Shape, and rows 1 to 3 of the matrix from voxels to world mm; () for unknown orientation."""

    shape: tuple[int, int, int]
    affine: tuple[float, ...]


def count_volumes(path: Path) -> int:
    """Number of volumes, 1 for an image without a time axis; UserError for an unreadable header."""
    _, dimensions = _dimensions(path)
    return dimensions[5 if dimensions[0] == _DENSE else 4] if dimensions[0] > 3 else 1


def is_nifti2(path: Path) -> bool:
    """Whether a readable header is that of NIfTI-2."""
    try:
        return _read(path)[1] == _NIFTI2
    except UserError:
        return False


def grid(path: Path) -> Grid:
    """The grid of a volume; UserError for an unreadable header.

    The matrix is the sform, else that of the quaternion (nifti1.h, methods 3 and 2), as in nibabel.
    """
    (order, head), dimensions = _dimensions(path)
    fields = _FIELDS[struct.unpack_from(f"{order}i", head)[0]]

    def values(place: tuple[str, int]) -> tuple[float, ...]:
        return struct.unpack_from(order + place[0], head, place[1])

    shape = dimensions[1], dimensions[2], dimensions[3]
    by_quaternion, by_sform = values(fields.codes)
    if by_sform > 0:
        return Grid(shape, values(fields.sform))
    if by_quaternion <= 0:
        return Grid(shape, ())
    b, c, d, *offset = values(fields.quaternion)
    handed, *sizes = values(fields.pixdim)[:4]
    sizes[2] *= -1 if handed < 0 else 1
    a = max(0.0, 1 - b * b - c * c - d * d) ** 0.5
    rotation = (
        (a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)),
        (2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)),
        (2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c),
    )
    rows = [
        [*(value * size for value, size in zip(row, sizes, strict=True)), place]
        for row, place in zip(rotation, offset, strict=True)
    ]
    return Grid(shape, tuple(value for row in rows for value in row))


def same_grid(one: Grid, other: Grid) -> bool:
    """Whether voxels are at the same places, to a tenth of a millimetre at every corner."""
    if one.shape != other.shape:
        return False
    reach = (*one.shape, 1)
    return all(
        sum(abs(a - b) * size for a, b, size in zip(mine, others, reach, strict=True)) < _SAME_PLACE
        for mine, others in zip(_rows(one), _rows(other), strict=True)
    )


def named(grid: Grid) -> str:
    """A grid in words, for example "97 x 115 x 97 voxels of 2 x 2 x 2 mm"."""
    columns = list(zip(*_rows(grid), strict=True))[:3]
    sizes = (sum(value**2 for value in column) ** 0.5 for column in columns)
    return (
        f"{' x '.join(map(str, grid.shape))} voxels of {' x '.join(f'{s:.3g}' for s in sizes)} mm"
    )


def _rows(grid: Grid) -> list[tuple[float, ...]]:
    return [grid.affine[k : k + 4] for k in (0, 4, 8)]


def _dimensions(path: Path) -> tuple[tuple[str, bytes], tuple[int, ...]]:
    order, size, head = _read(path)
    kind, offset = _FIELDS[size].dim
    return (order, head), struct.unpack_from(order + kind, head, offset)


def _read(path: Path) -> tuple[str, int, bytes]:
    """(byte order, size, bytes) of a header."""
    files.check_fetched(path)
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rb") as stream:
            head = stream.read(_NIFTI2)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path}: not a readable NIfTI image ({error})") from None
    for order in "<>":
        size = struct.unpack(f"{order}i", head[:4])[0] if len(head) >= _NIFTI1 else 0
        if size in _FIELDS and len(head) >= size:
            return order, size, head
    raise UserError(f"{path}: not a readable NIfTI image; convert or copy it again")
