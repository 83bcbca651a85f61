"""Training states that no result comes from any more: `boldreel clean --states`.

A state is kept per configuration, inputs and code of a training, so that each change leaves the former one.
Takes the results and states of a data set; returns the states that can go. Kept is what a result names, what
is being trained with, and where no result names any of a training's states, the last one written: it may be
unfinished.
"""

from __future__ import annotations

import fcntl
import re
import shutil
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from boldreel.data import provenance
from boldreel.errors import UserError

_FINGERPRINT = re.compile(r"[0-9a-f]{20}")


def unused(results: Path, states: Path) -> list[Path]:
    """State folders of a data set that can go; UserError if there are no states."""
    if not states.is_dir():
        raise UserError(f"{states}: no such states; name them with --state and --dataset")
    named = set()
    for artefact, entry in provenance.find(results) if results.is_dir() else ():
        if isinstance(entry.get("state"), str) and artefact.exists():
            # states may have been moved since: the part below the data set's folder says which
            parts = Path(entry["state"]).parts
            named |= {parts[k + 1 :] for k, part in enumerate(parts) if part == states.name}
    by_training: defaultdict[Path, list[Path]] = defaultdict(list)
    for path in sorted(states.rglob("*")):
        if path.is_dir() and _FINGERPRINT.fullmatch(path.name):
            by_training[path.parent].append(path)
    found = []
    for own in by_training.values():
        kept = [path for path in own if path.relative_to(states).parts in named]
        kept = kept or [max(own, key=_written)]
        found += [path for path in own if path not in kept and not _in_use(path)]
    return found


def size(folder: Path) -> int:
    """Bytes of a folder."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())


def lines(found: list[Path], delete: bool) -> Iterator[str]:
    """What is said about states that can go; deletes them first if asked."""
    total = 0
    for path in found:
        total += (own := size(path))
        if delete:
            shutil.rmtree(path)
        yield f"{path}: {own / 1e6:.0f} MB"
    what = f"{len(found)} training states, {total / 1e6:.0f} MB, from which no result comes"
    yield f"{what}: deleted" if delete else f"{what}; add --delete to delete them"


def _written(folder: Path) -> float:
    return max((path.stat().st_mtime for path in folder.iterdir()), default=0.0)


def _in_use(folder: Path) -> bool:
    """Whether a process trains with the state, see `training.state`."""
    lock = folder / "lock"
    if not lock.exists():
        return False
    with lock.open("r+") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
