"""Data files of installed packages that are read and never imported: atlases and meshes."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from boldreel.errors import UserError


def file(package: str, *parts: str) -> Path:
    """The path of a package's data file; UserError if package or file is not there."""
    found = importlib.util.find_spec(package)
    roots = list(found.submodule_search_locations or []) if found else []
    path = Path(roots[0] if roots else package, *parts)
    if not path.exists():
        name = package.replace("_", "-")
        raise UserError(f"{parts[-1]} of the package {name} is needed: pip install {name}")
    return path
