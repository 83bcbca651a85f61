"""What the step of reconstruction is asked for, from its options.

Takes the parsed command line; returns one entry for each folder: the conditions of its clips, and what they
were made from.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from boldreel.data.responses import series_files
from boldreel.errors import UserError
from boldreel.reconstruct import conditions
from boldreel.reconstruct.settings import SEED, ReconstructSettings, control_of


@dataclass(frozen=True)
class Wanted:
    """One folder to leave: its clips' conditions, what they were made from, the first sample's number."""

    folder: Path
    known: dict[str, np.ndarray]
    inputs: list[Path]
    sample: int = 0


def control(
    name: str, folder: Path, args: argparse.Namespace, settings: ReconstructSettings
) -> Wanted:
    """What stands in for a subject's responses."""
    count = settings.control_clips
    brain = (args.encoder, args.windows, args.series_dir, settings.repeats)
    inputs = [args.encoder, args.windows, *series_files(args.windows, args.series_dir, "test")]
    if name == "mean":
        return Wanted(folder, conditions.from_mean(args.generator, args.windows, count), inputs)
    if name == "other":
        other = (args.other_windows, args.other_series)
        known = conditions.from_other(args.encoder, args.windows, settings.repeats, *other, count)
        inputs += [args.other_windows, *series_files(*other, "test")]
        return Wanted(folder, known, inputs)
    if name == "caption":
        captions = (args.clips, args.training_features)
        known = conditions.from_nearest_caption(*brain, *captions, count)
        return Wanted(folder, known, [*inputs, args.clips, *args.training_features])
    if name.startswith(SEED):
        own = conditions.from_brain(*brain)
        known = {clip: own[clip] for clip in conditions.some_test_clips(args.windows, count)}
        return Wanted(folder, known, inputs, int(name.removeprefix(SEED)))
    return Wanted(folder, conditions.from_noise(*brain, count, settings.seed), inputs)


def wanted(args: argparse.Namespace, settings: ReconstructSettings) -> Iterator[Wanted]:
    """What to leave; UserError, before anything is drawn, where the options do not go together."""
    brain = [args.encoder, args.windows, args.series_dir]
    if bool(args.output) == bool(args.controls):
        raise UserError("give either --output or --controls")
    if args.true_features and not any(brain) and args.output:
        known = conditions.from_captions(args.clips, args.true_features)
        return iter([Wanted(args.output, known, [args.clips, *args.true_features])])
    if args.true_features or not all(brain):
        raise UserError(
            "give either --true-features, or all of --encoder, --windows and --series-dir"
        )
    if args.output:
        known = conditions.from_brain(args.encoder, args.windows, args.series_dir, settings.repeats)
        inputs = [args.encoder, args.windows]
        inputs += series_files(args.windows, args.series_dir, "test")
        return iter([Wanted(args.output, known, inputs)])
    names = {folder: control_of(folder) for folder in args.controls}
    if "other" in names.values() and not (args.other_windows and args.other_series):
        raise UserError("control other: give --other-windows and --other-series as well")
    if "caption" in names.values() and not args.training_features:
        raise UserError("control caption: give --training-features as well")
    return (control(name, folder, args, settings) for folder, name in names.items())
