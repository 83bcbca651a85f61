"""What a user can get wrong, said in one line."""

from __future__ import annotations

import errno
import re
from pathlib import Path

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
    return UserError(f"{place}: cannot be written, {_CAUSES[code]}")
