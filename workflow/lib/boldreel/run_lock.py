"""One run at a time in a folder, and who wrote there last.

Snakemake's own lock is in the working directory, so two working directories could write to one folder of
results. Takes a folder; writes `.lock` in it, a file that the running Snakemake holds (flock), with a few
lines about the run. The operating system releases it when the process ends, even by kill -9; the lines stay.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import platform
import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

from boldreel.errors import UserError

NAME = ".lock"
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}


def about(repository: Path, config: Mapping[str, Any]) -> dict[str, str]:
    """Traces of a run: working directory, repository, hashes of code and configuration."""
    code = hashlib.blake2b(digest_size=8)
    for path in sorted((repository / "workflow").rglob("*")):
        if path.suffix in {".py", ".smk"} or path.name == "Snakefile":
            code.update(str(path.relative_to(repository)).encode() + b"\0" + path.read_bytes())
    text = json.dumps(config, sort_keys=True, default=str)
    return {
        "working_directory": str(Path.cwd()),
        "repository": str(repository),
        "code": code.hexdigest(),
        "configuration": hashlib.blake2b(text.encode(), digest_size=8).hexdigest(),
    }


def hold(folder: str | Path, run: Mapping[str, str]) -> TextIO:
    """Hold a folder for this process; closing the returned file releases it.

    Raises UserError, which names the other run, while another run holds the folder, and if its lock cannot be
    written. On file systems without locks it only warns.
    """
    place = Path(folder) / NAME
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        held = os.fdopen(os.open(place, os.O_CREAT | os.O_RDWR, 0o666), "r+", encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"{place}: cannot be written ({error.strerror}), so this run cannot hold {folder}; make it "
            "writable for all who share these results, or remove it when no run is going on"
        ) from None
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        held.close()
        raise UserError(
            f"{folder}: another run is writing here ({_who(last(folder))}); wait until it ends, or set "
            "`results` and `state` in the configuration to other folders"
        ) from None
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        print(
            f"warning: {folder}: its file system has no locks; make sure that no other run writes here",
            file=sys.stderr,
        )
    since = datetime.now().astimezone().isoformat(timespec="seconds")
    known = {"host": platform.node(), "pid": str(os.getpid()), "since": since, **run}
    held.truncate(0)
    json.dump(known, held, indent=1)
    held.flush()
    return held


def last(folder: str | Path) -> dict[str, str]:
    """Traces of the last run in a folder; empty if there are none or they are being written."""
    try:
        found = json.loads((Path(folder) / NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    known = found.items() if isinstance(found, dict) else ()
    return {key: value for key, value in known if isinstance(value, str)}


def difference(folder: str | Path, run: Mapping[str, str]) -> str | None:
    """A line about a folder that another working directory wrote last, with other code or settings; or None.

    Snakemake keeps its records in the working directory, so it does not know about runs from another one. A
    working directory that no longer exists was moved, with its records.
    """
    before = last(folder)
    place = before.get("working_directory")
    if not place or place == run["working_directory"] or not Path(place).is_dir():
        return None
    other = [word for word in ("code", "configuration") if before.get(word) != run[word]]
    if not other:
        return None
    return (
        f"{folder}: last written from {place} by the repository {before.get('repository')} with different "
        f"{' and '.join(other)}; Snakemake has no record of those jobs here and does not rerun them. Set "
        "`results` to another folder, or continue from there"
    )


def _who(run: Mapping[str, str]) -> str:
    names = {"pid": "process", "host": "on", "working_directory": "from", "since": "since"}
    known = [f"{word} {run[key]}" for key, word in names.items() if key in run]
    return " ".join(known) or "its details are not written yet"
