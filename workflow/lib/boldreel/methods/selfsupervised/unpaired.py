"""Clips without BOLD and BOLD without clips.

Takes decoded movies, the clips of training, series and windows; returns rows that are read as they are drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from boldreel.data import arrays, batches, tables
from boldreel.data.frames import Movies
from boldreel.data.responses import series_files, window_volumes
from boldreel.methods.video_decoder import squares


@dataclass(frozen=True)
class Clips:
    """frames : uint8 (frames, side, side, 3), all one after the other. first : where clips begin in them."""

    frames: np.ndarray
    first: np.ndarray
    length: int

    def __len__(self) -> int:
        return len(self.first)

    def take(self, rows: np.ndarray) -> np.ndarray:
        """uint8 (n, length, side, side, 3)."""
        return self.frames[self.first[rows][:, None] + np.arange(self.length)]


@dataclass(frozen=True)
class Windows:
    """Windows of BOLD at every volume. run, first : which series and volume each begins at."""

    series: list[np.ndarray]
    run: np.ndarray
    first: np.ndarray
    width: int
    used: np.ndarray

    def __len__(self) -> int:
        return len(self.first)

    def take(self, rows: np.ndarray) -> np.ndarray:
        """float32 (n, width x used)."""
        made = []
        for row in rows:
            series, first = self.series[self.run[row]], self.first[row]
            volumes = window_volumes(np.array([first]), self.width, len(series))[0]
            made.append(np.nan_to_num(series[volumes][:, self.used]).ravel())
        return np.stack(made).astype(np.float32)


def every_frame(windows: Path, clips_table: Path, stimuli: Path, length: int, side: int) -> Clips:
    """Clips that begin at any frame of a movie's training clips: all frames of theirs are in such clips."""
    table = tables.read(windows, "windows")
    shown = set(table.loc[table["split"] == "train", "clip"])
    clips = tables.read(clips_table, "clips")
    parts, starts, before = [], [], 0
    decoded = Movies([stimuli])
    for movie, rows in clips[clips["clip"].isin(shown)].groupby("movie", sort=True):
        frames, _ = decoded.frames(str(movie), str(batches.of_clips(rows).iloc[0]))
        covered = np.zeros(len(frames), bool)
        for row in rows.itertuples():
            covered[row.first_frame : row.first_frame + row.n_frames] = True
        kept = np.flatnonzero(np.convolve(covered, np.ones(length, int), mode="valid") == length)
        parts.append(squares(np.asarray(frames)[None], side)[0])
        starts.append(kept + before)
        before += len(frames)
    return Clips(np.concatenate(parts), np.concatenate(starts), length)


def more(found: Clips, folder: Path) -> Clips:
    """The same with the clips that `boldreel.methods.selfsupervised.videos` left."""
    clips, _ = arrays.load(folder / "clips.npy", kind="unpaired_clips", mmap=False)
    side = found.frames.shape[1]
    flat = squares(clips, side).reshape(-1, side, side, 3)
    first = len(found.frames) + found.length * np.arange(len(clips))
    return Clips(np.concatenate([found.frames, flat]), np.r_[found.first, first], found.length)


def every_volume(windows: Path, series_dir: Path, used: np.ndarray) -> Windows:
    """Windows at every volume of the training runs, each repeat for itself."""
    width = int(tables.read(windows, "windows")["window"].iloc[0])
    series, run, first = [], [], []
    for number, path in enumerate(series_files(windows, series_dir, "train")):
        values, _ = arrays.load(path, kind="series")
        series.append(values)
        run.append(np.full(len(values), number))
        first.append(np.arange(len(values)))
    return Windows(series, np.concatenate(run), np.concatenate(first), width, used)
