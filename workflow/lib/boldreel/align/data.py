"""What the alignment of one subject is fitted on.

Takes windows, series, voxels and features on disk; returns trials and targets as arrays. Test
windows are never read here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from boldreel.data import tables
from boldreel.data.features import ClipFeatures, join, load_features
from boldreel.data.responses import load_responses
from boldreel.errors import UserError


@dataclass(frozen=True)
class Trials:
    """Trials of some segments: one row per showing of a clip.

    x : float32 (rows, w, V); clip : int (rows,), row of `features`; segment : names (rows,)
    repeat : int (rows,), which showing of its segment a row comes from
    onset : (rows,), s from the start of the run
    run : names (rows,); times : (rows, w), s from the run's start to each volume of the window
    duration : (clips,), s
    present : bool (clips, V), positions of the subject who saw a clip, where there are several subjects
    """

    x: np.ndarray
    clip: np.ndarray
    segment: np.ndarray
    features: ClipFeatures
    repeat: np.ndarray
    onset: np.ndarray
    run: np.ndarray
    times: np.ndarray
    duration: np.ndarray
    present: np.ndarray | None = None

    @property
    def rows_of(self) -> list[np.ndarray]:
        """For each clip its rows."""
        order = np.argsort(self.clip, kind="stable")
        counts = np.bincount(self.clip, minlength=len(self.features.clips))
        return np.split(order, np.cumsum(counts)[:-1])

    @property
    def segments(self) -> np.ndarray:
        """The segment of each clip (clips,), of several the first that shows it."""
        return np.array([self.segment[rows[0]] for rows in self.rows_of])

    @property
    def onsets(self) -> np.ndarray:
        """When each clip came on in the first run that shows it, s (clips,)."""
        return np.array([self.onset[rows[0]] for rows in self.rows_of])

    @property
    def folds(self) -> np.ndarray:
        """For each row (rows,) the segment that it is left out with: that of the clip's first showing.

        Clips in random order are repeated in other segments, and no clip may be on both sides.
        """
        first: dict[str, str] = {}
        of_clip = [
            first.setdefault(name, segment)
            for name, segment in zip(self.features.clips, self.segments, strict=True)
        ]
        return np.array(of_clip)[self.clip]

    def averaged(self) -> np.ndarray:
        """Mean over the showings of each clip, float32 (clips, w, V)."""
        return np.stack([self.x[rows].mean(0) for rows in self.rows_of])

    def by_clip(self) -> Trials:
        """One row for each clip: the mean over its showings, with run and times of the first of them."""
        return self._merged(self.clip)

    def by_context(self) -> Trials:
        """One row for all showings of a clip that follow the same clips: the mean over them, with run and
        times of the first.

        Repeats of a segment show the same clips in the same order. Where clips come in random order, each
        showing follows others, whose responses overlap with its own, and stays a row of its own.
        """
        places: dict[tuple[int, str], int] = {}
        showings: dict[tuple[int, str], int] = {}
        keys = np.empty(len(self.clip), dtype=np.int64)
        for row in np.lexsort((self.onset, self.run)):  # a run may show a clip more than once
            shown = int(self.clip[row]), str(self.run[row])
            place = showings[shown] = showings.get(shown, -1) + 1
            of = int(self.clip[row]), f"{self.segment[row]}\0{place}"
            keys[row] = places.setdefault(of, len(places))
        return self._merged(keys)

    def _merged(self, keys: np.ndarray) -> Trials:
        """One row for all rows of a key: their mean, the rest as of the first; clips in their order."""
        _, first, group = np.unique(keys, return_index=True, return_inverse=True)
        rows = np.split(np.argsort(group, kind="stable"), np.cumsum(np.bincount(group))[:-1])
        order = np.lexsort((first, self.clip[first]))
        first = first[order]
        return replace(
            self,
            x=np.stack([self.x[rows[k]].mean(0) for k in order]),
            clip=self.clip[first],
            segment=self.segment[first],
            repeat=np.ones(len(first), dtype=np.int64),
            onset=self.onset[first],
            run=self.run[first],
            times=self.times[first],
        )

    def take(self, chosen: np.ndarray) -> Trials:
        """The trials `chosen` (bool, per row), clips renumbered."""
        clips, clip = np.unique(self.clip[chosen], return_inverse=True)
        return Trials(
            self.x[chosen],
            clip,
            self.segment[chosen],
            self.features.take(clips),
            self.repeat[chosen],
            self.onset[chosen],
            self.run[chosen],
            self.times[chosen],
            self.duration[clips],
            None if self.present is None else self.present[clips],
        )


def pooled(trials: list[Trials], used: list[np.ndarray]) -> Trials:
    """The trials of several subjects as one: what each of them saw is a clip of its own, and clips that
    several saw are each other's right answers (they share shots).

    used : for each subject bool (V,), the positions that it has and that are read; its other positions
        become zero.
    """
    offsets = np.cumsum([0, *(len(part.features.clips) for part in trials[:-1])])
    return Trials(
        x=np.concatenate(
            [np.where(own, part.x, 0) for part, own in zip(trials, used, strict=True)]
        ),
        clip=np.concatenate([part.clip + k for part, k in zip(trials, offsets, strict=True)]),
        segment=np.concatenate([part.segment for part in trials]),
        features=join([part.features for part in trials]),
        repeat=np.concatenate([part.repeat for part in trials]),
        onset=np.concatenate([part.onset for part in trials]),
        # a run of each subject is a run of its own
        run=np.concatenate(
            [np.array([f"{k}/{name}" for name in part.run]) for k, part in enumerate(trials)]
        ),
        times=np.concatenate([part.times for part in trials]),
        duration=np.concatenate([part.duration for part in trials]),
        present=np.concatenate(
            [
                np.broadcast_to(own, (len(part.features.clips), len(own)))
                for part, own in zip(trials, used, strict=True)
            ]
        ),
    )


def load_trials(
    windows: Path,
    series_dir: Path,
    clips: Path,
    folders: list[Path],
    split: str | tuple[str, ...],
    window: int | None = None,
) -> Trials:
    """Read every showing of the clips of a split, with the clips' features.

    window : volumes of a window in place of what the table says; each begins where the table says.
    """
    responses = load_responses(windows, series_dir, split, repeats="each", window=window)
    names = list(dict.fromkeys(responses.clips))
    number = {name: k for k, name in enumerate(names)}
    durations = tables.read(clips, "clips").set_index("clip")["duration"]
    return Trials(
        x=responses.x,
        clip=np.array([number[name] for name in responses.clips]),
        segment=np.array(responses.segments),
        features=load_features(clips, folders, names),
        repeat=responses.repeats,
        onset=responses.onsets,
        run=np.array(responses.runs),
        times=responses.times,
        duration=durations.loc[names].to_numpy(np.float64),
    )


def validation_clips(windows: Path) -> set[str]:
    """Names of the clips that a windows table gives to validation."""
    table = tables.read(windows, "windows")
    return set(table.loc[table["split"] == "validation", "clip"])


def training_and_validation(trials: Trials, validation: set[str]) -> tuple[Trials, Trials]:
    """Split by clips, since a run may show clips of both. Without any, the clips of the last segment serve.

    validation : names of the clips that are held out

    Raises UserError unless two segments are left for training: penalties are chosen across them.
    """
    folds = trials.folds
    names = list(dict.fromkeys(folds))
    held = np.isin(np.array(trials.features.clips)[trials.clip], list(validation))
    if not held.any():
        held = folds == names[-1]
    chosen = list(dict.fromkeys(folds[held]))
    # Where every run shows the same clips, these are one fold, which is split by clip (ridge.folds).
    if len(set(trials.segment[~held])) < 2:
        raise UserError(
            f"segments: training has {', '.join(names)} with {', '.join(chosen)} for validation; "
            "alignment needs two training segments next to the validation segment"
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


def coordinates(voxels: Path) -> np.ndarray:
    """Coordinates (V, 3) in mm of the positions of a voxel table; NaN where there is none."""
    return tables.read(voxels, "voxels")[["x", "y", "z"]].to_numpy(np.float64)
