"""Files as they are distributed: content that was not fetched, and text that is not UTF-8.

Takes a path; returns how to fetch its content, or its text. Standard library only: the Snakefile asks.

git-annex leaves a link, or where the file system has none a small file with the link's target; with
unlocked content a small file that begins with ``/annex/objects/`` (git-annex.branchable.com,
internals/pointer_file). Git LFS leaves a small file that begins with its version (git-lfs,
docs/spec.md).
"""

from __future__ import annotations

import codecs
import errno
import os
import re
import time
from pathlib import Path

from boldreel.errors import UserError

_ANNEX = "datalad get {path}, or git annex get {path}"
_LFS = "git lfs pull --include {name}"
# A pointer of git-annex has at most 32 kB, one of Git LFS 1 kB.
_LONGEST_POINTER = 32 * 1024
_ANNEX_POINTER = re.compile(rb"/annex/objects/|(\.\.[/\\])*\.git[/\\]annex[/\\]objects[/\\]")
_LFS_POINTER = b"version https://git-lfs"
_BLOCK = 1 << 20
_CLOCK_TOLERANCE = 60.0  # s by which clocks may differ


def unfetched(path: Path | str) -> str:
    """What keeps a listed file from being read, and how to fix that; "" if its content is there.

    A file that is not there at all is left to others, who know what it is.
    """
    path = Path(path)
    if not path.exists():
        if not path.is_symlink():
            return ""
        target = str(path.readlink())
        if "annex/objects" in target.replace("\\", "/"):
            return f"a dangling link of git-annex ({target}); fetch its content: {_command(_ANNEX, path)}"
        return f"a dangling link ({target}); correct it, or copy the file that it leads to"
    if not path.is_file() or path.stat().st_size > _LONGEST_POINTER:
        return ""
    try:
        with path.open("rb") as stream:
            head = stream.read(256)
    except OSError:
        return ""  # without permission; said where it is read
    if _ANNEX_POINTER.match(head):
        return f"a pointer of git-annex, its content was not fetched; {_command(_ANNEX, path)}"
    if head.startswith(_LFS_POINTER):
        return f"a pointer of Git LFS, its content was not fetched; {_command(_LFS, path)}"
    return ""


def check_fetched(path: Path | str) -> None:
    """UserError for a dangling link, and for a pointer in place of a file; says how to fetch it."""
    if fault := unfetched(path):
        raise UserError(f"{path}: {fault}")


def check_source(path: Path | str, now: float | None = None) -> None:
    """Whether a file that no rule makes can be read, and is not dated in the future.

    Snakemake compares dates: what is made from a file of tomorrow would be older than it, and fail.

    Raises
    ------
    UserError : a dangling link, a pointer to content that was not fetched, a file that may not be read or
        is dated in the future. A file that is not there at all is left to others, who know what it is.
    """
    path = Path(path)
    try:
        dated = path.stat().st_mtime
    except OSError as error:
        if error.errno == errno.EACCES:
            raise UserError(f"{path}: no permission to look at it; ask for it") from None
        check_fetched(path)
        return
    if not os.access(path, os.R_OK):
        raise UserError(f"{path}: no permission to read it; chmod u+r, or ask for it")
    check_fetched(path)
    now = time.time() if now is None else now
    if dated > now + _CLOCK_TOLERANCE:
        raise UserError(
            f"{path}: dated {(dated - now) / 3600:.1f} hours in the future; set this machine's clock right, "
            "or the file's date: touch it"
        )


def present(path: Path | str) -> bool:
    """Whether a file is there, with its content."""
    return Path(path).exists() and not unfetched(path)


def encoding_of(path: Path | str) -> str:
    """The encoding of a text: UTF-8 or UTF-16 with or without its mark, else Latin-1.

    Tables that were written on older systems are in Latin-1. What is no text is called UTF-8, and reading
    it fails.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    with Path(path).open("rb") as stream:
        if stream.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            return "utf-16"
        stream.seek(0)
        valid = True
        while block := stream.read(_BLOCK):
            if b"\0" in block:
                return "utf-8-sig"
            if valid:
                try:
                    decoder.decode(block)
                except UnicodeDecodeError:
                    valid = False
    return "utf-8-sig" if valid else "latin-1"


def read_text(path: Path | str) -> str:
    """A whole text; raises OSError and UnicodeDecodeError."""
    return Path(path).read_text(encoding=encoding_of(path))


def _command(form: str, path: Path) -> str:
    return form.format(path=path, name=path.name)
