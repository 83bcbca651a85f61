"""Preprocessed runs as fMRIPrep or the HCP pipelines leave them, taken as they lie.

Takes the root of a derivatives tree, a subject and a space; leaves a table with a row a run: where its
BOLD, mask and confounds are, space and resolution, and its timing. Nothing is copied. With raw data, the
runs are held against it: every raw run is there, with its number of volumes and its TR.
How a space is named: data.derivatives.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from boldreel import step
from boldreel.bold import check, content
from boldreel.data import bids, bold_runs, cifti, derivatives, nifti, provenance
from boldreel.data.bold_runs import Run
from boldreel.data.derivatives import Found
from boldreel.errors import UserError

_TR_TOLERANCE = 1e-3  # s


def find(
    root: Path | str, subject: str, space: str = derivatives.VOLUME, raw: Path | str | None = None
) -> list[Run]:
    """The runs of a subject in a derivatives tree, by segment and repeat, with their timing.

    Parameters
    ----------
    subject : label without "sub-"
    raw : raw BIDS data set to hold them against, None for none

    Raises
    ------
    UserError : as data.derivatives.find; a damaged file; a contradiction with the raw data.
    """
    runs = [measure(found) for found in derivatives.find(root, subject, space)]
    if raw is not None:
        compare_with_raw(runs, bids.find_runs(raw, subject))
    return runs


def measure(found: Found) -> Run:
    """A run's shape and timing from its header and sidecar, and what lies beside it."""
    path = found.path
    volumes, t_r, resolution = _header(path, found.surface)
    sidecar = _sidecar(path)
    told = sidecar.get("RepetitionTime")
    if isinstance(told, int | float):
        # 0 and 1 are what converters write that do not know the TR.
        if abs(t_r - told) > _TR_TOLERANCE and t_r not in (0.0, 1.0):
            raise UserError(
                f"{path}: the header says TR {t_r:g} s, its sidecar {told:g} s; find out which is "
                "right and mend the other"
            )
        t_r = float(told)
    if found.pipeline == derivatives.FMRIPREP:
        stem = path.name.split("_space-")[0]
        confounds = path.with_name(f"{stem}_desc-confounds_timeseries.tsv")
        mask = path.with_name(path.name.split("_desc-preproc")[0] + "_desc-brain_mask.nii.gz")
    else:
        confounds, mask = None, path.with_name("brainmask_fs.2.nii.gz")
    return Run(
        found.segment,
        found.repeat,
        str(path),
        str(confounds) if confounds and confounds.exists() else "",
        str(mask) if not found.surface and mask.exists() else "",
        found.space,
        resolution,
        "cifti" if found.surface else "volume",
        volumes,
        t_r,
        _start_time(sidecar, t_r),
        found.pipeline,
    )


def _start_time(sidecar: dict[str, Any], t_r: float) -> float:
    """BIDS' StartTime (s); before it was written, slice-time correction went to the middle of TR."""
    if "StartTime" in sidecar:
        return float(sidecar["StartTime"])
    return t_r / 2 if sidecar.get("SliceTimingCorrected") else 0.0


def _sidecar(path: Path) -> dict[str, Any]:
    name = path.name.removesuffix(".gz").removesuffix(".nii").removesuffix(".dtseries")
    own = path.with_name(f"{name}.json")
    return bids.read_sidecar(own) if own.exists() else {}


def _header(path: Path, surface: bool) -> tuple[int, float, float]:
    """(volumes, TR in s, resolution in mm or NaN)."""
    if surface:
        dense = cifti.load(path)
        return dense.volumes, dense.t_r, float("nan")
    image = nifti.load(path)
    if len(image.shape) != 4:
        raise UserError(f"{path}: shape {image.shape}; a BOLD run has four dimensions")
    zooms = [float(value) for value in image.header.get_zooms()]
    seconds = {"msec": 1e-3, "usec": 1e-6}.get(image.header.get_xyzt_units()[1], 1.0)
    return image.shape[3], zooms[3] * seconds, round(float(np.mean(zooms[:3])), 3)


def compare_with_raw(runs: Sequence[Run], raw: Iterable[bids.Run]) -> None:
    """UserError where preprocessed runs and raw runs contradict each other."""
    known = {(run.segment, run.repeat): run for run in runs}
    for source in raw:
        run = known.get((source.segment, source.repeat))
        if run is None:
            raise UserError(
                f"{source.path}: has no preprocessed run in the derivatives; preprocess it, or take "
                "the raw run away"
            )
        count = nifti.load(source.path).shape[3]
        if run.volumes != count:
            raise UserError(
                f"{run.bold}: {run.volumes} volumes, the raw run {source.path} has {count}; "
                "preprocess the whole run again"
            )
        told = bids.read_sidecar(source.path).get("RepetitionTime")
        if isinstance(told, int | float) and abs(told - run.t_r) > _TR_TOLERANCE:
            raise UserError(
                f"{run.bold}: TR {run.t_r:g} s, the raw run's sidecar says {told:g} s; find out "
                "which is right and mend the other"
            )


def check_shown(runs: Sequence[Run], events: Sequence[Path], movies: Sequence[Path]) -> None:
    """UserError where events and movies do not fit the runs; runs without events are passed over."""
    length = {(run.segment, run.repeat): run for run in runs}
    durations = check.movie_durations(movies)
    for label, path in zip(bids.count_repeats(events), events, strict=True):
        if label in length:
            run = length[label]
            check.check_events(path, run.volumes * run.t_r, run.t_r, durations)


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    started = time.time()
    parser = step.parser(__doc__)
    parser.add_argument("--derivatives", type=Path, required=True, help="fMRIPrep's or HCP's tree")
    parser.add_argument("--subject", required=True, help="label, without sub-")
    parser.add_argument("--raw", type=Path, help="raw BIDS data set to compare with")
    parser.add_argument("--events", type=Path, nargs="*", default=[], help="events of the runs")
    parser.add_argument("--movies", type=Path, nargs="*", default=[], help="all movies")
    parser.add_argument("--output", type=Path, required=True, help="table of the runs, .tsv")
    arguments = parser.parse_args(argv)
    space = arguments.config.get("space") or derivatives.VOLUME
    raw = arguments.raw
    if raw is not None and not bids.has_bold(raw, arguments.subject):
        raw = None
    runs = find(arguments.derivatives, arguments.subject, space, raw)
    check_shown(runs, arguments.events, arguments.movies)
    content.check_duplicates(run.bold for run in runs)
    bold_runs.write(arguments.output, runs)
    provenance.record(arguments.output, inputs=[], config=arguments.config, started=started)
    print(f"{arguments.subject}: {len(runs)} runs in {runs[0].space}, {runs[0].kind}")


if __name__ == "__main__":
    step.run(main)
