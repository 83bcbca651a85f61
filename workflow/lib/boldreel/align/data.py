"""What the alignment of one subject is fitted on.

Takes windows, series, voxels and features on disk; leaves trials and targets as arrays. Test
windows are never read here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from boldreel.align.features import ClipFeatures, load_features
from boldreel.data import tables
from boldreel.data.responses import load_responses
from boldreel.errors import UserError


@dataclass(frozen=True)
class Trials:
    """Trials of some segments: one row per showing of a clip.

    x : float32 (rows, w, V); clip : int (rows,), row of `features`; segment : names (rows,)
    """

    x: np.ndarray
    clip: np.ndarray
    segment: np.ndarray
    features: ClipFeatures

    @property
    def rows_of(self) -> list[np.ndarray]:
        """For each clip its rows."""
        order = np.argsort(self.clip, kind="stable")
        counts = np.bincount(self.clip, minlength=len(self.features.clips))
        return np.split(order, np.cumsum(counts)[:-1])

    def averaged(self) -> np.ndarray:
        """Mean over the showings of each clip, float32 (clips, w, V)."""
        return np.stack([self.x[rows].mean(0) for rows in self.rows_of])

    def take(self, chosen: np.ndarray) -> Trials:
        """The trials of segments `chosen` (bool, per row), clips renumbered."""
        clips, clip = np.unique(self.clip[chosen], return_inverse=True)
        return Trials(self.x[chosen], clip, self.segment[chosen], self.features.take(clips))


def load_trials(
    windows: Path, series_dir: Path, clips: Path, folders: list[Path], split: str | tuple[str, ...]
) -> Trials:
    """Read every showing of the clips of a split, with the clips' features."""
    responses = load_responses(windows, series_dir, split, repeats="each")
    names = list(dict.fromkeys(responses.clips))
    number = {name: k for k, name in enumerate(names)}
    return Trials(
        x=responses.x,
        clip=np.array([number[name] for name in responses.clips]),
        segment=np.array(responses.segments),
        features=load_features(clips, folders, names),
    )


def training_and_validation(trials: Trials, validation: set[str]) -> tuple[Trials, Trials]:
    """Split by segment. Without a validation segment the last training segment serves.

    Raises UserError unless two segments are left for training: penalties are chosen across them.
    """
    names = list(dict.fromkeys(trials.segment))
    chosen = [name for name in names if name in validation] or names[-1:]
    held = np.isin(trials.segment, chosen)
    if len(set(trials.segment[~held])) < 2:
        raise UserError(
            f"segments: training has {', '.join(names)} with {', '.join(chosen)} for validation; "
            "alignment needs two training segments beside the validation segment"
        )
    return trials.take(~held), trials.take(held)


def used_positions(voxels: Path, which: str) -> np.ndarray:
    """Bool (V,): the positions that the decoder uses, `present` or `selected` of the voxel table.

    Raises UserError if none is left.
    """
    if which not in ("present", "selected"):
        raise UserError(f"align.voxels is {which!r}; it must be present or selected")
    table = tables.read(voxels, "voxels")
    used = table["present"].to_numpy(bool)
    if which == "selected":
        used = used & table["selected"].to_numpy(bool)
    if not used.any():
        raise UserError(f"{voxels}: no {which} position; choose another set with align.voxels")
    return used
