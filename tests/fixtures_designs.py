"""Small data sets of known responses: movies, events and preprocessed runs as fMRIPrep leaves them.

Each clip shows a scene of its own. A voxel's response is a fixed mixture of the scene's labels, with the
canonical haemodynamic response; one subject has noise alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from boldreel.bold import betas
from boldreel.data import nifti, tables, video
from boldreel.insilico import world
from boldreel.windows import response

SPACE = "space-MNI152NLin2009cAsym"
GRID = (4, 6, 8)  # voxels of 4 mm, half of them left of the midline
AFFINE = np.array([[4.0, 0, 0, -6], [0, 4, 0, -80], [0, 0, 4, 0], [0, 0, 0, 1]])
FRAME_RATE = 6.0
T_R, START_TIME = 2.0, 1.0
_LABELS = ("object", "colour", "background")

Rows = Sequence[tuple[float, str, int]]  # onset (s), movie, number of the clip in it


@dataclass
class DataSet:
    """A data set on disk.

    duration : of a clip, s. share : of a trial's variance that clips explain, by subject.
    """

    root: Path
    duration: float
    share: Mapping[str, float]
    scenes: dict[str, list[world.Scene]] = field(default_factory=dict)

    @property
    def bids(self) -> Path:
        return self.root / "bids"

    @property
    def tree(self) -> Path:
        return self.root / "fmriprep"

    def __post_init__(self) -> None:
        for folder, name in ((self.bids, "raw"), (self.tree, "fMRIPrep")):
            folder.mkdir(parents=True)
            about = {"Name": name, "BIDSVersion": "1.9.0"}
            if folder == self.tree:
                about["GeneratedBy"] = [{"Name": "fMRIPrep", "Version": "23.2.0"}]
            (folder / "dataset_description.json").write_text(json.dumps(about))
        (self.bids / "stimuli").mkdir()

    def movie(self, name: str, clips: int) -> None:
        """A movie of clips, each a shot of its own, and its annotations; all labels are balanced."""
        rng = np.random.default_rng([7, *name.encode()])
        decks = [
            rng.permutation(np.resize(np.arange(n), clips)) for n in (9, 6, len(world.BACKGROUNDS))
        ]
        scenes = [
            world.Scene(
                world.CLASSES[a % len(world.CLASSES)],
                world.COLOURS[b],
                world.BACKGROUNDS[c],
                world.MOTIONS[int(rng.integers(4))],
                world.SIZES[int(rng.integers(2))],
            )
            for a, b, c in zip(*decks, strict=True)
        ]
        self.scenes[name] = scenes
        frames = (
            frame
            for scene in scenes
            for frame in world.render_shot(
                scene, round(self.duration * FRAME_RATE), FRAME_RATE, rng
            )
        )
        path = self.bids / "stimuli" / f"{name}.mp4"
        video.write_mp4(path, frames, FRAME_RATE)
        rows = [
            {
                "onset": k * self.duration,
                "duration": self.duration,
                "shot": f"{name}-s{k:03d}",
                "caption": scene.caption,
                **{label: getattr(scene, label) for label in _LABELS},
            }
            for k, scene in enumerate(scenes)
        ]
        tables.write(path.with_suffix(".tsv"), pd.DataFrame(rows), "annotations")

    def run(self, subject: str, task: str, number: int, shown: Rows, seconds: float) -> None:
        """Events in the raw data and a preprocessed run of `seconds`."""
        stem = f"sub-{subject}_task-{task}_run-{number}"
        func, preprocessed = (root / f"sub-{subject}" / "func" for root in (self.bids, self.tree))
        for folder in (func, preprocessed):
            folder.mkdir(parents=True, exist_ok=True)
        events = "".join(
            f"{onset:g}\t{self.duration:g}\t{movie}.mp4\t{clip * self.duration:g}\n"
            for onset, movie, clip in shown
        )
        (func / f"{stem}_events.tsv").write_text(
            f"onset\tduration\tstim_file\tstim_onset\n{events}"
        )
        rng = np.random.default_rng([11, int(subject), number, *task.encode()])
        times = START_TIME + T_R * np.arange(round(seconds / T_R))
        signal = np.zeros((len(times), int(np.prod(GRID))))
        for onset, movie, clip in shown:
            curve = response.clip_response(times - onset, self.duration)
            signal += curve[:, None] * self.code(movie, clip)
        signal = (signal - signal.mean(axis=0)) / np.maximum(signal.std(axis=0), 1e-9)
        share = self.share[subject]
        noise = rng.standard_normal(signal.shape)
        values = 1000 + 20 * (np.sqrt(share) * signal + np.sqrt(1 - share) * noise)
        path = preprocessed / f"{stem}_{SPACE}_desc-preproc_bold.nii.gz"
        nifti.save(path, values.T.reshape(*GRID, -1).astype("f4"), AFFINE, t_r=T_R)
        about = {"RepetitionTime": T_R, "StartTime": START_TIME, "SliceTimingCorrected": True}
        path.with_name(path.name.replace(".nii.gz", ".json")).write_text(json.dumps(about))

    def code(self, movie: str, clip: int) -> np.ndarray:
        """What every voxel (n,) answers to a clip."""
        shape = len(self._vocabulary), int(np.prod(GRID))
        codes = np.random.default_rng(5).standard_normal(shape)
        return codes[self._labels(movie, clip)].sum(axis=0)

    @property
    def _vocabulary(self) -> list[str]:
        return [*world.CLASSES, *world.COLOURS, *world.BACKGROUNDS]

    def _labels(self, movie: str, clip: int) -> list[int]:
        scene = self.scenes[movie][clip]
        return [self._vocabulary.index(getattr(scene, label)) for label in _LABELS]


def short_clips(root: Path) -> DataSet:
    """Clips of 3 s in random order with jitter, as in BOLD Moments: training twice, test three times.

    Clips for validation alternate with those for training. Each subject has a test of its own.
    """
    made = DataSet(root, 3.0, {"01": 0.5, "02": 0.0})
    for name, clips in (("train", 48), ("val", 12), ("testa", 30), ("testb", 30)):
        made.movie(name, clips)
    rng = np.random.default_rng(1)
    for subject, test in (("01", "testa"), ("02", "testb")):
        fitted = [("train", k) for k in range(48)] + [("val", k) for k in range(12)]
        order = np.concatenate([rng.permutation(60) for _ in range(2)])
        for number, part in enumerate(np.split(order, 4), start=1):
            made.run(subject, "train", number, _jittered([fitted[k] for k in part], rng), 136)
        for number in range(1, 4):
            clips = [(test, int(k)) for k in rng.permutation(30)]
            made.run(subject, "test", number, _jittered(clips, rng), 136)
    return made


def _jittered(clips: Sequence[tuple[str, int]], rng: np.random.Generator) -> Rows:
    onsets = 4.0 * np.arange(len(clips)) + rng.uniform(0, 1, len(clips)).round(2)
    return [(float(at), *clip) for at, clip in zip(onsets, clips, strict=True)]


def film_in_parts(root: Path) -> DataSet:
    """One film in parts, each seen once, as in StudyForrest; 01 has a run too many and an aborted one."""
    made = DataSet(root, 2.0, {"01": 0.5, "02": 0.0})
    for part in range(1, 7):
        made.movie(f"seg{part}", 30)
    for subject in made.share:
        for part in range(1, 7):
            made.run(subject, "movie", part, [(2.0 * k, f"seg{part}", k) for k in range(30)], 68)
    made.run("01", "movie", 7, [(2.0 * k, "seg1", k) for k in range(30)], 68)
    made.run("01", "aborted", 1, [], 10)
    return made


@dataclass
class Betas(DataSet):
    """Single trials in place of series: one file of betas for each subject, laid out in runs."""

    @property
    def tree(self) -> Path:
        return self.root / "derivatives"


def single_trials(root: Path) -> Betas:
    """Clips of 3 s, trained on twice and tested three times; 02 has noise alone."""
    made = Betas(root, 3.0, {"01": 0.5, "02": 0.0})
    for name, clips in (("train", 48), ("val", 12), ("test", 30)):
        made.movie(name, clips)
    nifti.save(root / "grid.nii.gz", np.zeros(GRID, np.float32), AFFINE)
    rows = ["subject\ttask\trun\tstimulus\tstimulus_onset\tbetas\tvolume"]
    for subject, share in made.share.items():
        rng = np.random.default_rng([13, int(subject)])
        fitted = [("train", k) for k in range(48)] + [("val", k) for k in range(12)]
        twice = np.concatenate([rng.permutation(60) for _ in range(2)])
        runs = [("train", [fitted[k] for k in part]) for part in np.split(twice, 4)]
        runs += [("test", [("test", int(k)) for k in rng.permutation(30)]) for _ in range(3)]
        numbers, trials = {"train": 0, "test": 0}, []
        for task, shown in runs:
            numbers[task] += 1
            for movie, clip in shown:
                cells = (subject, task, numbers[task], f"{movie}.mp4", 3 * clip)
                rows.append("\t".join(map(str, (*cells, f"{subject}.npy", len(trials)))))
                noise = rng.standard_normal(int(np.prod(GRID)))
                code = made.code(movie, clip) / np.sqrt(len(_LABELS))
                trials.append(np.sqrt(share) * code + np.sqrt(1 - share) * noise)
        np.save(root / f"{subject}.npy", np.stack(trials, axis=-1).reshape(*GRID, -1))
    table = root / "trials.tsv"
    table.write_text("\n".join(rows) + "\n")
    betas.lay_out(table, root, SPACE.removeprefix("space-"), 3.0, root / "grid.nii.gz")
    return made
