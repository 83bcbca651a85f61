"""Preprocessed runs as fMRIPrep or the HCP pipelines leave them, taken as they lie.

Takes the root of a derivatives tree, a subject and a space; leaves a table with a row a run: where its
BOLD, mask and confounds are, space and resolution, and its timing. Nothing is copied. With raw data, the
runs are held against it: every raw run is there, with its number of volumes and its TR.
How a space is named: data.derivatives.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from boldreel import step
from boldreel.bold import check, content
from boldreel.data import bids, bold_runs, cifti, confounds, derivatives, nifti, provenance
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
    found = derivatives.find(root, subject, space)
    runs = [measure(each) for each in found]
    if raw is not None:
        known = {each.key: run for each, run in zip(found, runs, strict=True)}
        compare_with_raw(known, bids.find_runs(raw, subject))
    return runs


def measure(found: Found) -> Run:
    """A run's shape and timing from its header and sidecar, and what lies beside it."""
    path = found.path
    volumes, header, resolution = _header(path, found.surface)
    sidecar = _sidecar(path)
    told = sidecar.get("RepetitionTime")
    t_r = header if told is None else float(told)
    if t_r is None:
        raise UserError(f"{path}: neither header nor sidecar knows its TR; write its JSON sidecar")
    if told is not None and header is not None and abs(header - told) > _TR_TOLERANCE:
        raise UserError(
            f"{path}: the header says TR {header:g} s, its sidecar {told:g} s; find out which is "
            "right and mend the other"
        )
    if found.pipeline == derivatives.FMRIPREP:
        table = confounds.beside(path)
        mask = path.with_name(path.name.split("_desc-preproc")[0] + "_desc-brain_mask.nii.gz")
    else:
        table, mask = None, path.with_name("brainmask_fs.2.nii.gz")
    return Run(
        found.segment,
        found.repeat,
        str(path),
        str(table) if table else "",
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


def _header(path: Path, surface: bool) -> tuple[int, float | None, float]:
    """(volumes, TR in s or None, resolution in mm or NaN)."""
    if surface:
        about = cifti.outline(path)
        return about.volumes, about.t_r, float("nan")
    image = nifti.load(path)
    if len(image.shape) != 4:
        raise UserError(f"{path}: shape {image.shape}; a BOLD run has four dimensions")
    resolution = round(float(np.mean(image.header.get_zooms()[:3])), 3)
    return image.shape[3], nifti.repetition_time(image), resolution


def compare_with_raw(runs: Mapping[tuple[str, str, int], Run], raw: Iterable[bids.Run]) -> None:
    """UserError where preprocessed runs (by bids.run_key) and raw runs contradict each other."""
    sources = {bids.run_key(source.path): source for source in raw}
    for key, run in runs.items():
        if key not in sources:
            raise UserError(
                f"{run.bold}: the raw data set has no such run; take it away, or add the raw run"
            )
    for key, source in sources.items():
        if key not in runs:
            raise UserError(
                f"{source.path}: has no preprocessed run in the derivatives; preprocess it, or take "
                "the raw run away"
            )
        run = runs[key]
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


def check_shown(
    found: Sequence[Found], runs: Sequence[Run], events: Iterable[Path], movies: Sequence[Path]
) -> None:
    """UserError where events and movies do not fit the runs; runs without events are passed over."""
    by_key = {each.key: run for each, run in zip(found, runs, strict=True)}
    durations = check.movie_durations(movies)
    for path in events:
        run = by_key.get(bids.run_key(path))
        if run is not None:
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
    found = derivatives.find(arguments.derivatives, arguments.subject, space)
    check_shown(found, runs, arguments.events, arguments.movies)
    content.check_duplicates(run.bold for run in runs)
    bold_runs.write(arguments.output, runs)
    # The BOLD itself is hashed where it is read: in the provenance of each run's series.
    provenance.record(
        arguments.output, inputs=arguments.events, config=arguments.config, started=started
    )
    print(f"{arguments.subject}: {len(runs)} runs in {runs[0].space}, {runs[0].kind}")


if __name__ == "__main__":
    step.run(main)
