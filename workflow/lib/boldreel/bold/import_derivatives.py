"""Runs preprocessed by fMRIPrep, XCP-D or the HCP pipelines, read in place.

Reads the root of a derivatives tree, a subject, a space and the runs to use; writes a table with one row per
run: paths of BOLD, mask and confounds, space and resolution, and timing. Nothing is copied. With raw data,
the runs that show a movie are compared with it: each raw run must be there, with its number of volumes and
its TR. Names of spaces: see data.derivatives.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from boldreel import step
from boldreel.bold import check, content_hash, start_times
from boldreel.bold.start_times import Start
from boldreel.data import (
    bids,
    bids_inheritance,
    bids_names,
    cifti,
    derivatives,
    files,
    nifti,
    preprocessed_runs,
    provenance,
)
from boldreel.data.bids_names import Key
from boldreel.data.derivatives import Found
from boldreel.data.preprocessed_runs import Run
from boldreel.data.presentations import Presentation
from boldreel.errors import UserError

_TR_TOLERANCE = 1e-3  # s
Label = tuple[str, int]  # (segment, repeat)


def find(
    root: Path | str,
    subject: str,
    space: str = derivatives.VOLUME,
    raw: Path | str | None = None,
    wanted: Mapping[Key, Label] | None = None,
    shown: Collection[Label] | None = None,
    start_time: float | None = None,
    desc: str = derivatives.PREPROC,
    betas: bool = False,
) -> list[Run]:
    """The runs of a subject in a derivatives tree, with their timing.

    Parameters
    ----------
    subject : label without "sub-"
    raw : raw BIDS data set to hold them against, None for none
    wanted : which runs (bids_names.run_key), and the (segment, repeat) that each of them is; None for all
    shown : (segment, repeat) of those that show something, and are held against raw data; None for all
    start_time : s, of runs whose sidecars do not say it (start_times.find)
    desc : which series (data.derivatives.find)
    betas : whether volumes are single trials (bold.betas)

    Raises
    ------
    UserError : as data.derivatives.find; a run that is wanted is not there, or cannot be told from another;
        a damaged file; a contradiction with the raw data; an unknown start time.
    """
    every = derivatives.find(root, subject, space, desc)
    if wanted is None:
        alike = bids_names.same_label(every)
        every = [replace(each, fault=each.fault or alike.get(each.path, "")) for each in every]
    for each in every:
        if each.fault and (wanted is None or (each.segment and each.key in wanted)):
            raise UserError(each.fault)
    found = {each.key: each for each in every if each.segment}
    if wanted is None:
        wanted = {key: (each.segment, each.repeat) for key, each in found.items()}
    there = bids_names.pair(wanted, found)
    runs: dict[Key, Run] = {}
    compared: dict[Key, Run] = {}
    derived: list[str] = []
    doubts: dict[str, Path | str] = {}

    def start(found: Found, sidecar: dict[str, Any]) -> Start:
        _check_betas(found.path, bool(sidecar.get(bids.BETAS)), betas)
        matters = shown is None or (found.segment, found.repeat) in shown
        time = start_times.find(found, sidecar, raw if matters else None, start_time)
        derived.append(time.derived)
        return time

    for key, label in wanted.items():
        if key not in there:
            raise UserError(
                f"{root}: sub-{subject} has no preprocessed run {bids_names.run_label(*label)} "
                f"in space {space}; preprocess it, or remove its task from `segments`"
            )
        each = replace(found[there[key]], segment=label[0], repeat=label[1])
        runs[key], doubt = measure(each, start)
        if doubt:
            doubts.setdefault(doubt, each.path)
        if shown is None or label in shown:
            compared[key] = runs[key]
    check.tell(doubts)
    start_times.tell(subject, derived)
    if raw is not None and bids.has_bold(raw, subject):
        compare_with_raw(compared, bids.find_runs(raw, subject))
    return list(runs.values())


def measure(
    found: Found, start: Callable[[Found, dict[str, Any]], Start] = start_times.find
) -> tuple[Run, str]:
    """A run's shape and timing from its header and sidecar, and what lies next to it; and a doubt, or "".

    start : the start time of a run by its sidecar

    Raises
    ------
    UserError : a damaged file, one without TR or orientation, or one from which volumes were removed.
    """
    path = found.path
    volumes, header, resolution = _header(path, found.surface)
    sidecar = bids_inheritance.inherited(path)
    doubt = ""
    if "RepetitionTime" in sidecar:
        t_r = check.repetition_time(path, sidecar)
        doubt = check.header_doubt(header, t_r)
    elif header is None:
        raise UserError(f"{path}: neither header nor sidecar knows its TR; write its JSON sidecar")
    else:
        t_r = header
    if found.pipeline == derivatives.HCP:
        mask = path.with_name("brainmask_fs.2.nii.gz")
    else:
        mask = path.with_name(path.name.split("_desc-")[0] + "_desc-brain_mask.nii.gz")
    if found.pipeline == derivatives.XCP_D:
        _refuse_censored(path, volumes)
    run = Run(
        found.segment,
        found.repeat,
        str(path),
        str(found.confounds or ""),
        str(mask) if not found.surface and mask.exists() else "",
        found.space,
        resolution,
        "cifti" if found.surface else "volume",
        volumes,
        t_r,
        start(found, sidecar).seconds,
        found.pipeline,
    )
    return run, doubt


def _check_betas(path: Path, are: bool, told: bool) -> None:
    """UserError where a sidecar and the configuration disagree whether volumes are single trials."""
    if are and not told:
        raise UserError(
            f"{path}: its volumes are single-trial betas; say in bold.betas which runs they were fitted on, "
            "per-run or all-runs"
        )
    if told and not are:
        raise UserError(
            f"{path}: bold.betas is set, but its sidecar has no {bids.BETAS}; lay the betas out with "
            "python -m boldreel.bold.betas, or leave bold.betas out"
        )


def _refuse_censored(path: Path, volumes: int) -> None:
    """UserError where XCP-D removed volumes of much motion: the others' times are then unknown.

    Its table of outliers has a row for each volume that there was (XCP-D's docs, outputs).
    """
    stem = path.name.split("_space-")[0].split("_desc-")[0]
    table = path.with_name(f"{stem}_outliers.tsv")
    if not table.exists():
        return
    with table.open(encoding="utf-8") as lines:
        before = sum(1 for line in lines if line.strip()) - 1
    if before != volumes:
        raise UserError(
            f"{path}: {volumes} volumes are left of {before}, XCP-D removed those of much motion; run it "
            "with --fd-thresh 0, or with --output-type interpolated"
        )


def _header(path: Path, surface: bool) -> tuple[int, float | None, float]:
    """(volumes, TR in s or None, resolution in mm or NaN)."""
    if surface:
        about = cifti.outline(path)
        return about.volumes, about.t_r, float("nan")
    image = nifti.load(path)
    if len(image.shape) != 4:
        raise UserError(f"{path}: shape {image.shape}; a BOLD run has four dimensions")
    nifti.check_orientation(image)
    resolution = round(float(np.mean(image.header.get_zooms()[:3])), 3)
    return image.shape[3], nifti.repetition_time(image), resolution


def compare_with_raw(runs: Mapping[Key, Run], raw: Iterable[bids.Run]) -> None:
    """UserError where preprocessed runs (by bids_names.run_key) and raw runs contradict each other.

    Raw runs that were not preprocessed are passed over, and so are raw images that were not fetched.
    """
    sources = {bids_names.run_key(source.path): source for source in raw if not source.fault}
    paired = bids_names.pair(runs, sources)
    for key, run in runs.items():
        if key not in paired:
            raise UserError(
                f"{run.bold}: the raw data set has no such run; remove it, or add the raw run"
            )
        source = sources[paired[key]]
        if not files.present(source.path):
            continue
        count = nifti.load(source.path).shape[3]
        if run.volumes != count:
            raise UserError(
                f"{run.bold}: {run.volumes} volumes, the raw run {source.path} has {count}; "
                "preprocess the whole run again"
            )
        told = bids_inheritance.read_sidecar(source.path).get("RepetitionTime")
        if isinstance(told, int | float) and abs(told - run.t_r) > _TR_TOLERANCE:
            raise UserError(
                f"{run.bold}: TR {run.t_r:g} s, the raw run's sidecar says {told:g} s; find out "
                "which is right and correct the other"
            )


def check_shown(
    runs: Iterable[Run], shown: Mapping[str, Sequence[Presentation]], stimuli: Path | None
) -> None:
    """UserError where what runs showed (by label) and movies do not fit the runs."""
    duration_of = check.durations(stimuli) if stimuli else None
    doubts: dict[str, Path | str] = {}
    for run in runs:
        rows = shown.get(bids_names.run_label(run.segment, run.repeat), ())
        for doubt in check.check_shown(rows, run.volumes * run.t_r, run.t_r, duration_of):
            doubts.setdefault(doubt, run.bold)
    check.tell(doubts)


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    started = time.time()
    parser = step.parser(__doc__)
    parser.add_argument("--derivatives", type=Path, required=True, help="fMRIPrep's or HCP's tree")
    parser.add_argument("--subject", required=True, help="label, without sub-")
    parser.add_argument("--raw", type=Path, help="raw BIDS data set to compare with")
    parser.add_argument("--bold", type=Path, nargs="*", default=[], help="the runs; default: all")
    parser.add_argument("--labels", nargs="*", default=[], help="theirs, task-NAME_run-N")
    check.add_shown(parser)
    parser.add_argument("--output", type=Path, required=True, help="table of the runs, .tsv")
    arguments = parser.parse_args(argv)
    space = arguments.config.get("space") or derivatives.VOLUME
    labels = [bids_names.parse_label(label) for label in arguments.labels]
    asked = dict(zip(map(str, arguments.bold), labels, strict=True))
    desc = arguments.config.get("desc") or derivatives.PREPROC
    every = derivatives.find(arguments.derivatives, arguments.subject, space, desc)
    keys = {str(each.path): each.key for each in every if each.segment}
    absent = [path for path in asked if path not in keys]
    if absent:
        raise UserError(
            f"{arguments.derivatives}: sub-{arguments.subject} has no run {absent[0]} in space {space}; "
            "plan again"
        )
    shown = check.rows_by_file(arguments.presentations)
    runs = find(
        arguments.derivatives,
        arguments.subject,
        space,
        raw=arguments.raw,
        wanted={keys[path]: label for path, label in asked.items()} or None,
        shown=[bids_names.parse_label(label) for label in shown] if asked else None,
        start_time=arguments.config.get("start_time"),
        desc=desc,
        betas=bool(arguments.config.get("betas")),
    )
    check_shown(runs, shown, arguments.stimuli)
    content_hash.check_duplicates(run.bold for run in runs)
    preprocessed_runs.write(arguments.output, runs)
    # The BOLD itself is hashed where it is read: in the provenance of each run's series.
    provenance.record(
        arguments.output,
        inputs=[arguments.presentations] if arguments.presentations else [],
        config=arguments.config,
        started=started,
    )
    print(f"{arguments.subject}: {len(runs)} runs in {runs[0].space}, {runs[0].kind}")


if __name__ == "__main__":
    step.run(main)
