"""Files that come with the library: tables, captions, fitted numbers."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path


def path(package: str, name: str) -> Path:
    """Where a file of a package lies, whether the library is installed or a checkout's."""
    return Path(str(files(package).joinpath(name)))
