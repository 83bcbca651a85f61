"""What to sample: the condition of each test clip, from a subject's responses, captions or a control.

Takes the step's options, or the folder that `boldreel.reconstruct.encode` left, or feature folders; returns
one job for each folder to write, and conditions by clip.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from boldreel.data import arrays
from boldreel.data.responses import series_files
from boldreel.errors import UserError
from boldreel.reconstruct import control_responses
from boldreel.reconstruct.control_responses import some_test_clips
from boldreel.reconstruct.readers import Reader, reader
from boldreel.reconstruct.settings import SEED, ReconstructSettings, control_of


@dataclass(frozen=True)
class SamplingJob:
    """One folder to write.

    conditions : of each clip, as the generator takes them (`readers`). inputs : what they were made from.
    sample : number of the first sample of each clip.
    """

    folder: Path
    conditions: dict[str, np.ndarray]
    inputs: list[Path]
    sample: int = 0


def _control(
    name: str, folder: Path, args: argparse.Namespace, settings: ReconstructSettings, made: Reader
) -> SamplingJob:
    """The job of a control: what replaces a subject's responses, or another seed."""
    count = settings.control_clips
    inputs = [args.conditions, args.windows]
    if name == "mean":
        return SamplingJob(folder, from_mean(args.conditions, args.windows, count), inputs)
    if name == "other":
        other = (args.other_windows, args.other_series)
        known = from_other(made, args.encoder, args.windows, settings.repeats, *other, count)
        inputs = [args.encoder, args.windows, args.other_windows, *series_files(*other, "test")]
        return SamplingJob(folder, known, inputs)
    if name == "caption":
        more = [args.clips, *args.training_features]
        captions = (args.clips, args.training_features, count)
        known = from_nearest_caption(made, args.conditions, args.windows, *captions)
        return SamplingJob(folder, known, [*inputs, *more])
    if name.startswith(SEED):
        own = from_brain(args.conditions)
        known = {clip: own[clip] for clip in some_test_clips(args.windows, count)}
        return SamplingJob(folder, known, inputs, int(name.removeprefix(SEED)))
    return SamplingJob(folder, from_noise(args.conditions, args.windows, count), inputs)


def plan_jobs(args: argparse.Namespace, settings: ReconstructSettings) -> Iterator[SamplingJob]:
    """One job for each folder that the step's options name.

    Raises
    ------
    UserError : the options do not go together; before anything is drawn.
    """
    brain = [args.conditions, args.windows]
    made = reader(args.generator)
    if bool(args.output) == bool(args.controls):
        raise UserError("give either --output or --controls")
    if args.true_features and not any(brain) and args.output:
        known = made.of_movies(args.clips, args.true_features)
        return iter([SamplingJob(args.output, known, [args.clips, *args.true_features])])
    if args.true_features or not all(brain):
        raise UserError("give either --true-features, or both --conditions and --windows")
    if args.output:
        return iter([SamplingJob(args.output, from_brain(args.conditions), brain)])
    names = {folder: control_of(folder) for folder in args.controls}
    other = (args.encoder, args.other_windows, args.other_series)
    if "other" in names.values() and not all(other):
        raise UserError("control other: give --encoder, --other-windows and --other-series as well")
    if "caption" in names.values() and not args.training_features:
        raise UserError("control caption: give --training-features as well")
    return (_control(name, folder, args, settings, made) for folder, name in names.items())


def from_mean(conditions: Path, windows: Path, count: int) -> dict[str, np.ndarray]:
    """The condition of the mean training response, for some test clips."""
    mean, _ = arrays.load(conditions / "mean.npy", kind="condition", mmap=False)
    return dict.fromkeys(some_test_clips(windows, count), mean[0])


def from_brain(conditions: Path) -> dict[str, np.ndarray]:
    """Conditions that the encoder made of the windows of the test split."""
    return _stored(conditions, "brain")


def from_noise(conditions: Path, windows: Path, count: int) -> dict[str, np.ndarray]:
    """Conditions that the encoder made of noise, for some test clips."""
    known = _stored(conditions, "noise")
    return {clip: known[clip] for clip in some_test_clips(windows, count)}


def from_other(
    made: Reader,
    encoder: Path,
    windows: Path,
    repeats: str | int,
    other_windows: Path,
    other_series: Path,
    count: int,
) -> dict[str, np.ndarray]:
    """Conditions that a subject's encoder makes of another subject's responses, for some test clips.

    On the device that was leased: they are few, and a folder of their own would be derived from two subjects.
    """
    import torch

    clips, x = control_responses.other(windows, other_windows, other_series, count, repeats)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    found = made.read(encoder, x, showings(other_windows, clips, repeats), device)
    return dict(zip(clips, found.conditions, strict=True))


def showings(windows: Path, clips: Sequence[str], repeats: str | int) -> np.ndarray:
    """How many showings of each test clip a mean over repeats holds, int (n,)."""
    if repeats != "average":
        return np.full(len(clips), int(repeats))
    from boldreel.data import tables

    table = tables.read(windows, "windows")
    counts = table.loc[table["split"] == "test", "clip"].value_counts()
    return counts.loc[list(clips)].to_numpy()


def from_nearest_caption(
    made: Reader,
    conditions: Path,
    windows: Path,
    clips_table: Path,
    features: Sequence[Path],
    count: int,
) -> dict[str, np.ndarray]:
    """The true condition of the training caption that is nearest to what is predicted, for some test clips.

    What a generator makes of a caption alone: a reconstruction that is no better has read no more from the
    brain than which caption to look up. features : folders of the training movies.
    """
    from boldreel.data import tables
    from boldreel.data.features import load_features

    table = tables.read(windows, "windows")
    shown = list(dict.fromkeys(table.loc[table["split"] != "test", "clip"]))
    training = load_features(clips_table, features, shown)
    clips = some_test_clips(windows, count)
    known, meta = arrays.load(conditions / "text.npy", kind="prediction")
    guess = known[[meta["clips"].index(clip) for clip in clips]]
    mean, _ = arrays.load(conditions / "text_mean.npy", kind="prediction")
    directions = training.text - mean
    directions /= np.maximum(np.linalg.norm(directions, axis=1, keepdims=True), 1e-12)
    nearest = training.take((guess @ directions.T).argmax(1))
    return dict(zip(clips, made.of_features(nearest), strict=True))


def _stored(conditions: Path, source: str) -> dict[str, np.ndarray]:
    """Conditions by clip, as `boldreel.reconstruct.encode` left them."""
    values, meta = arrays.load(conditions / f"{source}.npy", kind="condition")
    return dict(zip(meta["clips"], values, strict=True))
