"""A training's state on disk: one folder, one process at a time, replaced whole.

Takes dictionaries of tensors and plain values; writes `last.pt` (and `best.pt`) in the folder. The
folder is no output of a rule, since Snakemake deletes outputs before each try.
"""

from __future__ import annotations

import fcntl
import os
import pickle
import shutil
import time
from pathlib import Path
from typing import Any

import torch

from boldreel.data import atomic
from boldreel.errors import UserError


class State:
    """Exclusive hold on a state folder, as a context manager.

    Of processes that train together one is the `owner` and holds it for all. `saves`, `seconds` and `bytes`
    are what saving has cost so far.
    """

    def __init__(self, folder: str | Path, owner: bool = True):
        self.folder, self.owner = Path(folder), owner
        self.saves, self.seconds, self.bytes = 0, 0.0, 0
        self._lock: int | None = None

    def __enter__(self) -> State:
        """Take the folder; UserError if another process trains there now."""
        if not self.owner:
            return self
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(self.folder / "lock", os.O_CREAT | os.O_RDWR, 0o666)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            self._lock = None
            raise UserError(
                f"{self.folder}: another process is training with this state; wait for it or stop it"
            ) from None
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def save(self, name: str, state: dict[str, Any]) -> None:
        """Replace `{name}.pt` in one step."""
        began, path = time.monotonic(), self.folder / f"{name}.pt"
        with atomic.file(path) as aside:
            torch.save(state, aside)
        self.saves += 1
        self.seconds += time.monotonic() - began
        self.bytes += path.stat().st_size

    def load(self, name: str) -> dict[str, Any] | None:
        """The saved dictionary, on the CPU, or None if there is none.

        Only tensors and plain values are read; nothing pickled is executed.
        """
        path = self.folder / f"{name}.pt"
        if not path.exists():
            return None
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except (RuntimeError, EOFError, ValueError, pickle.UnpicklingError):
            raise UserError(
                f"{path}: unreadable training state; delete it to start this training again"
            ) from None


def discard(folder: str | Path) -> None:
    """Delete a training's state, once what was trained is written.

    States of a whole study take hundreds of gigabytes, and nothing reads them any more.
    """
    shutil.rmtree(folder, ignore_errors=True)
