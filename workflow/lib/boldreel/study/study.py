"""The study of a configuration: subjects, cohort, runs, splits, events, movies, controls.

Takes the complete configuration; reads file names, sidecars and events tables, but no image. Paths are
plain strings as the configuration spells them. Imports only the standard library and nothing of Snakemake:
the workflow, `boldreel check` and the tests use the same object.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from boldreel import configuration, forgotten
from boldreel.data import derivatives, files, spheres
from boldreel.data.presentations import ShownRun
from boldreel.data.splits import SPLITS, check_enough
from boldreel.errors import UserError
from boldreel.insilico.settings import InsilicoSettings
from boldreel.names import natural
from boldreel.roi.settings import RoiSettings
from boldreel.settings import read
from boldreel.study import designs, selection, selectors, subjects
from boldreel.study.controls import Controls
from boldreel.study.movies import StudyMovies
from boldreel.study.presentations import RunSpec
from boldreel.study.runs import Run, RunFinder, runs_of
from boldreel.study.selection import Selection
from boldreel.study.settings import PresentationsSettings
from boldreel.study.shown import StudyPresentations
from boldreel.study.simulated import SimulatedData
from boldreel.windows.settings import DECONVOLVED, LEARNT

METHOD = "mindvideo"  # the main method


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
        self.tree, self.cohort_tree = (
            located(path) if path else None
            for path in (config["bold"]["derivatives"], config["pretrain"]["derivatives"])
        )
        spheres_in = config["bold"]["spheres"]
        self._spheres_in = located(spheres_in) if spheres_in else None
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
        subjects.check_backbone(config)
        finder = RunFinder(config, self.bids, self.tree, self.cohort_tree, self.roi)
        table = config["presentations"]["table"]
        self.presentations = StudyPresentations(
            read(PresentationsSettings, config["presentations"], "presentations"),
            config["segments"],
            finder.events_of,
            Path(located(table)) if table else None,
        )
        self.simulated: SimulatedData | None = None
        if self.insilico is not None:
            self.simulated = SimulatedData(self.insilico, self.bids, self.presentations)
        # For own data: which runs are used, and which are ignored.
        self.selected = self._select(finder)
        self.runs = {subject: self._runs(subject) for subject in self.everybody}
        self.movies = StudyMovies(
            located(config["stimuli"]["folder"] or f"{self.bids}/stimuli"),
            located(named) if (named := config["stimuli"]["annotations"]) else None,
            self.subjects,
            self.presentations,
            self.simulated,
        )
        self._check()

    def _select(self, finder: RunFinder) -> dict[str, Selection]:
        """Find the runs of everybody, what they show, and which of them are used; of none in the demo."""
        found = {}
        if not self.embedded:
            own = [subject for subject in self.everybody if not self.foreign(subject)]
            self.presentations.read({subject: finder.find(subject) for subject in own})
            for subject in own:
                found[subject] = finder.select(subject, self.presentations, subject in self.cohort)
        for subject in self.everybody:
            if self.foreign(subject):
                found[subject] = finder.select_foreign(subject)
        return found

    def _check(self) -> None:
        """UserError if a split has too few segments, or a member of the cohort has no run to pretrain on."""
        for subject in self.subjects:
            check_enough(self.segments_of(subject), f"sub-{subject}")
            designs.check_clips(f"sub-{subject}", self._shown(subject), self.clip_duration, SPLITS)
            if self.roi.selection == "reliability":
                designs.check_reliability(f"sub-{subject}", self._shown(subject))
        for subject in self.cohort:
            selection.check_left(f"sub-{subject}", self.untested(subject))
        if any(derivatives.is_finer(run.bold) for each in self.runs.values() for run in each):
            _ = self.spheres

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
        alone = self.controls.without_other()
        if alone:
            lines.append(
                f"{designs.listed(alone)}: nobody else saw one of the same test clips, so there is no "
                "control `other`"
            )
        if self.config["bold"]["betas"] == "all-runs":
            lines.append(
                "bold.betas is all-runs: test and training trials shared a fit, through which the test may "
                "have reached training; the report says so"
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

    @cached_property
    def spheres(self) -> list[str]:
        """Spheres of the mesh of 59k vertices, left and right; UserError if they are not there."""
        found = spheres.find(self._spheres_in)
        for path in found:
            files.check_source(path)
        return found

    # Runs and splits

    def echoes(self, subject: str) -> list[str]:
        """The further echoes of a subject's runs; the first ones are the runs' own `bold`."""
        if subject not in self.selected:
            return []
        runs = (one.found for one in self.selected[subject].runs)
        return [str(path) for run in runs for path in getattr(run, "echoes", ())]

    def _runs(self, subject: str) -> list[Run]:
        if subject in self.selected:
            runs = []
            for one in self.selected[subject].runs:
                for path in (one.found.path, *getattr(one.found, "echoes", ())):
                    files.check_source(path)
                runs += runs_of(one)
            return sorted(runs, key=lambda run: (natural(run.segment), run.repeat))
        assert self.simulated is not None
        return self.simulated.runs(subject)

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

    def overlaps(self) -> dict[str, Any]:
        """The document "overlaps" of what several splits show; empty if nothing is."""
        held = self.presentations.held
        names, _ = self.presentations.named_movies
        shown = sorted({stimulus for places in held.values() for stimulus in places})
        return {"held": held, "movies": {each: names[each] for each in shown}} if held else {}

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
            "full_names": full_names,
        }

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
        if self.simulated is None:
            return self.presentations.used(subject)
        return self.simulated.shown(self.runs_of(subject, *SPLITS))

    @cached_property
    def _test_clips(self) -> dict[str, set[designs.Clip]]:
        """Whole test clips of each subject."""
        return {
            subject: designs.clips_in(
                (row for run in self._shown(subject) for row in run.of("test")), self.clip_duration
            )
            for subject in self.subjects
        }

    @cached_property
    def controls(self) -> Controls:
        """The controls that the test clips allow."""
        return Controls(self.config["reconstruct"], self._test_clips)

    def repeated(self, subject: str, split: str = "test") -> bool:
        """Whether a clip of a split is shown in two of a subject's runs."""
        return designs.repeated(self._shown(subject), self.clip_duration, split)

    def shares_test(self, subjects: int = 3) -> bool:
        """Whether at least this many subjects saw one test clip."""
        return designs.shared_by(self._test_clips.values(), subjects)

    def shards(self) -> range:
        """Numbers of the shards that a subject's test clips are split into."""
        return range(int(self.config["reconstruct"]["shards"]))
