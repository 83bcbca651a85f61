"""Write aside, then rename: a result is there whole or not at all.

Takes the final path; leaves the file or folder in one step, or nothing if the block raised.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def _aside(path: Path) -> Path:
    """A name beside `path`, on the same file system, that ends like `path` (suffixes matter)."""
    return path.with_name(f".{uuid.uuid4().hex[:8]}.{path.name}")


@contextmanager
def file(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path; when the block ends without error it becomes `path`."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = _aside(path)
    try:
        yield aside
        with open(aside, "rb") as written:
            os.fsync(written.fileno())
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


@contextmanager
def folder(path: str | Path) -> Iterator[Path]:
    """Yield a temporary folder; when the block ends without error it becomes `path`.

    A folder that was there before is replaced.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = _aside(path)
    aside.mkdir()
    try:
        yield aside
        if path.exists():
            old = _aside(path)
            os.replace(path, old)
            os.replace(aside, path)
            shutil.rmtree(old)
        else:
            os.replace(aside, path)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def write_text(path: str | Path, text: str) -> None:
    """Write `text` (UTF-8) to `path` in one step."""
    with file(path) as aside:
        aside.write_text(text, encoding="utf-8")
