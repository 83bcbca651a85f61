"""The clips to compare: reconstructions and the truth, matched by name, frame number and size.

Takes folders of reconstructions, the clips table and the stimuli; returns aligned uint8 arrays.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from boldreel.data import arrays
from boldreel.data.frames import resize
from boldreel.errors import UserError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Segment:
    """The test clips of one run, in time order.

    rows : (n,) rows of each clip in the arrays of the whole set.
    """

    name: str
    rows: np.ndarray


class Reconstruction:
    """Clips of reconstructed frames in one or several memory-mapped shards.

    Parameters
    ----------
    folders : shards (holding frames.npy), or folders that hold `shard-*`.

    Raises UserError if nothing is found, a clip stands twice, or shapes differ.
    """

    def __init__(self, folders: Sequence[Path | str]) -> None:
        self.place: dict[str, tuple[np.ndarray, int]] = {}
        self.paths = _shards(folders)
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
                if name in self.place:
                    raise UserError(f"{shard}: clip {name} stands in two shards; delete old shards")
                self.place[name] = (frames, row)
        if shape is None or not self.place:
            raise UserError(f"{folders[0]}: no clip in it; run reconstruct.sample")
        self.shape = shape  # frames, height, width, 3

    @property
    def names(self) -> list[str]:
        """Names of all clips, in the order of the shards."""
        return list(self.place)

    def frames(self, names: Sequence[str]) -> np.ndarray:
        """uint8 (n, F, h, w, 3) of the named clips; UserError if one is missing."""
        missing = [name for name in names if name not in self.place]
        if missing:
            raise UserError(
                f"{self.paths[0].parent}: clip {missing[0]} is not there "
                f"({len(missing)} of {len(names)} missing); reconstruct the same clips for both"
            )
        return np.stack([frames[row] for frames, row in map(self.place.__getitem__, names)])


def _shards(folders: Sequence[Path | str]) -> list[Path]:
    shards: list[Path] = []
    for folder in map(Path, folders):
        inner = sorted(folder.glob("shard-*"), key=lambda p: int(p.name.split("-")[1]))
        if not inner and not (folder / "frames.npy").exists():
            raise UserError(f"{folder}: no frames.npy and no shard-* in it; run reconstruct.sample")
        shards += [folder] if (folder / "frames.npy").exists() else inner
    return shards


def movie_frames(stimuli: Sequence[Path | str], movie: str) -> np.ndarray:
    """Memory-mapped frames (n, h, w, 3) of a movie below one of the `stimuli` folders."""
    for folder in map(Path, stimuli):
        for candidate in (folder / movie, folder):
            path = candidate / "frames.npy"
            if candidate.name == movie and path.exists():
                return arrays.load(path, kind="frames")[0]
    raise UserError(f"{stimuli[0]}: no frames of movie {movie!r}; run stimuli.decode for it")


def cut(
    table: pd.DataFrame, stimuli: Sequence[Path | str], frames: int, size: tuple[int, int]
) -> np.ndarray:
    """The true clips (n, frames, h, w, 3) of the table's rows, at `size` = (h, w).

    Of a clip with another number of frames, those shown at evenly spaced times are taken.
    """
    out = np.empty((len(table), frames, *size, 3), dtype=np.uint8)
    movies: dict[str, np.ndarray] = {}
    rows = zip(table["movie"], table["first_frame"], table["n_frames"], strict=True)
    for row, (movie, first, count) in enumerate(rows):
        if movie not in movies:
            movies[movie] = movie_frames(stimuli, movie)
        times = first + (np.arange(frames) * int(count)) // frames
        out[row] = resize(movies[movie][times], size)
    return out


def as_size(clips: np.ndarray, frames: int, size: tuple[int, int]) -> np.ndarray:
    """Clips (n, F, h, w, 3) with `frames` frames shown at evenly spaced times, at `size`."""
    taken = clips[:, (np.arange(frames) * clips.shape[1]) // frames]
    if taken.shape[2:4] == tuple(size):
        return taken
    return np.stack([resize(clip, size) for clip in taken])


def mean_frame(
    table: pd.DataFrame, stimuli: Sequence[Path | str], size: tuple[int, int]
) -> np.ndarray:
    """Mean frame (h, w, 3) uint8 over the table's (training) clips, each frame once."""
    total, count = None, 0
    for movie, rows in table.groupby("movie", sort=False):
        frames = movie_frames(stimuli, str(movie))
        # Of these clips alone: the rest of the film may be the test.
        shown = np.zeros(len(frames), bool)
        for row in rows.itertuples():
            shown[row.first_frame : row.first_frame + row.n_frames] = True
        # In pieces: a long movie's sum must not take the memory of a float copy.
        for chosen in np.array_split(np.flatnonzero(shown), max(1, int(shown.sum()) // 256)):
            part = frames[chosen].sum(axis=0, dtype=np.float64)
            total = part if total is None else total + part
        count += int(shown.sum())
    if total is None:
        raise UserError("no training clip to take the mean frame of; check segments.train")
    return resize(np.round(total / count).astype(np.uint8)[None], size)[0]


def attributes(table: pd.DataFrame) -> list[dict[str, str]]:
    """The attributes of each clip as a dict of texts; empty dicts where there are none."""
    return [{k: str(v) for k, v in json.loads(text).items()} for text in table["attributes"]]


def segments(rows: pd.DataFrame) -> list[Segment]:
    """Runs of the clips (columns segment, movie, index, one row per clip), each in time order."""
    out = []
    for name in sorted(rows["segment"].unique()):
        inside = np.flatnonzero((rows["segment"] == name).to_numpy())
        order = rows.iloc[inside].reset_index(drop=True).sort_values(["movie", "index"]).index
        out.append(Segment(name, inside[order.to_numpy()]))
    return out


def seen(
    test: Sequence[dict[str, str]], training: Sequence[dict[str, str]], combination: Sequence[str]
) -> np.ndarray | None:
    """Whether each test clip's combination of attributes occurs in training: bool (n,).

    None if a test clip lacks one of the attributes, or the combination is empty.
    """
    if not combination or not all(set(combination) <= set(entry) for entry in test):
        return None
    known = {tuple(e[k] for k in combination) for e in training if set(combination) <= set(e)}
    return np.array([tuple(entry[k] for k in combination) in known for entry in test])
