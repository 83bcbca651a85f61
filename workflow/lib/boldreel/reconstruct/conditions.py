"""What to sample: the condition of each test clip, from a subject's responses, captions or a control.

Takes the step's options, or an encoder with windows and series, or feature folders; returns one job for each
folder to write, and conditions by clip.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from boldreel.data.responses import load_responses, series_files
from boldreel.errors import UserError
from boldreel.reconstruct import control_responses
from boldreel.reconstruct.control_responses import some_test_clips
from boldreel.reconstruct.readers import Reader, reader
from boldreel.reconstruct.settings import SEED, ReconstructSettings, control_of


@dataclass(frozen=True)
class SamplingJob:
    """One folder to write.

    conditions : (length, width) of each clip. inputs : what they were made from.
    sample : number of the first sample of each clip.
    """

    folder: Path
    conditions: dict[str, np.ndarray]
    inputs: list[Path]
    sample: int = 0


@dataclass(frozen=True)
class Brain:
    """A subject: folder of the encoder, windows and series; `repeats` of a clip that are averaged."""

    encoder: Path
    windows: Path
    series: Path
    repeats: str | int


def _control(
    name: str, folder: Path, args: argparse.Namespace, settings: ReconstructSettings, made: Reader
) -> SamplingJob:
    """The job of a control: what replaces a subject's responses, or another seed."""
    count = settings.control_clips
    brain = Brain(args.encoder, args.windows, args.series_dir, settings.repeats)
    inputs = [args.encoder, args.windows, *series_files(args.windows, args.series_dir, "test")]
    if name == "mean":
        return SamplingJob(folder, from_mean(made, args.windows, count), inputs)
    if name == "other":
        other = (args.other_windows, args.other_series)
        known = from_other(made, brain, *other, count)
        inputs += [args.other_windows, *series_files(*other, "test")]
        return SamplingJob(folder, known, inputs)
    if name == "caption":
        captions = (args.clips, args.training_features)
        known = from_nearest_caption(made, brain, *captions, count)
        return SamplingJob(folder, known, [*inputs, args.clips, *args.training_features])
    if name.startswith(SEED):
        own = from_brain(made, brain)
        known = {clip: own[clip] for clip in some_test_clips(args.windows, count)}
        return SamplingJob(folder, known, inputs, int(name.removeprefix(SEED)))
    return SamplingJob(folder, from_noise(made, brain, count, settings.seed), inputs)


def plan_jobs(args: argparse.Namespace, settings: ReconstructSettings) -> Iterator[SamplingJob]:
    """One job for each folder that the step's options name.

    Raises
    ------
    UserError : the options do not go together; before anything is drawn.
    """
    brain = [args.encoder, args.windows, args.series_dir]
    made = reader(args.generator)
    if bool(args.output) == bool(args.controls):
        raise UserError("give either --output or --controls")
    if args.true_features and not any(brain) and args.output:
        known = made.of_movies(args.clips, args.true_features)
        return iter([SamplingJob(args.output, known, [args.clips, *args.true_features])])
    if args.true_features or not all(brain):
        raise UserError(
            "give either --true-features, or all of --encoder, --windows and --series-dir"
        )
    if args.output:
        known = from_brain(made, Brain(*brain, settings.repeats))
        inputs = [args.encoder, args.windows]
        inputs += series_files(args.windows, args.series_dir, "test")
        return iter([SamplingJob(args.output, known, inputs)])
    names = {folder: control_of(folder) for folder in args.controls}
    if "other" in names.values() and not (args.other_windows and args.other_series):
        raise UserError("control other: give --other-windows and --other-series as well")
    if "caption" in names.values() and not args.training_features:
        raise UserError("control caption: give --training-features as well")
    return (_control(name, folder, args, settings, made) for folder, name in names.items())


def from_mean(made: Reader, windows: Path, count: int) -> dict[str, np.ndarray]:
    """The condition of the mean training response, for some test clips."""
    return dict.fromkeys(some_test_clips(windows, count), made.of_nothing())


def from_noise(made: Reader, brain: Brain, count: int, seed: int) -> dict[str, np.ndarray]:
    """Conditions that the encoder makes of noise, for some test clips."""
    clips, x = control_responses.noise(brain.windows, brain.series, count, seed, brain.repeats)
    return _read(made, brain, clips, x, showings(brain.windows, clips, brain.repeats))


def from_other(
    made: Reader, brain: Brain, other_windows: Path, other_series: Path, count: int
) -> dict[str, np.ndarray]:
    """Conditions that a subject's encoder makes of another subject's responses, for some test clips."""
    clips, x = control_responses.other(
        brain.windows, other_windows, other_series, count, brain.repeats
    )
    return _read(made, brain, clips, x, showings(other_windows, clips, brain.repeats))


def from_nearest_caption(
    made: Reader, brain: Brain, clips_table: Path, features: Sequence[Path], count: int
) -> dict[str, np.ndarray]:
    """The true condition of the training caption that is nearest to what is predicted, for some test clips.

    What a generator makes of a caption alone: a reconstruction that is no better has read no more from the
    brain than which caption to look up. features : folders of the training movies.
    """
    import torch

    from boldreel.data import tables
    from boldreel.data.features import load_features
    from boldreel.models.encoder import SpatioTemporalEncoder

    table = tables.read(brain.windows, "windows")
    shown = list(dict.fromkeys(table.loc[table["split"] != "test", "clip"]))
    training = load_features(clips_table, features, shown)
    responses = load_responses(brain.windows, brain.series, "test", brain.repeats)
    row = {clip: k for k, clip in enumerate(responses.clips)}
    clips = some_test_clips(brain.windows, count)
    encoder = SpatioTemporalEncoder.from_pretrained(brain.encoder).eval()
    with torch.inference_mode():
        x = torch.from_numpy(responses.x[[row[clip] for clip in clips]])
        guess = torch.cat([encoder(part).text for part in x.split(16)])
        centred = encoder.calibration.centred_text
        likeness = centred(guess) @ centred(torch.from_numpy(training.text)).T
    nearest = training.take(likeness.argmax(1).numpy())
    return dict(zip(clips, made.of_features(nearest), strict=True))


def from_brain(made: Reader, brain: Brain) -> dict[str, np.ndarray]:
    """Conditions that the encoder makes of the windows of the test split."""
    responses = load_responses(brain.windows, brain.series, "test", brain.repeats)
    return _read(made, brain, responses.clips, responses.x, responses.repeats)


def showings(windows: Path, clips: Sequence[str], repeats: str | int) -> np.ndarray:
    """How many showings of each test clip a mean over repeats holds, int (n,)."""
    if repeats != "average":
        return np.full(len(clips), int(repeats))
    from boldreel.data import tables

    table = tables.read(windows, "windows")
    counts = table.loc[table["split"] == "test", "clip"].value_counts()
    return counts.loc[list(clips)].to_numpy()


def _read(
    made: Reader, brain: Brain, clips: Sequence[str], x: np.ndarray, count: np.ndarray
) -> dict[str, np.ndarray]:
    return dict(zip(clips, made.of_responses(brain.encoder, x, count), strict=True))
