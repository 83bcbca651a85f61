"""Checks before the first job: the container, and the runs without reading their volumes.

Takes a `Study`; raises UserError, or warns of what is doubtful. Each subject's own check reads voxels.
"""

from __future__ import annotations

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

    If this environment has none of the library's packages, the jobs do it.
    """
    if study.embedded or study.engine == "derivatives":
        return
    try:
        from boldreel.bold import check
    except ImportError:
        return
    duration_of = check.durations(study.stimuli)
    fewest = study.config["bold"]["min_volumes"]
    doubts: dict[str, str] = {}
    for subject in study.everybody:
        if study.foreign(subject):
            continue
        for one in study.selected[subject].runs:
            rows = [row for stretch in one.stretches for row in stretch.rows] if one.named else []
            for doubt in check.check_run(one.found.path, fewest, rows, duration_of, False):
                doubts.setdefault(doubt, str(one.found.path))
    check.tell(doubts)
