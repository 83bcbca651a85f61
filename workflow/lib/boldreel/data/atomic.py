"""Write aside, then rename: a result is there whole or not at all.

Takes the final path; writes the file or folder in one step, or nothing if the block raised. A disk that is
full or read-only is reported in one line.
"""

from __future__ import annotations

import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from boldreel.errors import UserError, write_error

# What this process wrote and no provenance names so far; None unless it is a step of its own (`collect`).
_written: dict[Path, None] | None = None
_UNFINISHED = re.compile(r"^\.[0-9a-f]{8}\.(?=.)")


def _aside(path: Path) -> Path:
    """A name next to `path`, on the same file system, that ends like `path` (suffixes matter)."""
    return path.with_name(f".{uuid.uuid4().hex[:8]}.{path.name}")


def final_path(path: Path) -> Path:
    """The path that something unfinished, or in an unfinished folder, will have; else its own."""
    return Path(*(_UNFINISHED.sub("", part, count=1) for part in path.parts))


def is_unfinished(path: Path) -> bool:
    """Whether it has the name of what is being written, or was when its step was killed."""
    return _UNFINISHED.match(path.name) is not None


def collect() -> None:
    """From now on keep what is written, for `data.provenance`: a step writes more than it records."""
    global _written
    _written = {}


def collected() -> list[Path]:
    """What was written since the last call, and is still there; nothing without `collect`."""
    found = [path for path in _written or {} if path.exists()]
    if _written:
        _written.clear()
    return found


def _keep(path: Path) -> None:
    """Note a finished file or folder; a part of an unfinished folder comes with that."""
    if _written is not None and not any(map(is_unfinished, path.parents)):
        _written[path] = None


@contextmanager
def _errors_name(path: Path, aside: Path) -> Iterator[None]:
    """Errors of writing aside name `path`, the place that the caller knows."""
    try:
        yield
    except Exception as error:
        # a part of a folder has reported it already, by the folder's name aside
        reason = error if isinstance(error, UserError) else write_error(error, aside)
        if reason is None:
            raise
        raise UserError(str(reason).replace(str(aside), str(path))) from None


@contextmanager
def file(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path; when the block ends without error it becomes `path`.

    Raises UserError if the disk is full or may not be written to.
    """
    path = Path(path)
    aside = _aside(path)
    with _errors_name(path, aside):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield aside
            with open(aside, "rb") as written:
                os.fsync(written.fileno())
            os.replace(aside, path)
            _keep(path)
        finally:
            aside.unlink(missing_ok=True)


@contextmanager
def folder(path: str | Path) -> Iterator[Path]:
    """Yield a temporary folder; when the block ends without error it becomes `path`.

    A folder that was there before is replaced. Raises UserError as `file` does.
    """
    path = Path(path)
    aside = _aside(path)
    with _errors_name(path, aside):
        path.parent.mkdir(parents=True, exist_ok=True)
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
            _keep(path)
        finally:
            shutil.rmtree(aside, ignore_errors=True)


def write_text(path: str | Path, text: str) -> None:
    """Write `text` (UTF-8) to `path` in one step."""
    with file(path) as aside:
        aside.write_text(text, encoding="utf-8")
