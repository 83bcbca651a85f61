"""Frames of decoded movies and of the clips in them.

Reads the `frames.npy` that `stimuli.decode` writes for each movie or batch of movies; returns uint8 frames
(n, h, w, 3) of clips, on request at another size or number of frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from boldreel.data import arrays, batches, tables
from boldreel.errors import UserError

if TYPE_CHECKING:
    import pandas as pd


def resize(frames: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Frames (n, h, w, 3) at `size`; area-true bicubic (PIL), the same array where it fits."""
    if frames.shape[1:3] == tuple(size):
        return np.asarray(frames)
    from PIL import Image

    scaled = [
        np.asarray(Image.fromarray(frame).resize((size[1], size[0]), Image.Resampling.BICUBIC))
        for frame in np.asarray(frames)
    ]
    return np.stack(scaled)


def frame_index(have: int, want: int) -> np.ndarray:
    """Which of `have` evenly spaced frames to show at each of `want` times: the one shown then."""
    return (np.arange(want) * have) // want


class Movies:
    """Decoded movies, each batch opened once: an open file costs a descriptor for every opening.

    Parameters
    ----------
    stimuli : folders of batches, or folders of single batches. A batch may be one movie.
    """

    def __init__(self, stimuli: Sequence[Path | str]) -> None:
        self.stimuli = [Path(folder) for folder in stimuli]
        self._opened: dict[str, tuple[np.ndarray, dict[str, Any], Path]] = {}

    def file(self, movie: str, batch: str | None = None) -> Path:
        """The `frames.npy` that holds a movie; UserError without one."""
        name = batch or movie
        for folder in self.stimuli:
            for candidate in (folder / name, folder):
                path = candidate / "frames.npy"
                if candidate.name == name and path.exists():
                    return path
        raise UserError(
            f"{self.stimuli[0]}: no frames of movie {movie!r}; run stimuli.decode for it"
        )

    def frames(self, movie: str, batch: str | None = None) -> tuple[np.ndarray, float]:
        """(memory-mapped frames (n, h, w, 3), frames per second) of a movie.

        Parameters
        ----------
        batch : the batch that it is in; None for a movie that is decoded by itself.

        Raises
        ------
        UserError : no folder holds the batch, or the batch does not hold the movie.
        """
        name = batch or movie
        if name not in self._opened:
            path = self.file(movie, batch)
            self._opened[name] = (*arrays.load(path, kind="frames"), path)
        frames, meta, path = self._opened[name]
        rate = float(meta["frame_rate"])
        if batch is None or batch == movie:
            return frames, rate
        return frames[batches.part(meta, movie, len(frames), path)], rate


def cut_clip(movie: np.ndarray, first: int, count: int, frames: int) -> np.ndarray:
    """`frames` frames (frames, h, w, 3), at evenly spaced times, of the clip of `count` that begins at
    `first`."""
    return np.asarray(movie[first + frame_index(count, frames)])


def cut_clips(
    table: pd.DataFrame, stimuli: Sequence[Path | str], frames: int, size: tuple[int, int]
) -> np.ndarray:
    """The true clips (n, frames, h, w, 3) of the rows of a clips table, at `size` = (h, w)."""
    out = np.empty((len(table), frames, *size, 3), dtype=np.uint8)
    movies = Movies(stimuli)
    columns = table["movie"], batches.of_clips(table), table["first_frame"], table["n_frames"]
    for row, (movie, batch, first, count) in enumerate(zip(*columns, strict=True)):
        shown, _ = movies.frames(movie, batch)
        out[row] = resize(cut_clip(shown, int(first), int(count), frames), size)
    return out


@dataclass(frozen=True)
class MovieClips:
    """Clips of one length by name.

    views : memory-mapped uint8 (frames, height, width, 3) of each clip.
    frame_rate : frames per second.
    movies : the movie of each clip.
    """

    views: dict[str, np.ndarray]
    frame_rate: float
    movies: dict[str, str]

    def take(self, names: Sequence[str]) -> np.ndarray:
        """uint8 (n, frames, height, width, 3) of the named clips; UserError for one not there."""
        missing = [name for name in names if name not in self.views]
        if missing:
            raise UserError(
                f"clip {missing[0]}: no frames of its length in the movies given; give the folder of its "
                "movie, and clips of one length"
            )
        return np.stack([self.views[name] for name in names])


def load_clips(clips_table: Path, stimuli: Path, movies: Sequence[str]) -> MovieClips:
    """All frames of the clips of these movies, whose folders, or whose batches', lie in `stimuli`.

    Clips of another length than the most frequent one are left out.

    Raises
    ------
    UserError : movies differ in frame rate, or hold no clip.
    """
    table = tables.read(clips_table, "clips")
    table = table[table["movie"].isin(list(movies))]
    if not len(table):
        raise UserError(f"{clips_table}: no clip of {', '.join(movies) or 'no movie'}; check them")
    length = int(table["n_frames"].mode().iloc[0])
    views, rates, names = {}, set(), {}
    decoded = Movies([stimuli])
    for (batch, movie), rows in table.groupby([batches.of_clips(table), "movie"], sort=False):
        frames, rate = decoded.frames(str(movie), str(batch))
        rates.add(rate)
        for row in rows[rows["n_frames"] == length].itertuples():
            views[row.clip] = frames[row.first_frame : row.first_frame + length]
            names[row.clip] = str(movie)
    if len(rates) != 1:
        raise UserError(
            f"{stimuli}: frame rates {sorted(rates)}; decode all movies at the same one"
        )
    return MovieClips(views, rates.pop(), names)
