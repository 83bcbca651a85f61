"""What a user can get wrong, said in one line."""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
from pathlib import Path

_ROOM = 1_000_000  # bytes below which a disk counts as full
_AGAIN = "and run again: what is finished is kept"
_CAUSES = {
    errno.ENOSPC: f"no space is left on its disk; free some {_AGAIN}",
    errno.EDQUOT: f"the quota of disk space is used up; free some {_AGAIN}",
    errno.EROFS: f"its file system is read-only; write elsewhere, or mount it writable {_AGAIN}",
    errno.EACCES: f"there is no permission to write here; write elsewhere, or ask for it {_AGAIN}",
}
# torch, safetensors and pyarrow keep no error number.
_FULL = re.compile(r"No space left on device|Disk quota exceeded|file write failed")


class UserError(Exception):
    """A mistake that the user can correct: the message says what is wrong, where, and how to fix it."""


def write_error(error: Exception, place: Path) -> UserError | None:
    """The one line for an error of writing to `place`: disk full, read-only, forbidden. None for others.

    An error that names a file elsewhere is not one of writing to `place`.
    """
    code = getattr(error, "errno", None)
    if code not in _CAUSES and _FULL.search(str(error)):
        code = errno.ENOSPC
    if code not in _CAUSES:
        return None
    named = getattr(error, "filename", None)
    if isinstance(named, str) and code not in (errno.ENOSPC, errno.EDQUOT):
        path = Path(named)
        if path != place and place not in path.parents and path not in place.parents:
            return None
    temporary = Path(tempfile.tempdir or os.environ.get("TMPDIR") or "/tmp")
    if code == errno.ENOSPC and _is_full(temporary) and not _is_full(place):
        return UserError(
            f"{temporary}: no space is left for temporary files; free some, or set TMPDIR to a folder with "
            f"room, {_AGAIN}"
        )
    return UserError(f"{place}: cannot be written, {_CAUSES[code]}")


def _is_full(place: Path) -> bool:
    """Whether the disk of a path, or of the nearest folder above it, has no room."""
    there = next((path for path in (place, *place.absolute().parents) if path.exists()), Path("/"))
    return shutil.disk_usage(there).free < _ROOM
