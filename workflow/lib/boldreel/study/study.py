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
from boldreel.data import (
    bids,
    bids_inheritance,
    bids_names,
    derivatives,
    event_files,
    files,
    movie_annotations,
    movie_files,
)
from boldreel.data.presentations import Presentation, ShownRun
from boldreel.data.splits import SPLITS, check_enough
from boldreel.errors import UserError
from boldreel.insilico import design
from boldreel.insilico.settings import InsilicoSettings
from boldreel.names import natural
from boldreel.roi.settings import RoiSettings
from boldreel.settings import read
from boldreel.study import batches, bids_filter, designs, selection, selectors, subjects
from boldreel.study.batches import Batch
from boldreel.study.presentations import RunSpec, entities_of
from boldreel.study.settings import PresentationsSettings
from boldreel.study.shown import Shown, StudyPresentations
from boldreel.windows.settings import DECONVOLVED, LEARNT

METHOD = "mindvideo"  # the main method


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
        # The atlas and the mask, each a name or a file, or None.
        self.atlas = {
            key: located(config["roi"][key]) if config["roi"][key] else None
            for key in ("atlas", "mask")
        }
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
        self.stimuli = located(config["stimuli"]["folder"] or f"{self.bids}/stimuli")
        self._movies = lru_cache(maxsize=None)(self._find_movies)
        self._file_of = lru_cache(maxsize=None)(self._find_file)
        named = config["stimuli"]["annotations"]
        self.annotation_table = located(named) if named else None
        table = config["presentations"]["table"]
        self.presentations = StudyPresentations(
            read(PresentationsSettings, config["presentations"], "presentations"),
            config["segments"],
            self._find_events,
            Path(located(table)) if table else None,
        )
        # For own data: which runs are used, and which are ignored.
        self.selected: dict[str, selection.Selection] = {}
        if not self.embedded:
            self._select()
        for subject in self.everybody:
            if self.foreign(subject):
                self.selected[subject] = self._select_foreign(subject)
        self.runs = {subject: self._runs(subject) for subject in self.everybody}
        self._check()

    def _check(self) -> None:
        """UserError if a split has too few segments, or a member of the cohort has no run to pretrain on."""
        for subject in self.subjects:
            check_enough(self.segments_of(subject), f"sub-{subject}")
            designs.check_clips(f"sub-{subject}", self._shown(subject), self.clip_duration, SPLITS)
            if self.roi.selection == "reliability":
                designs.check_reliability(f"sub-{subject}", self._shown(subject))
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
    def learnt(self) -> bool:
        """Whether haemodynamic responses are learnt from training segments."""
        return self.config["windows"]["hrf"]["mode"] in LEARNT

    @property
    def pooled(self) -> bool:
        """Whether subjects share an encoder."""
        return self.config["align"]["subjects"] == "pooled"

    @property
    def clip_duration(self) -> float:
        """s."""
        return float(self.config["stimuli"]["clip_duration"])

    def ignored(self, listed: bool = True) -> list[str]:
        """Lines about ignored runs, and why they are ignored.

        listed : also about those that a table of presentations lists as excluded
        """
        subjects = [] if listed else list(self.presentations.runs)
        in_tables = {spec.path for each in subjects for spec in self.specs(each) if spec.excluded}
        return selection.told(
            {
                name: [each for each in chosen.ignored if str(each[0].path) not in in_tables]
                for name, chosen in self.selected.items()
            }
        )

    def left_out(self) -> list[str]:
        """Lines about what the design cannot give and what is therefore left out."""
        lines = []
        once = [s for s in self.subjects if not self.repeated(s)]
        if once:
            lines.append(
                f"{designs.listed(once)}: no test clip is shown in two runs, so there is no noise ceiling of "
                "the test and no curve of repeats"
            )
        alone = self.without_other()
        if alone:
            lines.append(
                f"{designs.listed(alone)}: nobody else saw one of the same test clips, so there is no "
                "control `other`"
            )
        for subject in self.subjects:
            short, every = designs.too_short(self._shown(subject), self.clip_duration)
            if short:
                lines.append(
                    f"sub-{subject}: {short} of {every} presentations show no whole clip of "
                    f"{self.clip_duration:g} s (stimuli.clip_duration) and are not used"
                )
        return lines

    def foreign(self, subject: str) -> bool:
        """Whether a subject comes from the cohort's separate derivatives, without raw data."""
        return self.cohort_tree is not None and subject not in self.subjects

    def adopted(self, subject: str) -> bool:
        """Whether a subject's preprocessed runs are read through a table of their paths."""
        return self.engine != "embedded" or self.foreign(subject)

    # Runs and splits

    def _find(self, subject: str) -> list[Any]:
        """All runs of a subject: raw, or preprocessed with the engine `derivatives`."""
        if self.engine != "derivatives":
            return [self._with_echoes(run) for run in bids.find_runs(self.bids, subject)]
        assert self.tree is not None  # check_engine: derivatives are named
        found = derivatives.find(self.tree, subject, self.space, self.desc)
        known = bids.find_events(self.bids, subject)
        paired = bids_names.pair([run.key for run in found if not run.fault], known)
        self._known_events[subject] = {key: known[other] for key, other in paired.items()}
        return list(found)

    def _find_events(self, subject: str, run: Any) -> Path | None:
        """The events file of a run: next to its raw BOLD, or further up in the raw data set."""
        if self.engine != "derivatives":
            found = bids_inheritance.events_of(run.path)
        else:
            beside = None if run.fault else self._known_events[subject].get(run.key)
            if beside and event_files.is_template(beside):
                beside = bids_inheritance.events_of(beside)
            found = beside or bids_inheritance.events_of(bids.raw_name(run.path, self.bids))
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

    def echoes(self, subject: str) -> list[str]:
        """The further echoes of a subject's runs; the first ones are the runs' own `bold`."""
        if subject not in self.selected:
            return []
        runs = (one.found for one in self.selected[subject].runs)
        return [str(path) for run in runs for path in getattr(run, "echoes", ())]

    def _select(self) -> None:
        """Find the runs of everybody in the data set, what they show, and which of them are used."""
        own = [subject for subject in self.everybody if not self.foreign(subject)]
        self._known_events: dict[str, dict[bids_names.Key, Path]] = {}
        self.presentations.read({subject: self._find(subject) for subject in own})
        for subject in own:
            self.selected[subject] = self._select_own(subject)

    def _select_own(self, subject: str) -> selection.Selection:
        """Which runs of a subject are used; with existing derivatives, these are the preprocessed runs."""
        raw = self.engine != "derivatives"
        shown = self.presentations.runs[subject]
        if not raw:
            self._check_confounds([one.found for one in shown if one.named])
            keys = [one.found.key for one in shown if not one.found.fault]
            of_raw = bids.run_keys(self.bids, subject)
            selection.check_preprocessed(
                f"sub-{subject}", of_raw, keys, lambda key: self._names_raw(subject, key)
            )

        def fault_of(run: Any) -> str:
            return selection.fault(run.path, self.config["bold"]["min_volumes"], raw)

        return selection.choose(
            shown,
            fault_of if subject in self.cohort else None,
            lambda run: bids_filter.left_out(self._filter, run.path),
        )

    def _names_raw(self, subject: str, key: bids_names.Key) -> bool:
        """Whether `segments` names a raw run (bids_names.run_key) as a whole, and nothing excludes it."""
        task, session, number, *further = key
        name = "_".join(
            [f"task-{task}", f"run-{number}", *further, *([f"ses-{session}"] if session else [])]
        )
        return self.presentations.names_run(entities_of(subject, name))

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

    def _select_foreign(self, subject: str) -> selection.Selection:
        """A separate tree for the cohort is used as a whole: its thousands of files are not opened."""
        assert self.cohort_tree is not None
        found = derivatives.find(self.cohort_tree, subject, self.space, self.desc)
        self._check_confounds(found)
        shown = [
            Shown(run, RunSpec(run.segment, run.repeat, {}, str(run.path)), False, ())
            for run in found
        ]
        return selection.choose(shown, lambda run: "")

    def _runs(self, subject: str) -> list[Run]:
        if subject in self.selected:
            runs = []
            for one in self.selected[subject].runs:
                for path in (one.found.path, *getattr(one.found, "echoes", ())):
                    files.check_source(path)
                runs += _runs_of(one)
            return sorted(runs, key=lambda run: (natural(run.segment), run.repeat))
        assert self.insilico is not None
        return [
            Run(
                segment,
                repeat,
                self._simulated(subject, segment, repeat),
                self._split_of(segment),
                (segment, repeat),
            )
            for segment, repeat in design.runs(self.insilico, subject)
        ]

    def simulated_runs(self, rest: bool = False) -> list[tuple[str, int]]:
        """(segment, repeat) of the runs of each simulated subject, of the movies or at rest."""
        assert self.insilico is not None
        return [
            (segment, repeat + 1)
            for segment in ([design.REST] if rest else design.segments(self.insilico))
            for repeat in range(design.repeats(self.insilico, segment))
        ]

    def run(self, subject: str, segment: str, repeat: int | str) -> Run:
        """A subject's run, or stretch of one, of this segment and repeat; UserError if there is none."""
        return self._one_of(self.runs[subject], subject, segment, repeat)

    def file(self, subject: str, segment: str, repeat: int | str) -> Run:
        """A subject's functional run of this segment and repeat; UserError if there is none."""
        return self._one_of(self.files_of(subject), subject, segment, repeat)

    def _one_of(self, runs: Iterable[Run], subject: str, segment: str, repeat: int | str) -> Run:
        for run in runs:
            if (run.segment, str(run.repeat)) == (segment, str(repeat)):
                return run
        raise UserError(
            f"{self.bids}/sub-{subject}: no run {repeat} of segment {segment}; name a run that exists"
        )

    def _simulated(self, subject: str, segment: str, repeat: int) -> str:
        """The BOLD of a run of the demo."""
        return f"{self.bids}/sub-{subject}/func/sub-{subject}_task-{segment}_run-{repeat}_bold.nii"

    def _split_of(self, segment: str) -> tuple[str, ...]:
        """The split of a segment of the demo, whose movies are named like their segments."""
        movie = Presentation(0.0, 1.0, f"{segment}.mp4")
        entities = {"task": segment}
        _, (stretch,) = selectors.assign(
            self.presentations.chosen, [segment], entities, [movie], 0.0
        )
        return tuple(row.split for row in stretch.rows if row.split)

    def runs_of(self, subject: str, *splits: str) -> list[Run]:
        """A subject's runs: all of them, or those of the named splits; validation is removed from train."""
        every = self.runs[subject]
        return [run for run in every if any(s in splits for s in run.splits)] if splits else every

    def files_of(self, subject: str, *splits: str) -> list[Run]:
        """The functional runs of a subject, each once, whatever stretches it is cut into."""
        return list(
            dict.fromkeys(run.whole._replace(splits=()) for run in self.runs_of(subject, *splits))
        )

    def named(self, subject: str) -> list[Run]:
        """A subject's functional runs that `segments` names; the others are for pretraining only."""
        return self.files_of(subject, *SPLITS)

    def unnamed(self, subject: str) -> list[Run]:
        """A subject's runs that `segments` does not name."""
        return [run for run in self.runs[subject] if not run.splits]

    def untested(self, subject: str) -> list[Run]:
        """A subject's runs that show nothing of the test split, which may be fitted, rest included.

        For a member of the pretraining cohort these are all intact runs, named by `segments` or not.
        """
        return [run for run in self.runs[subject] if "test" not in run.splits]

    def counted(self) -> dict[str, int]:
        """Number of runs of all subjects by split."""
        return {
            split: sum(len(self.runs_of(subject, split)) for subject in self.subjects)
            for split in SPLITS
        }

    def segments_of(self, subject: str) -> dict[str, set[str]]:
        """{split: segments} of a subject."""
        return {split: {run.segment for run in self.runs_of(subject, split)} for split in SPLITS}

    # Presentations and movies

    def specs(self, subject: str) -> list[RunSpec]:
        """What a subject's table of presentations is made from, a run each, used or excluded."""
        if subject in self.presentations.runs:
            return [
                one.spec
                for one in self.presentations.runs[subject]
                if one.named or (one.spec.excluded and one.stretches[0].rows)
            ]
        return [
            RunSpec(
                *(run.segment, run.repeat),
                {"subject": subject, "task": run.segment, "run": str(run.repeat)},
                run.bold,
                run.bold.removesuffix("_bold.nii") + "_events.tsv",
            )
            for run in self.runs_of(subject, *SPLITS)
        ]

    def events(self, subject: str) -> list[str]:
        """The files that a subject's table of presentations is made from."""
        if self.presentations.table:
            return [str(self.presentations.table)]
        return list(dict.fromkeys(spec.events or spec.path for spec in self.specs(subject)))

    def several(self) -> dict[str, dict[str, list[tuple[float, float]]]]:
        """{movie: {split: stretches of it, s}} of movies that several splits show."""
        names, _ = self.presentations.named_movies
        found: dict[str, dict[str, list[tuple[float, float]]]] = {}
        for split, places in self.presentations.held.items():
            for stimulus, stretches in places.items():
                found.setdefault(names[stimulus], {})[split] = stretches
        return found

    def bids_filter(self, subject: str) -> dict[str, list[str] | None]:
        """The entities of the raw runs that are used, in the syntax of fMRIPrep's --bids-filter-file.

        Of an entity of `presentations.filter` the values that these runs have, since fMRIPrep knows no
        patterns; None if none of them has it, and nothing if only some have.
        """
        used = [one.spec.entities for one in self.selected[subject].runs]
        wanted: dict[str, list[str] | None] = {
            "task": sorted({one.found.segment for one in self.selected[subject].runs})
        }
        asked = self.config["presentations"]["filter"]
        for name in selectors.conditions(asked, "presentations.filter"):
            values = {entities.get(name) for entities in used}
            if values == {None}:
                wanted[name] = None
            elif None not in values and name not in ("task", "subject"):
                wanted[name] = sorted(value for value in values if value)
        return wanted

    def table_settings(self) -> dict[str, Any]:
        """What decides, besides events, about the tables of presentations: for study.table."""
        section = self.config["presentations"]
        _, full_names = self.presentations.named_movies
        return {
            **{key: section[key] for key in ("rules", "guard")},
            "table": str(self.presentations.table or "") or None,
            "segments": self.config["segments"],
            "held": self.presentations.held,
            "full_names": full_names,
        }

    def movies_of(self, subject: str) -> list[str]:
        """Files of the movies that one subject's runs show."""
        if self.insilico is not None:
            return list(self.movies().values())
        shown = {row.stimulus for run in self.presentations.used(subject) for row in run.rows}
        return sorted({self._file_of(each) for each in shown})

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
                if any(split in splits for split in self._split_of(name))
            }
        rows = {
            row.stimulus: row
            for subject in self.subjects
            for one in self.presentations.used(subject)
            for row in one.of(*splits)
        }
        names, _ = self.presentations.named_movies
        files = {}
        for stimulus in sorted(rows):
            path = self._file_of(stimulus)
            movie_files.check_film(path, rows[stimulus].origin)
            files[names[stimulus]] = path
        return dict(sorted(files.items()))

    def _find_file(self, stimulus: str) -> str:
        path = movie_files.file_of(self.stimuli, stimulus)
        files.check_source(path)
        return path

    def batches(self, *splits: str) -> dict[str, Batch]:
        """{name: movies that are decoded together} of everything shown in these splits (default: all).

        Movies of one batch are shown in the same splits. Where few are shown, each is a batch of its name.
        """
        wanted = set(splits or SPLITS)
        return {name: each for name, each in self._batches.items() if wanted & set(each.splits)}

    @cached_property
    def _batches(self) -> dict[str, Batch]:
        if self.insilico is not None:
            return {name: Batch((name,), self._split_of(name)) for name in self.movies()}
        names, _ = self.presentations.named_movies
        return batches.of(
            {
                subject: batches.seen_in(self.presentations.used(subject), names)
                for subject in sorted(self.subjects, key=natural)
            }
        )

    @property
    def batched(self) -> bool:
        """Whether movies share jobs and folders."""
        return any(each.subject for each in self._batches.values())

    @cached_property
    def _annotated(self) -> dict[str, str]:
        files = self.movies()
        if self.annotation_table is None:
            return {
                name: str(Path(path).with_suffix(".tsv"))
                for name, path in files.items()
                if self.embedded or movie_annotations.beside(path)
            }
        known = movie_annotations.movies_in(self.annotation_table)
        found = {
            name: self.annotation_table
            for name, path in files.items()
            if movie_annotations.name_in(known, name, path, self.stimuli)
        }
        if not found:
            raise UserError(
                f"{self.annotation_table}: names none of the movies that were shown, such as "
                f"{next(iter(files))}; its column movie must have their names, or their paths below "
                f"{self.stimuli}"
            )
        return found

    def annotated(self, names: Iterable[str] | None = None) -> dict[str, str]:
        """{movie: the table that annotates it} of those movies (all, or those named) that have one."""
        if names is None:
            return self._annotated
        return {name: self._annotated[name] for name in names if name in self._annotated}

    def annotations(self, names: Iterable[str] | None = None) -> list[str]:
        """Existing annotation tables of the movies (all, or those named), each once."""
        return list(dict.fromkeys(self.annotated(names).values()))

    def t1w(self, subject: str) -> str:
        """A subject's T1w image; UserError if there is none."""
        if self.embedded:
            return f"{self.bids}/sub-{subject}/anat/sub-{subject}_T1w.nii.gz"
        found = sorted(Path(self.bids, f"sub-{subject}").glob("**/anat/sub-*_T1w.nii*"))
        if not found:
            raise UserError(
                f"{self.bids}/sub-{subject}: no anat/*_T1w.nii.gz; bold.engine embedded needs one"
            )
        files.check_source(found[0])
        return str(found[0])

    # Pools and controls

    def members(self, pool: str) -> list[str]:
        """Subjects of a pooled encoder: `pool`, or all `without-XX`."""
        if pool == "pool":
            return self.config["align"]["pool"] or self.subjects
        return [subject for subject in self.subjects if pool != f"without-{subject}"]

    def _shown(self, subject: str) -> list[ShownRun]:
        """What a subject's runs, or stretches of them, show; in the demo a movie by segment."""
        if self.insilico is None:
            return self.presentations.used(subject)
        length = self.insilico.volumes * self.insilico.t_r - self.insilico.movie_onset
        return [
            ShownRun(
                *(run.label, run.label, {}, None, None),
                tuple(
                    Presentation(0.0, length, run.segment, movie=run.segment, split=split)
                    for split in run.splits
                ),
            )
            for run in self.runs_of(subject, *SPLITS)
        ]

    @cached_property
    def _test_clips(self) -> dict[str, set[designs.Clip]]:
        """Whole test clips of each subject."""
        return {
            subject: designs.clips_in(
                (row for run in self._shown(subject) for row in run.of("test")), self.clip_duration
            )
            for subject in self.subjects
        }

    def repeated(self, subject: str, split: str = "test") -> bool:
        """Whether a clip of a split is shown in two of a subject's runs."""
        return designs.repeated(self._shown(subject), self.clip_duration, split)

    def shares_test(self, subjects: int = 3) -> bool:
        """Whether at least this many subjects saw one test clip."""
        return designs.shared_by(self._test_clips.values(), subjects)

    def other_of(self, subject: str) -> str | None:
        """The subject whose responses are this subject's control: the first who saw one of its test clips.

        None if nobody did.
        """
        if subject not in self._others:
            self._others[subject] = designs.first_sharing(subject, self._test_clips)
        return self._others[subject]

    @cached_property
    def _others(self) -> dict[str, str | None]:
        return {}

    def without_other(self) -> list[str]:
        """Subjects whose control `other` is asked for and cannot be had."""
        if "other" not in self.config["reconstruct"]["controls"] or len(self.subjects) < 2:
            return []
        return [subject for subject in self.subjects if self.other_of(subject) is None]

    def controls(self, *subjects: str) -> list[str]:
        """Drawn in addition to reconstructions: controls and further seeds of the noise.

        Those that all these subjects can have; without any named, those that somebody can have.
        """
        section = self.config["reconstruct"]
        seeds = 1 if section["continuous"] else int(section["seeds"])
        had = [self.other_of(subject) is not None for subject in subjects or self.subjects]
        other = all(had) if subjects else any(had)
        kept = [name for name in section["controls"] if name != "other" or other]
        return [*kept, *(f"seed-{number}" for number in range(1, seeds))]

    def own_controls(self) -> list[str]:
        """The controls that need no other subject."""
        return [name for name in self.controls() if name != "other"]

    def shards(self) -> range:
        """Numbers of the shards that a subject's test clips are split into."""
        return range(int(self.config["reconstruct"]["shards"]))


def _runs_of(one: Shown) -> list[Run]:
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
