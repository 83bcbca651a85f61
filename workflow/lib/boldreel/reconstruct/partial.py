"""Finished clips of an unfinished shard, so that a stopped job goes on where it was.

Takes a folder and what a clip's frames depend on; leaves one file for each finished clip. The file's
name holds a hash of all that, so that clips of another configuration or network are never taken up.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from boldreel.data import atomic


class PartialClips:
    """Frames by clip in a folder."""

    def __init__(self, folder: Path, shared: dict[str, Any]) -> None:
        """shared : plain values that all clips depend on (config, hashes of the networks)."""
        self.folder = folder
        self.shared = json.dumps(shared, sort_keys=True, default=str).encode()
        folder.mkdir(parents=True, exist_ok=True)

    def _path(self, clip: str, condition: np.ndarray) -> Path:
        state = hashlib.blake2b(self.shared, digest_size=10)
        state.update(clip.encode() + b"\0" + np.ascontiguousarray(condition).tobytes())
        return self.folder / f"{clip}_{state.hexdigest()}.npy"

    def get(self, clip: str, condition: np.ndarray) -> np.ndarray | None:
        """The clip's frames (frames, height, width, 3), or None if it is not finished."""
        try:
            return np.load(self._path(clip, condition), allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None

    def put(self, clip: str, condition: np.ndarray, frames: np.ndarray) -> None:
        """Keeps a finished clip."""
        with atomic.file(self._path(clip, condition)) as aside, aside.open("wb") as stream:
            np.save(stream, frames)
