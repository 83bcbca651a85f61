"""Checks before the first job: the container, and the runs without reading their volumes.

Takes a `Study`; raises UserError, or warns of what is doubtful. Each subject's own check reads voxels.
"""

from __future__ import annotations

from pathlib import Path

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
    """Check sizes, times, events and movies of the user's raw data.

    If this environment has none of the library's packages, the jobs do it.
    """
    if study.embedded or study.engine == "derivatives":
        return
    try:
        from boldreel.bold import check
    except ImportError:
        return
    durations = check.movie_durations(study.movies().values())
    fewest = study.config["bold"]["min_volumes"]
    doubts: dict[str, Path | str] = {}
    for subject in study.everybody:
        if study.foreign(subject):
            continue
        shown = study.events(subject)
        for run in study.runs[subject]:
            beside = shown.get(run)
            for doubt in check.check_run(run.bold, fewest, beside, durations, False):
                doubts.setdefault(doubt, beside or run.bold)
    check.tell(doubts)
