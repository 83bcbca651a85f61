"""Runs of a study: where they are found, raw or preprocessed, and which of them are used.

Takes the data sets that a configuration names; returns what `study.selection` chose. Reads file names,
sidecars and headers, but no image. Standard library only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from boldreel.data import bids, bids_inheritance, bids_names, derivatives, event_files, files
from boldreel.data.splits import SPLITS
from boldreel.errors import UserError
from boldreel.roi.settings import RoiSettings
from boldreel.study import bids_filter, selection
from boldreel.study.presentations import RunSpec, entities_of
from boldreel.study.shown import Shown, StudyPresentations


class Run(NamedTuple):
    """A functional run, or a stretch of one, by segment and repeat; `bold` is its raw BOLD.

    If only preprocessed runs exist, `bold` is the preprocessed one.

    splits : of what it shows; none if `segments` does not name it
    file : segment and repeat of the functional run that it is a stretch of
    begin, end : s of the functional run that it is; None for no limit
    """

    segment: str
    repeat: int
    bold: str
    splits: tuple[str, ...] = ()
    file: tuple[str, int] = ("", 0)
    begin: float | None = None
    end: float | None = None

    @property
    def label(self) -> str:
        """`task-SEGMENT_run-REPEAT`, as files of the results are named."""
        return bids_names.run_label(self.segment, self.repeat)

    @property
    def whole(self) -> Run:
        """The functional run that this is, or is a stretch of."""
        return self._replace(segment=self.file[0], repeat=self.file[1], begin=None, end=None)


def runs_of(one: Shown) -> list[Run]:
    """The runs, or stretches of runs, of one run that is used."""
    file = one.spec.segment, one.spec.repeat
    if not one.named:
        return [Run(*file, str(one.found.path), (), file)]
    return [
        Run(
            *bids_names.parse_label(each.label),
            str(one.found.path),
            tuple(split for split in SPLITS if each.of(split)),
            file,
            each.begin,
            each.end,
        )
        for each in one.stretches
    ]


class RunFinder:
    """Finds the runs of subjects and of the cohort.

    Parameters
    ----------
    config : complete
    root : raw BIDS data set
    tree, cohort_tree : existing derivatives, of the data set and of a cohort apart from it
    roi : which confounds the runs need
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        root: str,
        tree: str | None,
        cohort_tree: str | None,
        roi: RoiSettings,
    ) -> None:
        self.root, self.tree, self.cohort_tree, self.roi = root, tree, cohort_tree, roi
        self.engine: str = config["bold"]["engine"]
        self.space = config["bold"]["space"] or derivatives.VOLUME
        self.desc: str = config["bold"]["desc"]
        self.min_volumes: int = config["bold"]["min_volumes"]
        self._filter = (
            bids_filter.read(config["bold"]["fmriprep"])
            if self.engine.startswith("fmriprep")
            else {}
        )
        self._known_events: dict[str, dict[bids_names.Key, Path]] = {}

    def find(self, subject: str) -> list[Any]:
        """All runs of a subject: raw, or preprocessed with the engine `derivatives`."""
        if self.engine != "derivatives":
            return [self._with_echoes(run) for run in bids.find_runs(self.root, subject)]
        assert self.tree is not None  # check_engine: derivatives are named
        found = derivatives.find(self.tree, subject, self.space, self.desc)
        known = bids.find_events(self.root, subject)
        paired = bids_names.pair([run.key for run in found if not run.fault], known)
        self._known_events[subject] = {key: known[other] for key, other in paired.items()}
        return list(found)

    def events_of(self, subject: str, run: Any) -> Path | None:
        """The events file of a run: next to its raw BOLD, or further up in the raw data set."""
        if self.engine != "derivatives":
            found = bids_inheritance.events_of(run.path)
        else:
            beside = None if run.fault else self._known_events[subject].get(run.key)
            if beside and event_files.is_template(beside):
                stem = beside.name.removesuffix("_events.tsv")
                beside = bids_inheritance.events_of(beside.with_name(f"{stem}_bold.nii.gz"))
            found = beside or bids_inheritance.events_of(bids.raw_name(run.path, self.root))
        files.check_source(found)
        return found if found.exists() else None

    def _with_echoes(self, run: bids.Run) -> bids.Run:
        """A raw run, with a fault where its echoes have to be combined and nothing combines them."""
        if run.fault or not run.echoes or self.engine != "embedded":
            return run
        fault = (
            f"{run.path}: one of {1 + len(run.echoes)} echoes, which bold.engine embedded cannot combine; "
            "set bold.engine to fmriprep-docker or fmriprep-apptainer"
        )
        return replace(run, fault=fault)

    def select(
        self, subject: str, presentations: StudyPresentations, in_cohort: bool
    ) -> selection.Selection:
        """Which runs of a subject are used; with existing derivatives, these are the preprocessed runs.

        in_cohort : whether all intact runs are used, for pretraining
        """
        raw = self.engine != "derivatives"
        shown = presentations.runs[subject]
        if not raw:
            self._check_confounds([one.found for one in shown if one.named])
            keys = [one.found.key for one in shown if not one.found.fault]
            of_raw = bids.run_keys(self.root, subject)
            selection.check_preprocessed(
                f"sub-{subject}", of_raw, keys, lambda key: _names_raw(presentations, subject, key)
            )

        def fault_of(run: Any) -> str:
            return selection.fault(run.path, self.min_volumes, raw)

        return selection.choose(
            shown,
            fault_of if in_cohort else None,
            lambda run: bids_filter.left_out(self._filter, run.path),
        )

    def _check_confounds(self, runs: Iterable[Any]) -> None:
        """UserError for a run that is used without the confounds table that `roi.confounds` needs."""
        if self.roi.confounds == "none" and not self.roi.high_pass:
            return
        for run in runs:
            if run.fault:
                continue
            if run.confounds is not None:
                files.check_source(run.confounds)
            else:
                raise UserError(
                    f"{run.path}: no confounds table next to it, which roi.confounds {self.roi.confounds} "
                    "needs; fetch it, or set roi.confounds: none (FIX cleaned the HCP's runs, XCP-D its "
                    "own) and roi.high_pass: false"
                )

    def select_foreign(self, subject: str) -> selection.Selection:
        """A separate tree for the cohort is used as a whole: its thousands of files are not opened."""
        assert self.cohort_tree is not None
        found = derivatives.find(self.cohort_tree, subject, self.space, self.desc)
        self._check_confounds(found)
        shown = [
            Shown(run, RunSpec(run.segment, run.repeat, {}, str(run.path)), False, ())
            for run in found
        ]
        return selection.choose(shown, lambda run: "")


def _names_raw(presentations: StudyPresentations, subject: str, key: bids_names.Key) -> bool:
    """Whether `segments` names a raw run (bids_names.run_key) as a whole, and nothing excludes it."""
    task, session, number, *further = key
    name = "_".join(
        [f"task-{task}", f"run-{number}", *further, *([f"ses-{session}"] if session else [])]
    )
    return presentations.names_run(entities_of(subject, name))
