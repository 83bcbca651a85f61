"""Folders of reconstructed clips: their one writer and their one reader.

Such a folder holds `frames.npy` (clips, frames, height, width, 3), `video/{clip}.mp4` and provenance.json;
with several samples of each clip also `samples.npy` (clips, samples, frames, height, width, 3) and
`video/{clip}_sample-{k}.mp4`; with continuous movies also `movie/{first clip}.mp4`. Several such folders,
`shard-K` in one folder, are read as one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from boldreel.data import arrays, atomic, provenance, tables, video
from boldreel.errors import UserError

if TYPE_CHECKING:
    import pandas as pd


def write(
    output: Path,
    clips: Sequence[str],
    frames: np.ndarray,
    frame_rate: float,
    *,
    inputs: Sequence[Path],
    config: Mapping[str, Any],
    seed: int,
    started: float,
    sampling: Mapping[str, Any] | None = None,
    samples: np.ndarray | None = None,
    movies: Iterable[tuple[str, np.ndarray]] = (),
    extra_tables: Mapping[str, tuple[pd.DataFrame, str]] | None = None,
) -> None:
    """Write the folder in one step.

    Parameters
    ----------
    frames : uint8 (clips, frames, height, width, 3). frame_rate : frames per second.
    inputs : what the reconstructions were made from, for provenance.
    sampling : further entries of the sidecar, such as the number of steps.
    samples : uint8 (clips, samples, frames, height, width, 3), all samples of each clip; the first ones
        are `frames`.
    movies : (name, uint8 (frames, height, width, 3)) of movies longer than a clip.
    extra_tables : {path in the folder: (table, its kind)} of further tables.
    """
    if frames.dtype != np.uint8 or frames.ndim != 5 or len(frames) != len(clips):
        raise ValueError(f"{frames.dtype} {frames.shape} for {len(clips)} clips")
    meta = {"clips": list(clips), "frame_rate": frame_rate, "seed": seed, **(sampling or {})}
    with atomic.folder(output) as aside:
        arrays.save(aside / "frames.npy", frames, kind="reconstruction", **meta)
        for clip, pictures in zip(clips, frames, strict=True):
            video.write_mp4(aside / "video" / f"{clip}.mp4", pictures, frame_rate)
        if samples is not None:
            arrays.save(aside / "samples.npy", samples, kind="samples", **meta)
            for clip, of_clip in zip(clips, samples, strict=True):
                for k, pictures in enumerate(of_clip[1:], 1):
                    path = aside / "video" / f"{clip}_sample-{k}.mp4"
                    video.write_mp4(path, pictures, frame_rate)
        for name, pictures in movies:
            video.write_mp4(aside / "movie" / f"{name}.mp4", pictures, frame_rate)
        for name, (table, kind) in (extra_tables or {}).items():
            tables.write(aside / name, table, kind)
        provenance.record(aside, inputs=inputs, config=dict(config), seed=seed, started=started)


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
