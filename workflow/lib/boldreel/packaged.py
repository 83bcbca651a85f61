"""Files that come with the library: tables, captions, fitted numbers."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path


def path(package: str, name: str) -> Path:
    """Path of a file of a package, in an installed library or in a checkout."""
    return Path(str(files(package).joinpath(name)))
