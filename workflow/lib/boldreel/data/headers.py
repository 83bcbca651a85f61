"""Number of volumes of an image by its header, without any package: while planning there may be none.

Takes the path of a NIfTI-1, NIfTI-2 or CIFTI-2 file; returns a number. Everything else about an image is
read by data.nifti and data.cifti.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path

from boldreel.errors import UserError

# Where `dim` lies by the size of the header, which is its first number (nifti1.h, nifti2.h).
_DIMENSIONS = {348: ("8h", 40), 540: ("8q", 16)}
_LONGEST = 540
# CIFTI-2 keeps dimensions 1 to 4 for others' use: a dense series has six, time being the fifth.
_DENSE = 6


def count_volumes(path: Path) -> int:
    """Number of volumes, 1 for an image without a time axis; UserError for an unreadable header."""
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rb") as stream:
            head = stream.read(_LONGEST)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path}: not a readable NIfTI image ({error})") from None
    for order in "<>":
        size = struct.unpack(f"{order}i", head[:4])[0] if len(head) >= 348 else 0
        kind, offset = _DIMENSIONS.get(size, ("", 0))
        if kind and len(head) >= size:
            dimensions = struct.unpack_from(order + kind, head, offset)
            return dimensions[5 if dimensions[0] == _DENSE else 4] if dimensions[0] > 3 else 1
    raise UserError(f"{path}: not a readable NIfTI image; convert or copy it again")
