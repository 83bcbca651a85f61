"""Which device a step computes on: a GPU leased by file lock, or the CPU.

Snakemake sets no CUDA_VISIBLE_DEVICES on one machine, so two GPU jobs would both take the first
card. A lease locks one file per card until the process ends; where a scheduler has set
CUDA_VISIBLE_DEVICES already, that choice stands.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def _cards() -> list[str]:
    """UUIDs of the machine's GPUs; empty without a driver."""
    if shutil.which("nvidia-smi") is None:
        return []
    query = ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"]
    answer = subprocess.run(query, capture_output=True, text=True, check=False)
    return answer.stdout.split() if answer.returncode == 0 else []


def _lock_one(cards: list[str], folder: Path) -> tuple[str, int] | None:
    for card in cards:
        descriptor = _open_for_all(folder / f"boldreel-{card}.lock")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return card, descriptor
        except BlockingIOError:
            os.close(descriptor)
    return None


def _open_for_all(path: Path) -> int:
    """A lock file that every user of the machine may lock, whoever made it: locking needs no writing."""
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDONLY, 0o644)
    except FileExistsError:
        descriptor = os.open(path, os.O_RDONLY)
    return descriptor


@contextmanager
def lease(poll: float = 2.0, folder: Path | None = None) -> Iterator[torch.device]:
    """Yield the device to compute on; waits while every card is leased to another process.

    Of processes that train together (`LOCAL_RANK`) each leases a card, and counts as the only one on it;
    where the scheduler chose the cards, each takes the one of its number.
    """
    cards = [] if "CUDA_VISIBLE_DEVICES" in os.environ else _cards()
    held = None
    if cards:
        where = folder or Path(tempfile.gettempdir())
        said = False
        while (held := _lock_one(cards, where)) is None:
            if not said:
                print("waiting for a free GPU", file=sys.stderr, flush=True)
                said = True
            time.sleep(poll)
        os.environ["CUDA_VISIBLE_DEVICES"] = held[0]
        if "LOCAL_RANK" in os.environ:
            os.environ["LOCAL_RANK"] = "0"
    import torch

    try:
        number = os.environ.get("LOCAL_RANK", "0")
        yield torch.device(f"cuda:{number}" if torch.cuda.is_available() else "cpu")
    finally:
        if held is not None:
            del os.environ["CUDA_VISIBLE_DEVICES"]
            os.close(held[1])
