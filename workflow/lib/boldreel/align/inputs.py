"""The options of steps that fit a decoder to one subject: windows, series, voxels, clips and features."""

from __future__ import annotations

import argparse
from pathlib import Path


def ask(arguments: argparse.ArgumentParser) -> None:
    """Add the options, all required; `trial_files` gives them to `align.data.load_trials`."""
    arguments.add_argument("--windows", type=Path, required=True)
    arguments.add_argument("--series-dir", type=Path, required=True)
    arguments.add_argument("--voxels", type=Path, required=True)
    arguments.add_argument("--clips", type=Path, required=True)
    arguments.add_argument("--features", type=Path, nargs="+", required=True)


def trial_files(args: argparse.Namespace) -> tuple[Path, Path, Path, list[Path]]:
    """The first arguments of `align.data.load_trials`."""
    return args.windows, args.series_dir, args.clips, args.features
