"""Runs preprocessed by fMRIPrep or the HCP pipelines, read in place.

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
from boldreel.bold import check, content, start_times
from boldreel.bold.start_times import Start
from boldreel.data import bids, bold_runs, cifti, confounds, derivatives, nifti, provenance
from boldreel.data.bold_runs import Run
from boldreel.data.derivatives import Found
from boldreel.data.presentations import Presentation
from boldreel.errors import UserError

_TR_TOLERANCE = 1e-3  # s
Key = tuple[str, str, int]  # bids.run_key
Label = tuple[str, int]  # (segment, repeat)


def find(
    root: Path | str,
    subject: str,
    space: str = derivatives.VOLUME,
    raw: Path | str | None = None,
    wanted: Mapping[Key, Label] | None = None,
    shown: Collection[Label] | None = None,
    start_time: float | None = None,
    only: Collection[str] | None = None,
) -> list[Run]:
    """The runs of a subject in a derivatives tree, with their timing.

    Parameters
    ----------
    subject : label without "sub-"
    raw : raw BIDS data set to hold them against, None for none
    wanted : which runs (bids.run_key), and the (segment, repeat) that each of them is; None for all
    shown : (segment, repeat) of those that show something, and are held against raw data; None for all
    start_time : s, of runs whose sidecars do not say it (start_times.find)
    only : paths of the runs that count, as if there were no others; None for all

    Raises
    ------
    UserError : as data.derivatives.find; a run that is wanted is not there, or cannot be told from another;
        a damaged file; a contradiction with the raw data; an unknown start time.
    """
    every = derivatives.find(root, subject, space)
    if only is not None:
        every = bids.recounted([each for each in every if str(each.path) in only])
    for each in every:
        if each.fault and (wanted is None or (each.segment and each.key in wanted)):
            raise UserError(each.fault)
    found = {each.key: each for each in every if each.segment}
    if wanted is None:
        wanted = {key: (each.segment, each.repeat) for key, each in found.items()}
    runs: dict[Key, Run] = {}
    compared: dict[Key, Run] = {}
    derived: list[str] = []

    def start(found: Found, sidecar: dict[str, Any]) -> Start:
        matters = shown is None or (found.segment, found.repeat) in shown
        time = start_times.find(found, sidecar, raw if matters else None, start_time)
        derived.append(time.derived)
        return time

    for key, label in wanted.items():
        if key not in found:
            raise UserError(
                f"{root}: sub-{subject} has no preprocessed run {bids.run_label(*label)} in space {space}; "
                "preprocess it, or remove its task from `segments`"
            )
        each = replace(found[key], segment=label[0], repeat=label[1])
        runs[key] = measure(each, start)
        if shown is None or label in shown:
            compared[key] = runs[key]
    start_times.tell(subject, derived)
    if raw is not None and bids.has_bold(raw, subject):
        names = {bids.raw_name(Path(run.bold), raw).name for run in runs.values()}
        sources = [
            each
            for each in bids.find_runs(raw, subject)
            # Of two files of one acquisition, the one of the same name.
            if not each.fault or f"{each.path.name.split('.')[0]}.nii.gz" in names
        ]
        compare_with_raw(compared, bids.recounted(sources))
    return list(runs.values())


def measure(
    found: Found, start: Callable[[Found, dict[str, Any]], Start] = start_times.find
) -> Run:
    """A run's shape and timing from its header and sidecar, and what lies next to it.

    start : the start time of a run by its sidecar
    """
    path = found.path
    volumes, header, resolution = _header(path, found.surface)
    sidecar = bids.inherited(path)
    told = sidecar.get("RepetitionTime")
    t_r = header if told is None else float(told)
    if t_r is None:
        raise UserError(f"{path}: neither header nor sidecar knows its TR; write its JSON sidecar")
    if told is not None and header is not None and abs(header - told) > _TR_TOLERANCE:
        raise UserError(
            f"{path}: the header says TR {header:g} s, its sidecar {told:g} s; find out which is "
            "right and correct the other"
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
        start(found, sidecar).seconds,
        found.pipeline,
    )


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


def compare_with_raw(runs: Mapping[Key, Run], raw: Iterable[bids.Run]) -> None:
    """UserError where preprocessed runs (by bids.run_key) and raw runs contradict each other.

    Raw runs that were not preprocessed are passed over, and so are raw images that were not fetched.
    """
    sources = {bids.run_key(source.path): source for source in raw if not source.fault}
    for key, run in runs.items():
        if key not in sources:
            raise UserError(
                f"{run.bold}: the raw data set has no such run; remove it, or add the raw run"
            )
        source = sources[key]
        if not source.path.exists():
            continue
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
                "which is right and correct the other"
            )


def check_shown(
    runs: Iterable[Run], shown: Mapping[str, Sequence[Presentation]], stimuli: Path | None
) -> None:
    """UserError where what runs showed (by label) and movies do not fit the runs."""
    duration_of = check.durations(stimuli) if stimuli else None
    doubts: dict[str, str] = {}
    for run in runs:
        rows = shown.get(bids.run_label(run.segment, run.repeat), ())
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
    labels = [bids.parse_label(label) for label in arguments.labels]
    asked = dict(zip(map(str, arguments.bold), labels, strict=True))
    every = derivatives.find(arguments.derivatives, arguments.subject, space)
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
        shown=[bids.parse_label(label) for label in shown] if asked else None,
        start_time=arguments.config.get("start_time"),
        only=keys.keys() & asked if asked else None,
    )
    check_shown(runs, shown, arguments.stimuli)
    content.check_duplicates(run.bold for run in runs)
    bold_runs.write(arguments.output, runs)
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
