"""The one reader of folders of reconstructed clips, which `boldreel.data.reconstruction_writer` writes.

Several such folders, `shard-K` in one folder, are read as one. The writer is a module of its own since it
needs FFmpeg, which the evaluation's environment does not have.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from boldreel.data import arrays
from boldreel.errors import UserError


class Reconstruction:
    """Clips of reconstructed frames in one or several memory-mapped shards.

    Parameters
    ----------
    folders : shards (holding frames.npy), or folders that hold `shard-*`.

    Attributes
    ----------
    names : all clips, in the order of the shards.
    paths : the shards' folders.
    shape : of a clip: frames, height, width, 3.
    frame_rate : frames per second.

    Raises
    ------
    UserError : nothing is found, a clip is in two shards, or shapes differ.
    """

    def __init__(self, folders: Sequence[Path | str]) -> None:
        self._place: dict[str, tuple[np.ndarray, int]] = {}
        self.paths = _shards(folders)
        self.frame_rate = 0.0
        shape: tuple[int, ...] | None = None
        for shard in self.paths:
            frames, meta = arrays.load(shard / "frames.npy", kind="reconstruction")
            if len(meta["clips"]) != len(frames):
                raise UserError(f"{shard}: {len(meta['clips'])} clip names for {len(frames)} clips")
            shape = shape or frames.shape[1:]
            if frames.shape[1:] != shape:
                raise UserError(
                    f"{shard}: clips of shape {frames.shape[1:]}, those before {shape}; "
                    "reconstruct all shards again with one configuration"
                )
            for row, name in enumerate(meta["clips"]):
                if name in self._place:
                    raise UserError(f"{shard}: clip {name} is in two shards; delete old shards")
                self._place[name] = (frames, row)
            self.frame_rate = float(meta["frame_rate"])
        if shape is None or not self._place:
            raise UserError(f"{folders[0]}: no clip in it; run reconstruct.sample")
        self.shape = shape

    @property
    def names(self) -> list[str]:
        """Names of all clips, in the order of the shards."""
        return list(self._place)

    def __contains__(self, name: object) -> bool:
        return name in self._place

    def __getitem__(self, name: str) -> np.ndarray:
        """uint8 (F, h, w, 3) of a clip."""
        frames, row = self._place[name]
        return np.asarray(frames[row])

    def frames(self, names: Sequence[str]) -> np.ndarray:
        """uint8 (n, F, h, w, 3) of the named clips; UserError if one is missing."""
        missing = [name for name in names if name not in self]
        if missing:
            raise UserError(
                f"{self.paths[0].parent}: clip {missing[0]} is not there "
                f"({len(missing)} of {len(names)} missing); reconstruct the same clips for both"
            )
        return np.stack([self[name] for name in names])


def _shards(folders: Sequence[Path | str]) -> list[Path]:
    shards: list[Path] = []
    for folder in map(Path, folders):
        inner = sorted(folder.glob("shard-*"), key=lambda p: int(p.name.split("-")[1]))
        if not inner and not (folder / "frames.npy").exists():
            raise UserError(f"{folder}: no frames.npy and no shard-* in it; run reconstruct.sample")
        shards += [folder] if (folder / "frames.npy").exists() else inner
    return shards
