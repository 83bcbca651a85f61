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


def _control(
    name: str, folder: Path, args: argparse.Namespace, settings: ReconstructSettings
) -> SamplingJob:
    """The job of a control: what replaces a subject's responses, or another seed."""
    count = settings.control_clips
    brain = (args.encoder, args.windows, args.series_dir, settings.repeats)
    inputs = [args.encoder, args.windows, *series_files(args.windows, args.series_dir, "test")]
    if name == "mean":
        return SamplingJob(folder, from_mean(args.generator, args.windows, count), inputs)
    if name == "other":
        other = (args.other_windows, args.other_series)
        known = from_other(args.encoder, args.windows, settings.repeats, *other, count)
        inputs += [args.other_windows, *series_files(*other, "test")]
        return SamplingJob(folder, known, inputs)
    if name == "caption":
        captions = (args.clips, args.training_features)
        known = from_nearest_caption(*brain, *captions, count)
        return SamplingJob(folder, known, [*inputs, args.clips, *args.training_features])
    if name.startswith(SEED):
        own = from_brain(*brain)
        known = {clip: own[clip] for clip in some_test_clips(args.windows, count)}
        return SamplingJob(folder, known, inputs, int(name.removeprefix(SEED)))
    return SamplingJob(folder, from_noise(*brain, count, settings.seed), inputs)


def plan_jobs(args: argparse.Namespace, settings: ReconstructSettings) -> Iterator[SamplingJob]:
    """One job for each folder that the step's options name.

    Raises
    ------
    UserError : the options do not go together; before anything is drawn.
    """
    brain = [args.encoder, args.windows, args.series_dir]
    if bool(args.output) == bool(args.controls):
        raise UserError("give either --output or --controls")
    if args.true_features and not any(brain) and args.output:
        known = from_captions(args.clips, args.true_features)
        return iter([SamplingJob(args.output, known, [args.clips, *args.true_features])])
    if args.true_features or not all(brain):
        raise UserError(
            "give either --true-features, or all of --encoder, --windows and --series-dir"
        )
    if args.output:
        known = from_brain(args.encoder, args.windows, args.series_dir, settings.repeats)
        inputs = [args.encoder, args.windows]
        inputs += series_files(args.windows, args.series_dir, "test")
        return iter([SamplingJob(args.output, known, inputs)])
    names = {folder: control_of(folder) for folder in args.controls}
    if "other" in names.values() and not (args.other_windows and args.other_series):
        raise UserError("control other: give --other-windows and --other-series as well")
    if "caption" in names.values() and not args.training_features:
        raise UserError("control caption: give --training-features as well")
    return (_control(name, folder, args, settings) for folder, name in names.items())


def from_captions(clips_table: Path, features: Sequence[Path]) -> dict[str, np.ndarray]:
    """True text conditions (length, width) of the clips of the movies whose features are given."""
    from boldreel.generator.clip_latents import load_conditions

    return load_conditions(clips_table, features)


def from_mean(generator: Path, windows: Path, count: int) -> dict[str, np.ndarray]:
    """The condition of the mean training response, which co-training keeps, for some test clips."""
    from boldreel.generator.saving import load_negative

    return dict.fromkeys(some_test_clips(windows, count), load_negative(generator))


def from_noise(
    encoder_folder: Path, windows: Path, series: Path, repeats: str | int, count: int, seed: int
) -> dict[str, np.ndarray]:
    """Conditions (length, width) that the encoder makes of noise, for some test clips."""
    clips, x = control_responses.noise(windows, series, count, seed, repeats)
    return dict(zip(clips, _encode(encoder_folder, x), strict=True))


def from_other(
    encoder_folder: Path,
    windows: Path,
    repeats: str | int,
    other_windows: Path,
    other_series: Path,
    count: int,
) -> dict[str, np.ndarray]:
    """Conditions that a subject's encoder makes of another subject's responses, for some test clips."""
    clips, x = control_responses.other(windows, other_windows, other_series, count, repeats)
    return dict(zip(clips, _encode(encoder_folder, x), strict=True))


def from_nearest_caption(
    encoder_folder: Path,
    windows: Path,
    series: Path,
    repeats: str | int,
    clips_table: Path,
    features: Sequence[Path],
    count: int,
) -> dict[str, np.ndarray]:
    """The true condition of the training caption that is nearest to what is predicted, for some test clips.

    What a generator makes of a caption alone: a reconstruction that is no better has read no more from the
    brain than which caption to look up. features : folders of the training movies.
    """
    import torch

    from boldreel.data import tables
    from boldreel.data.features import load_features
    from boldreel.models.encoder import SpatioTemporalEncoder

    table = tables.read(windows, "windows")
    shown = list(dict.fromkeys(table.loc[table["split"] != "test", "clip"]))
    training = load_features(clips_table, features, shown)
    responses = load_responses(windows, series, "test", repeats)
    row = {clip: k for k, clip in enumerate(responses.clips)}
    clips = some_test_clips(windows, count)
    encoder = SpatioTemporalEncoder.from_pretrained(encoder_folder).eval()
    with torch.inference_mode():
        x = torch.from_numpy(responses.x[[row[clip] for clip in clips]])
        guess = torch.cat([encoder(part).text for part in x.split(16)])
        centred = encoder.calibration.centred_text
        likeness = centred(guess) @ centred(torch.from_numpy(training.text)).T
    return {
        clip: training.condition[best].astype(np.float32)
        for clip, best in zip(clips, likeness.argmax(1).tolist(), strict=True)
    }


def from_brain(
    encoder_folder: Path, windows: Path, series: Path, repeats: str | int
) -> dict[str, np.ndarray]:
    """Conditions (length, width) that the encoder makes of the windows of the test split.

    All are encoded on the CPU, whatever the shard, so that no condition depends on it.
    """
    responses = load_responses(windows, series, "test", repeats)
    return dict(zip(responses.clips, _encode(encoder_folder, responses.x), strict=True))


def _encode(encoder_folder: Path, x: np.ndarray, batch: int = 16) -> list[np.ndarray]:
    """Conditions of windows (n, w, V)."""
    import torch

    from boldreel.models.encoder import SpatioTemporalEncoder

    encoder = SpatioTemporalEncoder.from_pretrained(encoder_folder).eval()
    with torch.inference_mode():
        parts = [encoder(part).condition.float() for part in torch.from_numpy(x).split(batch)]
    return list(torch.cat(parts).numpy())
