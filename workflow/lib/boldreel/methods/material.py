"""What every method is trained on and asked about: responses to clips, and the clips' frames.

Takes windows.parquet, series, clips.parquet and decoded movies; returns responses and frames row by
row. Responses come from the same function as everywhere, frames stay memory-mapped until they are asked
for.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from boldreel.data import batches, tables
from boldreel.data.frames import MovieClips, load_clips
from boldreel.data.responses import Responses, load_responses, series_files
from boldreel.errors import UserError

FITTED = ("train", "validation")  # splits from which anything may be fitted


@dataclass(frozen=True)
class Pairs:
    """Responses and the clips they are of.

    x : float32 (n, window, positions), z units, absent positions 0.
    frames : uint8 (n, frames, height, width, 3).
    clips, shots, segments : n names.
    validation : bool (n,), whether a clip belongs to a validation segment.
    frame_rate : frames per second.
    """

    x: np.ndarray
    frames: np.ndarray
    clips: list[str]
    shots: list[str]
    segments: list[str]
    validation: np.ndarray
    frame_rate: float

    @property
    def rows(self) -> np.ndarray:
        """Responses flattened, without the positions that are absent throughout: (n, features)."""
        return self.x[:, :, self.used].reshape(len(self.x), -1)

    @property
    def used(self) -> np.ndarray:
        """bool (positions,): whether there is a response at all."""
        return (self.x != 0).any(axis=(0, 1))


def training_movies(windows: Path, clips_table: Path) -> list[str]:
    """Movies of which clips may be fitted on."""
    table = tables.read(windows, "windows")
    shown = set(table.loc[table["split"].isin(FITTED), "clip"])
    clips = tables.read(clips_table, "clips")
    return sorted(set(clips.loc[clips["clip"].isin(shown), "movie"]))


def training_files(
    windows: Path, series_dir: Path, clips_table: Path, stimuli: Path
) -> list[str | Path]:
    """All that `training_pairs` reads: what a fit depends on."""
    clips = tables.read(clips_table, "clips")
    shown = clips["movie"].isin(training_movies(windows, clips_table))
    return [
        windows,
        clips_table,
        *series_files(windows, series_dir, FITTED),
        *(stimuli / name / "frames.npy" for name in sorted(set(batches.of_clips(clips)[shown]))),
    ]


def training_pairs(windows: Path, series_dir: Path, clips_table: Path, stimuli: Path) -> Pairs:
    """What a method is fitted on: the pairs of training and validation segments, and no test run."""
    movies = training_movies(windows, clips_table)
    return load_pairs(windows, series_dir, load_clips(clips_table, stimuli, movies), FITTED)


def load_pairs(
    windows: Path, series_dir: Path, frames: MovieClips, split: str | tuple[str, ...]
) -> Pairs:
    """Paired material of a split, repeats averaged; clips without frames are left out."""
    found: Responses = load_responses(windows, series_dir, split)
    keep = [k for k, clip in enumerate(found.clips) if clip in frames.views]
    if not keep:
        raise UserError(f"{windows}: no clip of split {split} has frames; give its movies' folders")
    names = [found.clips[k] for k in keep]
    table = tables.read(windows, "windows")
    later = set(table.loc[table["split"] == "validation", "clip"])
    return Pairs(
        x=found.x[keep],
        frames=frames.take(names),
        clips=names,
        shots=[found.shots[k] for k in keep],
        segments=[found.segments[k] for k in keep],
        validation=np.array([name in later for name in names]),
        frame_rate=frames.frame_rate,
    )
