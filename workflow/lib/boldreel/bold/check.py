"""Checks of the raw data before anything long starts.

Reads BOLD files of a BIDS data set (with their sidecars), what they showed, and the movies; writes a list
of what was found good, or one line that says what is wrong, where, and how to fix it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from boldreel import step
from boldreel.bold.content_hash import check_duplicates
from boldreel.bold.settings import BoldSettings
from boldreel.data import atomic, bids_inheritance, movie_files, nifti, presentations
from boldreel.data.presentations import SPEED_SLACK, Presentation
from boldreel.errors import UserError
from boldreel.settings import read

_TR_TOLERANCE = 1e-3  # s; headers hold TR as float32
# Film, television in Europe and in America, each as it is played: 24 pictures a second are shown as 25.
_FRAME_RATES = (24000 / 1001, 24.0, 25.0)
_SAME_SPEED = 5e-4


def check_run(
    bold_path: Path | str,
    min_volumes: int = BoldSettings.min_volumes,
    shown: Sequence[Presentation] = (),
    duration_of: Callable[[str], float] | None = None,
    values: bool = True,
    slice_timing: bool = BoldSettings.slice_timing,
) -> list[str]:
    """Check one raw run; returns doubts: a header that contradicts the sidecar, and those of `check_shown`.

    Parameters
    ----------
    min_volumes : fewer are refused
    shown : what was shown in the run
    duration_of : duration (s) of a movie by the name that presentations give it; None leaves movies unchecked
    values : look at voxels as well, for which a compressed image has to be read whole
    slice_timing : whether SliceTiming will be used, and has to be right

    Raises
    ------
    UserError : missing or truncated image, not four-dimensional, of unknown orientation, too few volumes, NaN
        or constant values, no RepetitionTime, impossible SliceTiming, presentations past its end, a movie
        that is missing or shorter than what is shown of it.
    """
    path = Path(bold_path)
    image = nifti.load(path)
    if len(image.shape) != 4:
        raise UserError(f"{path}: shape {image.shape}; a BOLD run has four dimensions")
    nifti.check_orientation(image)
    count = image.shape[3]
    if count < min_volumes:
        raise UserError(
            f"{path}: {count} volumes, at least {min_volumes} are needed; take the run away or "
            "lower bold.min_volumes"
        )
    sidecar = bids_inheritance.read_sidecar(path)
    t_r = repetition_time(path, sidecar)
    doubt = header_doubt(nifti.repetition_time(image), t_r)
    doubts = [doubt] if doubt else []
    if slice_timing:
        slice_times(path, sidecar, image.shape, t_r)
    if values:
        _check_values(path, image)
    try:
        doubts += check_shown(shown, count * t_r, t_r, duration_of)
    except UserError as error:
        raise UserError(f"{error} ({doubt})" if doubt else str(error)) from None
    return doubts


def repetition_time(path: Path, sidecar: dict[str, Any]) -> float:
    """RepetitionTime (s) of a sidecar; UserError if it is missing or impossible."""
    value = sidecar.get("RepetitionTime")
    if not isinstance(value, (int, float)) or not 0.1 <= value <= 30:
        raise UserError(
            f"{path}: its sidecar's RepetitionTime is {value}; give the time between volumes in s"
        )
    return float(value)


def slice_times(
    path: Path, sidecar: dict[str, Any], shape: tuple[int, ...], t_r: float
) -> tuple[np.ndarray, str] | None:
    """SliceTiming (s) and SliceEncodingDirection, None without; UserError if they cannot be."""
    times = sidecar.get("SliceTiming")
    if not times:
        return None
    if not isinstance(times, list) or not all(isinstance(time, int | float) for time in times):
        raise UserError(f"{path}: its sidecar's SliceTiming is no list of numbers; give seconds")
    direction = sidecar.get("SliceEncodingDirection", "k")
    if direction not in ("i", "j", "k", "i-", "j-", "k-"):
        raise UserError(
            f"{path}: its sidecar's SliceEncodingDirection is {direction}; give i, j, k, i-, j- or k-"
        )
    slices = shape["ijk".index(direction[0])]
    if len(times) != slices:
        raise UserError(
            f"{path}: SliceTiming has {len(times)} entries, the image {slices} slices along "
            f"{direction[0]}; correct the sidecar or SliceEncodingDirection"
        )
    latest = max(times)
    if min(times) < 0 or latest >= t_r + _TR_TOLERANCE:
        raise UserError(
            f"{path}: SliceTiming runs from {min(times):g} to {latest:g}, outside one repetition "
            f"of {t_r:g} s; give seconds"
        )
    return np.asarray(times, float), direction


def header_doubt(header: float | None, t_r: float) -> str:
    """A line if a header states another TR (s) than the sidecar, which BIDS gives precedence; "" if not."""
    if header is None or abs(header - t_r) <= _TR_TOLERANCE:
        return ""
    return f"the header says TR {header:g} s, its sidecar {t_r:g} s; the sidecar's is taken (BIDS)"


def _check_values(path: Path, image: Any) -> None:
    compressed = path.name.endswith(".gz")
    middle = image.shape[3] // 2
    if not compressed and image.get_data_dtype().kind in "iu":
        # Whole numbers cannot be NaN, and the size of the file was checked: one volume is enough.
        values = np.asarray(image.dataobj[..., middle])
    else:
        bad, first = 0, 0
        for start, slab in nifti.slabs(path):
            wrong = ~np.isfinite(slab)
            if not bad and wrong.any():
                first = start + int(np.flatnonzero(wrong.any((0, 1, 2)))[0])
            bad += int(wrong.sum())
            if start <= middle < start + slab.shape[3]:
                values = slab[..., middle - start].copy()
        if bad:
            raise UserError(
                f"{path}: {bad} values are NaN or infinite, the first in volume {first}; "
                "convert the run again"
            )
    if values.min() == values.max():
        raise UserError(
            f"{path}: volume {middle} is {values.flat[0]:g} everywhere; convert the run again"
        )


def check_shown(
    shown: Sequence[Presentation],
    length: float,
    t_r: float,
    duration_of: Callable[[str], float] | None,
) -> list[str]:
    """Check what was shown in a run of a length (s).

    Returns
    -------
    doubts : what looks as if a movie had been played at another speed than its file's

    Raises
    ------
    UserError : a presentation past the run's end, a movie that is missing or shorter than what is shown of
        it,
        rows of which nobody knows which part of a movie they show.
    """
    late = next((row for row in shown if row.end > length + 0.5 * t_r), None)
    if late:
        raise UserError(
            f"{late.origin} ends at {late.end:g} s, the run after {length:g} s; correct onset or "
            "duration, or "
            "check that the run is whole"
        )
    if duration_of is None:
        return []
    doubts = []
    unknown: dict[str, str] = {}
    for row in shown:
        name, lasts = row.stimulus, duration_of(row.stimulus)
        end = row.stimulus_end
        ratio = _played_at((lasts - row.stimulus_onset) / row.speed, row.duration)
        if end > lasts + 0.5 * t_r:
            slower = f"; if it was played slower: write speed {ratio:.4f}" if ratio else ""
            raise UserError(
                f"{row.origin} shows {name} until {end:g} s, the movie lasts {lasts:g} s; correct its "
                "onset or "
                f"duration, or fetch the whole movie{slower}"
            )
        if ratio:
            left = lasts - row.stimulus_onset
            drift = abs(left - row.duration)
            doubts.append(
                f"{name} is shown for {row.duration:g} s, but its rest lasts {left:g} s; was it played at "
                f"{ratio:.4f} of its speed? Then onsets drift by {drift:.1f} s: write this speed into a "
                "column speed of the events, or into presentations.rules"
            )
        if not row.part_known and end < 0.95 * lasts - 0.5 * t_r:
            if name in unknown:
                raise UserError(
                    f"{unknown[name]} and {row.origin.rsplit(': ', 1)[-1]} show parts of {name}, which lasts "
                    f"{lasts:g} s; write into stim_onset, or say in presentations.rules, where in the "
                    "movie each "
                    "begins (0 if at its beginning)"
                )
            unknown[name] = row.origin
    return doubts


def _played_at(film: float, shown: float) -> float | None:
    """The speed if these seconds of film took so long as if played at the rate of another standard."""
    ratio = film / shown if shown > 0 else 1.0
    speeds = (a / b for a in _FRAME_RATES for b in _FRAME_RATES if abs(a / b - 1) > SPEED_SLACK)
    return next((speed for speed in speeds if abs(ratio / speed - 1) < _SAME_SPEED), None)


def tell(doubts: Mapping[str, Path | str]) -> None:
    """A line on standard error for each doubt, with the first run that raises it."""
    for doubt, origin in doubts.items():
        print(f"warning: {origin}: {doubt}", file=sys.stderr)


def durations(stimuli: Path | str) -> Callable[[str], float]:
    """Gives the duration (s) of a movie by the name that presentations give it.

    stimuli : folder of the movies

    The function raises UserError for a missing or unreadable movie.
    """
    from boldreel.data import video

    @cache
    def duration_of(stimulus: str) -> float:
        return float(video.probe(Path(movie_files.file_of(stimuli, stimulus)))["duration"])

    return duration_of


def add_shown(parser: argparse.ArgumentParser) -> None:
    """The words that say what runs showed: --presentations, --stimuli."""
    parser.add_argument(
        "--presentations", type=Path, help="the subject's table of what runs showed"
    )
    parser.add_argument("--stimuli", type=Path, help="folder of the movies; default: not checked")


def rows_by_file(table: Path | None) -> dict[str, list[Presentation]]:
    """{label of a functional run: what it showed}, of whole runs and of stretches of one."""
    found: dict[str, list[Presentation]] = {}
    for run in presentations.read(table) if table else ():
        found.setdefault(run.file, []).extend(run.rows)
    return found


def main(argv: list[str] | None = None) -> None:
    """Check runs, and that no two of them are the same."""
    parser = step.parser(__doc__)
    parser.add_argument("--bold", type=Path, nargs="+", required=True, help="raw runs of a subject")
    parser.add_argument("--labels", nargs="+", required=True, help="theirs, task-NAME_run-N")
    parser.add_argument("--echoes", type=Path, nargs="*", default=[], help="further echoes of runs")
    add_shown(parser)
    parser.add_argument("--output", type=Path, help="JSON list of the runs that were found good")
    arguments = parser.parse_args(argv)
    settings = read(BoldSettings, arguments.config, "bold")
    duration_of = durations(arguments.stimuli) if arguments.stimuli else None
    shown = rows_by_file(arguments.presentations)
    doubts: dict[str, Path | str] = {}
    labels = dict(zip(map(str, arguments.bold), arguments.labels, strict=True))
    every = [*arguments.bold, *arguments.echoes]
    for path in every:
        found = check_run(
            path,
            settings.min_volumes,
            shown.get(labels.get(str(path), ""), []),
            duration_of,
            slice_timing=settings.slice_timing,
        )
        for doubt in found:
            doubts.setdefault(doubt, path)
    tell(doubts)
    check_duplicates(every)
    if arguments.output:
        names = [path.name for path in every]
        atomic.write_text(arguments.output, json.dumps(names, indent=1) + "\n")
    print(f"{len(every)} runs checked")


if __name__ == "__main__":
    step.run(main)
