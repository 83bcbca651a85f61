"""The study of a configuration: subjects, cohort, runs, splits, events, movies, controls.

Takes the complete configuration; reads file names, sidecars and events tables, but no image. Paths are
plain strings as the configuration spells them. Imports only the standard library and nothing of Snakemake:
the workflow, `boldreel check` and the tests use the same object.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from boldreel import configuration, forgotten
from boldreel.data import bids, derivatives, selection
from boldreel.data.splits import SPLITS, check_enough, split_of
from boldreel.errors import UserError
from boldreel.insilico import design
from boldreel.insilico.settings import InsilicoSettings
from boldreel.roi.settings import RoiSettings
from boldreel.settings import read
from boldreel.study import bids_filter, movies, subjects
from boldreel.windows.settings import DECONVOLVED

METHOD = "mindvideo"  # the main method


class Run(NamedTuple):
    """A functional run by segment (BIDS task) and repeat; `bold` is its raw BOLD.

    If only preprocessed runs exist, `bold` is the preprocessed one.
    """

    segment: str
    repeat: int
    bold: str

    @property
    def label(self) -> str:
        """`task-SEGMENT_run-REPEAT`, as files of the results are named."""
        return bids.run_label(self.segment, self.repeat)


class Study:
    """The data that a configuration describes, before anything is computed.

    Parameters
    ----------
    config : complete, see `boldreel.configuration.complete`.
    repository : root of the workflow's checkout.
    located : finds a path of the configuration: as seen from the working directory, else in the checkout.
    placed : where a path of results is written: with the prefix of a module.

    Raises
    ------
    UserError : data and configuration do not match; says which file, and how to fix it.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        repository: Path,
        located: Callable[[str], str] = str,
        placed: Callable[[str], str] = str,
    ) -> None:
        configuration.check_paths(config, repository)
        configuration.check_methods(config, repository)
        configuration.check_engine(config)
        self.config = config
        self.dataset: str = config["dataset"]
        self.results = f"{config['results']}/{self.dataset}"
        self.embedded = config["bids"] is None
        self.engine: str = config["bold"]["engine"]
        self.bids = f"{self.results}/bids" if self.embedded else located(config["bids"])
        self.space = config["bold"]["space"] or derivatives.VOLUME
        self.desc: str = config["bold"]["desc"]
        self.tree, self.cohort_tree = (
            located(path) if path else None
            for path in (config["bold"]["derivatives"], config["pretrain"]["derivatives"])
        )
        self.models = {name: located(path) for name, path in config["models"].items() if path}
        self.roi: RoiSettings = read(RoiSettings, config["roi"], "roi")
        self.insilico: InsilicoSettings | None = None
        if self.embedded:
            self.insilico = read(InsilicoSettings, config["insilico"], "insilico")
        gone = forgotten.read(placed(self.results))
        self.subjects = subjects.of(config, located, gone)
        self.cohort = subjects.cohort(config, located, self.subjects, gone)
        subjects.check_holdout(config, self.cohort)
        subjects.check_pool(config, self.subjects)
        self._filter = (
            bids_filter.read(config["bold"]["fmriprep"])
            if self.engine.startswith("fmriprep")
            else {}
        )
        self._split = lru_cache(maxsize=None)(self._split_of)
        self._movies = lru_cache(maxsize=None)(self._find_movies)
        # For own data: which runs are used, and which are ignored.
        self.selected = {
            subject: self._select(subject)
            for subject in self.everybody
            if not self.embedded or self.foreign(subject)
        }
        self.runs = {subject: self._runs(subject) for subject in self.everybody}
        self._events = {
            subject: self._events_of_raw(subject)
            for subject in self.everybody
            if self.engine == "derivatives" and not self.foreign(subject)
        }
        self._check()

    def _check(self) -> None:
        """UserError if a split has too few segments, or a member of the cohort has no run to pretrain on."""
        for subject in self.subjects:
            chosen = self.selected.get(subject)
            shown = chosen.segments if chosen else [run.segment for run in self.runs[subject]]
            check_enough(shown, self.config["segments"], f"sub-{subject}")
        for subject in self.cohort:
            selection.check_left(f"sub-{subject}", self.untested(subject))

    @cached_property
    def everybody(self) -> list[str]:
        """Subjects, then members of the cohort who are not subjects."""
        return list(dict.fromkeys([*self.subjects, *self.cohort]))

    @property
    def methods(self) -> list[str]:
        """The other methods; each has its own rule file and package."""
        return [name for name in self.config["methods"] if name != METHOD]

    @property
    def deconvolved(self) -> bool:
        """Whether windows are cut from deconvolved series."""
        return self.config["windows"]["hrf"]["mode"] in DECONVOLVED

    @property
    def pooled(self) -> bool:
        """Whether subjects share an encoder."""
        return self.config["align"]["subjects"] == "pooled"

    def ignored(self) -> list[str]:
        """Lines about ignored runs, and why they are ignored."""
        return selection.told({name: chosen.ignored for name, chosen in self.selected.items()})

    def foreign(self, subject: str) -> bool:
        """Whether a subject comes from the cohort's separate derivatives, without raw data."""
        return self.cohort_tree is not None and subject not in self.subjects

    def adopted(self, subject: str) -> bool:
        """Whether a subject's preprocessed runs are read through a table of their paths."""
        return self.engine != "embedded" or self.foreign(subject)

    # Runs and splits

    def _select(self, subject: str) -> selection.Selection:
        """Which runs of a subject are used.

        With existing derivatives, these are the preprocessed runs. A separate tree for the cohort is used for
        pretraining as a whole: its thousands of files are not opened.
        """
        patterns = self.config["segments"]
        raw = self.engine != "derivatives" and not self.foreign(subject)
        found: list[Any]
        if raw:
            found = [self._with_echoes(run) for run in bids.find_runs(self.bids, subject)]
        else:
            tree = self.cohort_tree if self.foreign(subject) else self.tree
            assert tree is not None  # check_engine: derivatives are named
            found = list(derivatives.find(tree, subject, self.space, self.desc))
            self._check_confounds(subject, found)
        if self.foreign(subject):
            return selection.choose(found, patterns, lambda run: "")
        if not raw:
            keys = [run.key for run in found if not run.fault]
            of_raw = bids.run_keys(self.bids, subject)
            selection.check_preprocessed(f"sub-{subject}", of_raw, keys, patterns)

        def fault_of(run: Any) -> str:
            return selection.fault(run.path, self.config["bold"]["min_volumes"], raw)

        return selection.choose(
            found,
            patterns,
            fault_of if subject in self.cohort else None,
            lambda run: bids_filter.left_out(self._filter, run.path),
        )

    def _with_echoes(self, run: bids.Run) -> bids.Run:
        """A raw run, with a fault where its echoes have to be combined and nothing combines them."""
        if run.fault or not run.echoes or self.engine != "embedded":
            return run
        fault = (
            f"{run.path}: one of {1 + len(run.echoes)} echoes, which bold.engine embedded cannot combine; "
            "set bold.engine to fmriprep-docker or fmriprep-apptainer"
        )
        return replace(run, fault=fault)

    def _check_confounds(self, subject: str, found: Iterable[derivatives.Found]) -> None:
        """UserError for a named run without the confounds table that `roi.confounds` needs."""
        if self.roi.confounds == "none" and not self.roi.high_pass:
            return
        for run in found:
            needed = self.foreign(subject) or self._split(run.segment) is not None
            if not needed or run.fault:
                continue
            if run.confounds is not None:
                bids.check_source(run.confounds)
            else:
                raise UserError(
                    f"{run.path}: no confounds table next to it, which roi.confounds {self.roi.confounds} "
                    "needs; fetch it, or set roi.confounds: none (FIX cleaned the HCP's runs, XCP-D its "
                    "own) and roi.high_pass: false"
                )

    def echoes(self, subject: str) -> list[str]:
        """The further echoes of a subject's runs; the first ones are the runs' own `bold`."""
        if subject not in self.selected:
            return []
        runs = self.selected[subject].runs
        return [str(path) for run in runs for path in getattr(run, "echoes", ())]

    def _runs(self, subject: str) -> list[Run]:
        if subject in self.selected:
            found = self.selected[subject].runs
            for run in found:
                for path in (run.path, *getattr(run, "echoes", ())):
                    bids.check_source(path)
            return [Run(run.segment, run.repeat, str(run.path)) for run in found]
        assert self.insilico is not None
        func = f"{self.bids}/sub-{subject}/func/sub-{subject}"
        return [
            Run(segment, repeat, f"{func}_task-{segment}_run-{repeat}_bold.nii")
            for segment, repeat in design.runs(self.insilico, subject)
        ]

    def _split_of(self, segment: str) -> str | None:
        return split_of(segment, self.config["segments"])

    def runs_of(self, subject: str, *splits: str) -> list[Run]:
        """A subject's runs: all of them, or those of the named splits; validation is removed from train."""
        every = self.runs[subject]
        return [run for run in every if self._split(run.segment) in splits] if splits else every

    def named(self, subject: str) -> list[Run]:
        """A subject's runs that `segments` names; the others are for pretraining only."""
        return self.runs_of(subject, *SPLITS)

    def unnamed(self, subject: str) -> list[Run]:
        """A subject's runs that `segments` does not name."""
        return [run for run in self.runs[subject] if self._split(run.segment) is None]

    def untested(self, subject: str) -> list[Run]:
        """A subject's runs outside the test split, which may be fitted, rest included.

        For a member of the pretraining cohort these are all intact runs, named by `segments` or not.
        """
        return [run for run in self.runs[subject] if self._split(run.segment) != "test"]

    def counted(self) -> dict[str, int]:
        """Number of runs of all subjects by split."""
        return {
            split: sum(len(self.runs_of(subject, split)) for subject in self.subjects)
            for split in SPLITS
        }

    # Events and movies

    def _events_of_raw(self, subject: str) -> dict[tuple[str, int], Path]:
        """{(segment, repeat): events file} of adopted runs, from the raw data set."""
        known = bids.find_events(self.bids, subject)
        paired = bids.pair([run.key for run in self.selected[subject].runs], known)
        shown: dict[tuple[str, int], Path] = {}
        for run in self.selected[subject].runs:
            path = known[paired[run.key]] if run.key in paired else None
            if path is None and self._split(run.segment):
                inherited = bids.events_of(bids.raw_name(run.path, self.bids))
                path = inherited if inherited.exists() else None
            if path is not None:
                shown[run.segment, run.repeat] = path
        return shown

    def events(self, subject: str, *splits: str) -> dict[Run, str]:
        """{run: events file} of a subject's runs in these splits (default: all), in the order of the runs."""
        return {
            run: self._events_of(subject, run) for run in self.runs_of(subject, *(splits or SPLITS))
        }

    def _events_of(self, subject: str, run: Run) -> str:
        """The events file of a run: next to its raw BOLD, or further up in the raw data set."""
        if self.embedded:
            return run.bold.split("_bold.nii")[0] + "_events.tsv"
        if subject not in self._events:
            found: Path = bids.events_of(run.bold)
        elif (run.segment, run.repeat) in self._events[subject]:
            found = self._events[subject][run.segment, run.repeat]
        else:
            raise UserError(
                f"{self.bids}/sub-{subject}: no events file for {run.label}; write its _events.tsv, or "
                "remove its task from `segments`"
            )
        bids.check_source(found)
        return str(found)

    def movies(self, *splits: str) -> dict[str, str]:
        """{movie: its file} of everything shown in these splits (default: all).

        The demo's movies are named like their segments. Cached, since rules ask often and each call would
        read every events file.
        """
        return self._movies(splits or SPLITS)

    def _find_movies(self, splits: tuple[str, ...]) -> dict[str, str]:
        if self.insilico is not None:
            return {
                name: f"{self.bids}/stimuli/{name}.mp4"
                for name in design.segments(self.insilico)
                if self._split(name) in splits
            }
        paths = [path for name in self.subjects for path in self.events(name, *splits).values()]
        shown = sorted(movies.shown(paths).items())
        files = {name: movies.file_of(self.bids, stim_file) for name, stim_file in shown}
        for path in files.values():
            bids.check_source(path)
        return files

    def annotations(self, names: Iterable[str] | None = None) -> list[str]:
        """Existing annotation tables next to the movies (all, or those named)."""
        files = self.movies()
        chosen = files if names is None else names
        tables = [Path(files[name]).with_suffix(".tsv") for name in chosen]
        return [str(path) for path in tables if self.embedded or path.is_symlink() or path.exists()]

    def t1w(self, subject: str) -> str:
        """A subject's T1w image; UserError if there is none."""
        if self.embedded:
            return f"{self.bids}/sub-{subject}/anat/sub-{subject}_T1w.nii.gz"
        found = sorted(Path(self.bids, f"sub-{subject}").glob("**/anat/sub-*_T1w.nii*"))
        if not found:
            raise UserError(
                f"{self.bids}/sub-{subject}: no anat/*_T1w.nii.gz; bold.engine embedded needs one"
            )
        bids.check_source(found[0])
        return str(found[0])

    # Pools and controls

    def members(self, pool: str) -> list[str]:
        """Subjects of a pooled encoder: `pool`, or all `without-XX`."""
        if pool == "pool":
            return self.config["align"]["pool"] or self.subjects
        return [subject for subject in self.subjects if pool != f"without-{subject}"]

    def other_of(self, subject: str) -> str:
        """The subject whose responses are this subject's control: the first, or the second for the first.

        A new subject with a later label then changes nobody else's control.
        """
        first, second = sorted(self.subjects)[:2]
        return second if subject == first else first

    def controls(self) -> list[str]:
        """Drawn in addition to a subject's reconstruction: controls and further seeds of the noise."""
        section = self.config["reconstruct"]
        seeds = 1 if section["continuous"] else int(section["seeds"])
        kept = [name for name in section["controls"] if name != "other" or len(self.subjects) > 1]
        return [*kept, *(f"seed-{number}" for number in range(1, seeds))]

    def own_controls(self) -> list[str]:
        """The controls that need no other subject."""
        return [name for name in self.controls() if name != "other"]

    def shards(self) -> range:
        """Numbers of the shards that a subject's test clips are split into."""
        return range(int(self.config["reconstruct"]["shards"]))
