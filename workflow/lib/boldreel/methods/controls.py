"""What a method makes of something else than a subject's responses.

Takes what a method's step turns responses into clips with; writes a folder `control-NAME` for each control,
as the method's own reconstruction is.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from boldreel.data import reconstruction_writer
from boldreel.data.responses import load_responses, series_files
from boldreel.errors import UserError
from boldreel.reconstruct import control_responses
from boldreel.reconstruct.settings import FOLDER, control_of

Draw = Callable[[np.ndarray, Sequence[str]], dict[str, Any]]


def add_arguments(arguments: argparse.ArgumentParser) -> None:
    """The options of a step that reconstructs: whose responses, the folder to leave, and controls."""
    arguments.add_argument("--windows", type=Path, required=True)
    arguments.add_argument("--series-dir", type=Path, required=True)
    arguments.add_argument("--output", type=Path, required=True)
    arguments.add_argument(
        "--controls",
        type=Path,
        nargs="*",
        default=[],
        help=f"folders to leave, {FOLDER}NAME with a name of {', '.join(control_responses.NAMES)}",
    )
    arguments.add_argument("--control-clips", type=int, default=100, help="test clips of a control")
    arguments.add_argument("--other-windows", type=Path, help="windows of another subject")
    arguments.add_argument("--other-series", type=Path, help="series of another subject")


def write_all(args: argparse.Namespace, draw: Draw, seed: int, **about: Any) -> None:
    """The reconstruction of all test clips, and each control's of some.

    Parameters
    ----------
    draw : (responses (n, window, positions), names of clips) -> what `reconstruction_writer.write` takes
        next to the clips: frames uint8 (n, F, height, width, 3), frame_rate, and extra_tables.
    about : config and started, for provenance.

    Raises
    ------
    UserError : before anything is drawn, for a control of unknown name or without another subject.
    """
    names = {folder: control_of(folder, control_responses.NAMES) for folder in args.controls}
    if "other" in names.values() and not (args.other_windows and args.other_series):
        raise UserError(
            "control other: no other subject; give --other-windows and --other-series, or leave it out"
        )
    test = series_files(args.windows, args.series_dir, "test")
    fitted = series_files(args.windows, args.series_dir, control_responses.FITTED)
    responses = load_responses(args.windows, args.series_dir, "test")
    own = [args.model, args.windows]
    for folder, name in names.items():
        count = args.control_clips
        if name == "mean":
            clips, x = control_responses.mean(args.windows, args.series_dir, count)
            inputs = [*own, *fitted]
        elif name == "noise":
            clips, x = control_responses.noise(args.windows, args.series_dir, count, seed)
            inputs = own
        else:
            other = args.other_windows, args.other_series
            clips, x = control_responses.other(args.windows, *other, count)
            inputs = [*own, args.other_windows, *series_files(*other, "test")]
        reconstruction_writer.write(
            folder, clips, **draw(x, clips), inputs=inputs, seed=seed, **about
        )
    drawn = draw(responses.x, responses.clips)
    reconstruction_writer.write(
        args.output, responses.clips, **drawn, inputs=[*own, *test], seed=seed, **about
    )
