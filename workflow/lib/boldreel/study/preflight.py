"""Checks before the first job: the container, and the runs without reading their volumes.

Takes a `Study`; raises UserError, or warns of what is doubtful. Each subject's own check reads voxels. Only
`check_grids` is made for every plan: it reads 350 bytes of each preprocessed volume.
"""

from __future__ import annotations

from pathlib import Path

from boldreel.data import headers
from boldreel.errors import UserError
from boldreel.settings import read
from boldreel.study.study import Study


def check_container(study: Study) -> None:
    """Check that fMRIPrep can run on this machine; on a cluster each job checks this itself."""
    if study.engine.startswith("fmriprep"):
        from boldreel.bold import fmriprep
        from boldreel.bold.settings import FmriprepSettings

        section = study.config["bold"]["fmriprep"]
        fmriprep.check(study.engine, read(FmriprepSettings, section, "bold.fmriprep"))


def check_runs(study: Study) -> None:
    """Check sizes, times, presentations and movies of the user's raw data.

    If this environment has none of the library's packages, the jobs check the raw data.
    """
    if study.embedded or study.engine == "derivatives":
        return
    try:
        from boldreel.bold import check
    except ImportError:
        return
    duration_of = check.durations(study.movies.folder)
    fewest, timed = (study.config["bold"][key] for key in ("min_volumes", "slice_timing"))
    doubts: dict[str, Path | str] = {}
    for subject in study.everybody:
        if study.foreign(subject):
            continue
        for one in study.selected[subject].runs:
            path = one.found.path
            rows = [row for stretch in one.stretches for row in stretch.rows] if one.named else []
            for doubt in check.check_run(path, fewest, rows, duration_of, False, timed):
                doubts.setdefault(doubt, path)
        for echo in study.echoes(subject):
            for doubt in check.check_run(echo, fewest, values=False, slice_timing=timed):
                doubts.setdefault(doubt, echo)
    check.tell(doubts)


def check_grids(study: Study) -> None:
    """UserError where preprocessed volumes are not on one grid: positions are the same voxels for all.

    Looks at every run of the subjects, and at one run of each further member of the cohort. Nothing of
    simulated data, which one engine makes.
    """
    if study.embedded:
        return
    first: tuple[str, headers.Grid] | None = None
    for subject in study.everybody:
        if not (study.engine == "derivatives" or study.foreign(subject)):
            continue
        runs = study.runs[subject] if subject in study.subjects else study.runs[subject][:1]
        for run in runs:
            if run.bold.endswith(".dtseries.nii"):
                continue
            grid = headers.grid(Path(run.bold))
            if not grid.affine:
                raise UserError(
                    f"{run.bold}: its orientation is unknown, so left and right cannot be told (sform_code "
                    "and qform_code are 0); preprocess it again, or set it: fslorient -setsformcode 1"
                )
            first = first or (run.bold, grid)
            if not headers.same_grid(grid, first[1]):
                raise UserError(
                    f"{run.bold}: its grid ({headers.named(grid)}) is not that of {first[0]} "
                    f"({headers.named(first[1])}), and all runs need one; set bold.space to a resolution "
                    "that all have (fMRIPrep's --output-spaces, such as :res-2), or resample the runs"
                )
