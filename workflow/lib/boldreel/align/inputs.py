"""The options of steps that fit a decoder to one subject: windows, series, voxels, clips and features."""

from __future__ import annotations

import argparse
from pathlib import Path

from boldreel.data.responses import series_files


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


def read_files(args: argparse.Namespace, splits: str | tuple[str, ...]) -> list[Path]:
    """All that a fit on trials of these splits depends on, for provenance."""
    series = series_files(args.windows, args.series_dir, splits)
    return [args.windows, args.clips, args.voxels, *series, *args.features]
