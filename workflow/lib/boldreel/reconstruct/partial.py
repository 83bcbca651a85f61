"""Finished clips of an unfinished shard, so that a stopped job resumes.

Takes a folder and what a clip's frames depend on; writes one file for each finished clip. The file's
name holds a hash of all that, so that clips of another configuration or network are never taken up.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from boldreel.data import atomic
from boldreel.reconstruct.plan import Drawn, Unit


class PartialClips:
    """What was drawn, by clip and sample, in a folder."""

    def __init__(self, folder: Path, shared: dict[str, Any]) -> None:
        """shared : plain values that all clips depend on (config, hashes of the networks)."""
        self.folder = folder
        self.shared = json.dumps(shared, sort_keys=True, default=str).encode()
        folder.mkdir(parents=True, exist_ok=True)

    def _path(self, unit: Unit) -> Path:
        state = hashlib.blake2b(self.shared, digest_size=10)
        before: Unit | None = unit
        while before is not None:  # a clip that goes on depends on all clips before it
            state.update(f"{before.clip}\0{before.sample}\0".encode())
            state.update(np.ascontiguousarray(before.condition).tobytes())
            before = before.before
        return self.folder / f"{unit.clip}_{unit.sample}_{state.hexdigest()}.npz"

    def get(self, unit: Unit) -> Drawn | None:
        """What was drawn for the clip, or None if it is not finished."""
        try:
            with np.load(self._path(unit), allow_pickle=False) as kept:
                return Drawn(kept["frames"], kept["tail"])
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
            return None

    def put(self, unit: Unit, drawn: Drawn) -> None:
        """Keeps a finished clip."""
        with atomic.file(self._path(unit)) as aside, aside.open("wb") as stream:
            np.savez(stream, frames=drawn.frames, tail=drawn.tail)
