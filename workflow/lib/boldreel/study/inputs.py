"""Inputs of rules: which files of a study a job reads.

Takes a study and its layout; returns paths as plain strings, or dictionaries of them by the names that rules
give to their inputs. Standard library only and nothing of Snakemake: what the workflow knows about files is
passed as functions. A plan of many subjects calls these methods once or more for each job: those that every
job calls build no `Path`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import lru_cache
from os.path import lexists
from pathlib import Path
from typing import Any

from boldreel import packaged
from boldreel.base_models import resolve
from boldreel.data import batches as naming
from boldreel.data import derivatives
from boldreel.layout import Layout
from boldreel.study.runs import Run
from boldreel.study.study import Study

# The tables of the built-in atlases.
_BUILT_IN = {"visual-centres": "visual_centres.tsv", "hcp-mmp": "hcp_mmp.tsv"}


def _call(function: Callable[..., Any], *arguments: Any) -> Any:
    return function(*arguments)


class Inputs:
    """Input files of rules, by subject.

    Parameters
    ----------
    study, layout : the data, and the paths of its results.
    existing : marks an input that no rule makes; it is called with the path, once for each use.
    made : whether a result exists already.
    stored : whether results are in remote storage, where a job gets only its declared inputs.
    whenever : marks an input whose date does not matter.
    or_exit : calls a function of the study with arguments. A workflow's ends the run on a `UserError`.

    Raises
    ------
    UserError : from every method that asks the study for events, movies or anatomy, unless `or_exit` catches
        it.
    """

    def __init__(
        self,
        study: Study,
        layout: Layout,
        *,
        existing: Callable[[Any], str] = str,
        made: Callable[[str], bool] = os.path.exists,
        stored: bool = False,
        whenever: Callable[[str], str] = str,
        or_exit: Callable[..., Any] = _call,
    ) -> None:
        self.study, self.layout = study, layout
        self._existing, self._made, self._or_exit = existing, made, or_exit
        self.stored = stored
        self._whenever = whenever
        self._below = f"{study.results}/"
        self._responses = lru_cache(maxsize=None)(self._find_responses)

    # Files of the data set, and what is next to them

    def source(self, path: str) -> str:
        """A file of the data set: a rule makes it if the data are simulated."""
        return path if self.study.embedded else self._existing(path)

    def staged(self, paths: Iterable[str]) -> list[str]:
        """Results that a step finds by name next to others; none unless results are in remote storage.

        On a disk they would only make plans of many subjects longer.
        """
        return list(paths) if self.stored else []

    def sidecars(self, paths: Iterable[str]) -> list[str]:
        """The JSON next to each array or BOLD file, which steps need.

        For own data it is optional, since it may be further up in the tree.
        """
        stems = [path.split(".nii")[0].removesuffix(".dtseries") for path in paths]
        beside = [stem.removesuffix(".npy") + ".json" for stem in stems]
        made = self.staged(path for path in beside if path.startswith(self._below))
        own = [path for path in beside if not path.startswith(self._below)]
        # fMRIPrep 20 gave the sidecar of a dense series this name.
        own += [f"{stem}.dtseries.json" for stem in stems if not stem.startswith(self._below)]
        return made + [self._existing(path) for path in own if lexists(path)]

    def files_below(self, folder: str) -> list[str]:
        """Every file in a folder of the user and its subfolders, sorted, without hidden ones."""
        found = (path for path in Path(folder).rglob("*") if not path.name.startswith("."))
        return sorted(self._existing(path) for path in found if path.is_file())

    def weights(self, *names: str) -> list[str]:
        """Files of the named base models that are read, if they are local.

        None of a model of the hub: its name is a parameter, in which `@revision` fixes a version, and the
        job may run where the hub's cache is another one.
        """
        found: list[str] = []
        for name in names:
            place = Path(self.study.models.get(name, ""))
            if name in self.study.models and place.is_dir():
                found += [self._existing(path) for path in resolve.files(name, place)]
            elif name in self.study.models and place.is_file():
                found.append(self._existing(place))
        return found

    # Movies

    def movies(self, *splits: str) -> list[str]:
        """Movies shown in these splits (default: all)."""
        return list(self._or_exit(self.study.movies.files, *splits))

    def movie_files(self, *splits: str) -> list[str]:
        """Files of the movies shown in these splits."""
        return [
            self.source(path) for path in self._or_exit(self.study.movies.files, *splits).values()
        ]

    def batches(self, *splits: str) -> list[str]:
        """Batches of the movies shown in these splits (default: all); a movie may be one by itself."""
        return list(self._or_exit(self.study.movies.batches, *splits))

    def batches_named(self, *splits: str) -> list[str]:
        """The same for a command line: the names of few, patterns of many, such as `train-*`."""
        found = self._or_exit(self.study.movies.batches, *splits)
        if not self.study.movies.batched:
            return list(found)
        return sorted({naming.pattern(batch.splits) for batch in found.values()})

    def batch(self, name: str) -> dict[str, Any]:
        """What a batch is decoded from: its movies, their annotations and, if they are many, their list.

        The list is a subject's table. That it is younger is no reason to decode again: the batch's name
        follows from its movies.
        """
        batch = self._or_exit(self.study.movies.batches)[name]
        files = self._or_exit(self.study.movies.files)
        found = {
            "movie": [self.source(files[movie]) for movie in batch.movies],
            "annotations": self.annotations(*batch.movies),
        }
        if batch.subject:
            found["presentations"] = [self._whenever(self.layout.presentations(batch.subject))]
        return found

    def annotations(self, *names: str) -> list[str]:
        """Existing annotation tables of the movies (all, or those named)."""
        return [
            self.source(path)
            for path in self._or_exit(self.study.movies.annotations, names or None)
        ]

    def frames(self, *splits: str) -> list[str]:
        """Frames of the movies' batches."""
        return [self.layout.frames(batch) for batch in self.batches(*splits)]

    def frames_sidecars(self, *splits: str) -> list[str]:
        """JSON next to the frames, for results in remote storage."""
        return self.staged([self.layout.frames_sidecar(batch) for batch in self.batches(*splits)])

    def shots(self) -> list[str]:
        """Tables of the movies' shots."""
        return [self.layout.shots(batch) for batch in self.batches()]

    def features(self, *splits: str) -> list[str]:
        """Folders of the movies' features."""
        return [self.layout.features(batch) for batch in self.batches(*splits)]

    def jointly(self, path: Callable[[str], str], *splits: str) -> list[str]:
        """Outputs of a rule whose job makes one for each batch (of a method of `Layout`).

        Where movies share batches, the pattern alone: a job for each of them.
        """
        if self.study.movies.batched:
            return [path("{batch}")]
        return [path(batch) for batch in self.batches(*splits)]

    def batches_of_job(self, wildcards: Any) -> list[str]:
        """The batches that a job of such a rule makes something of, if they are of all splits."""
        return [wildcards.batch] if self.study.movies.batched else self.batches()

    def latents(self) -> list[str]:
        """Latents of the training movies."""
        return [self.layout.latents(batch) for batch in self.batches("train", "validation")]

    def latents_sidecars(self) -> list[str]:
        """JSON next to the latents, for results in remote storage."""
        found = self.batches("train", "validation")
        return self.staged([self.layout.latents_sidecar(batch) for batch in found])

    # Simulated data

    def simulated(self, prefix: str, suffix: str, rest: bool = False) -> list[str]:
        """Files of all runs of a simulated subject, of the movies or at rest; outputs of their rule."""
        assert self.study.simulated is not None
        return [
            f"{prefix}task-{segment}_run-{repeat}{suffix}"
            for segment, repeat in self.study.simulated.numbers(rest)
        ]

    # Raw and preprocessed BOLD

    def raw_bold(self, runs: Iterable[Run]) -> list[str]:
        """BOLD files of runs before boldreel: raw, or preprocessed elsewhere."""
        return [
            run.bold if run.bold.startswith(self._below) else self._existing(run.bold)
            for run in runs
        ]

    def raw_run(self, subject: str, segment: str, repeat: str) -> dict[str, Any]:
        """The raw BOLD file of a run, and its sidecars.

        Raises
        ------
        UserError : the subject has no such run.
        """
        (bold,) = self.raw_bold([self._or_exit(self.study.file, subject, segment, repeat)])
        return {"bold": bold, "sidecars": self.sidecars([bold])}

    def echoes(self, subject: str) -> list[str]:
        """The further echoes of a subject's raw runs; `raw_bold` has the first ones."""
        return [self._existing(path) for path in self.study.echoes(subject)]

    def t1w(self, subject: str) -> str:
        """A subject's T1w image."""
        return self.source(self._or_exit(self.study.t1w, subject))

    def events(self, subject: str) -> list[str]:
        """What a subject's table of presentations is made from."""
        return [self.source(path) for path in self._or_exit(self.study.events, subject)]

    def overlaps(self) -> list[str]:
        """What several splits show, if anything is."""
        return [self.layout.overlaps()] if self.study.presentations.held else []

    def presentations(self, subject: str) -> list[str]:
        """The table of what a subject's runs showed; none of a subject who is only in the cohort."""
        return [self.layout.presentations(subject)] if self.study.named(subject) else []

    def movies_of(self, subject: str) -> list[str]:
        """Files of the movies that a subject's runs show."""
        named = (
            []
            if self.study.foreign(subject)
            else self._or_exit(self.study.movies.files_of, subject)
        )
        return [self.source(path) for path in named] if self.study.named(subject) else []

    def run_quality(self, subject: str) -> list[str]:
        """What shows the quality of a subject's preprocessed runs, next to their BOLD."""
        endings = (
            f"{self.layout.SPACE}_desc-preproc_bold.json",
            f"{self.layout.SPACE}_desc-brain_mask.nii.gz",
            f"{self.layout.SPACE}_boldref.nii.gz",
            "desc-confounds_timeseries.tsv",
        )
        return [
            self.layout.preprocessed_run(ending, subject, run.segment, run.repeat)
            for run in self.study.files_of(subject)
            for ending in endings
        ]

    def preprocessed_run(self, subject: str, segment: str, repeat: int | str) -> dict[str, Any]:
        """Preprocessed BOLD of a run, its sidecar and its confounds."""
        bold = self.layout.preprocessed_bold(subject, segment, repeat)
        ending = "desc-confounds_timeseries.tsv"
        confounds = self.layout.preprocessed_run(ending, subject, segment, repeat)
        return {"bold": bold, "sidecars": self.sidecars([bold]), "confounds": confounds}

    def run(self, subject: str, segment: str, repeat: int | str) -> dict[str, Any]:
        """What the series of a run are made from: its files, or the table of their paths."""
        if self.study.adopted(subject):
            run = self._or_exit(self.study.run, subject, segment, repeat)
            return {"runs": self.layout.run_table(subject), **self._spheres([run])}
        return self.preprocessed_run(
            subject, *self._or_exit(self.study.run, subject, segment, repeat).file
        )

    def _spheres(self, runs: Iterable[Run]) -> dict[str, Any]:
        """The spheres that runs on the mesh of 59k vertices need; nothing for any others."""
        if not any(derivatives.is_finer(run.bold) for run in runs):
            return {}
        return {
            "spheres": [self._existing(path) for path in self._or_exit(lambda: self.study.spheres)]
        }

    def control_runs(self, subject: str) -> dict[str, Any]:
        """Preprocessed runs of a subject that are fitted or scored without the encoder."""
        runs = self.study.runs_of(subject, "train", "test")
        if self.study.adopted(subject):
            return {"runs": self.layout.run_table(subject), **self._spheres(runs)}
        found = [self.preprocessed_run(subject, *run.file) for run in runs]
        return {
            "bold": [files["bold"] for files in found],
            "sidecars": [path for files in found for path in files["sidecars"]],
            "confounds": [files["confounds"] for files in found],
        }

    # Positions

    def atlas(self) -> list[str]:
        """Files of the atlas: own ones with the table next to a volume of labels, or the built-in table."""
        found = [
            self._existing(path)
            for value in self.study.atlas.values()
            if value
            for path in (Path(value), Path(value.split(".nii")[0] + ".tsv"))
            if path.is_file()
        ]
        if self.study.roi.atlas in _BUILT_IN:
            table = f"tables/{_BUILT_IN[self.study.roi.atlas]}"
            found.append(self._existing(packaged.path("boldreel.roi", table)))
        return found

    def positions(self) -> dict[str, Any]:
        """What positions are made from: the atlas, and the grid of adopted runs."""
        first = self.study.cohort[0]
        runs = [self.layout.run_table(first)] if self.study.adopted(first) else []
        return {"atlas": self.atlas(), "runs": runs}

    # Series and responses

    def series_of(self, subject: str, runs: Iterable[Run]) -> list[str]:
        """Cleaned series of these runs of a subject."""
        return [self.layout.series(subject, run.segment, run.repeat) for run in runs]

    def series(self, subject: str, *splits: str) -> list[str]:
        """Cleaned series of a subject's runs in these splits (default: all)."""
        return self.series_of(subject, self.study.runs_of(subject, *splits))

    def untested_series(self, subject: str) -> list[str]:
        """Cleaned series of a subject's runs outside the test split, for pretraining."""
        return self.series_of(subject, self.study.untested(subject))

    def control_series(self, subject: str) -> dict[str, Any]:
        """Series of areas where nothing visual is expected, if the atlas or the configuration has any.

        They are not deconvolved, so windows of deconvolved series have no such control.
        """
        if self.study.deconvolved or not self.study.roi.control_groups:
            return {}
        return {
            "control_positions": self.layout.control_positions(),
            "control_series": self.layout.control_series(subject),
        }

    def responses(self, subject: str, *splits: str) -> list[str]:
        """What windows are cut from: a subject's cleaned series, or the deconvolved ones."""
        return self._responses(subject, *splits)

    def _find_responses(self, subject: str, *splits: str) -> list[str]:
        kind = self.layout.activity if self.study.deconvolved else self.layout.series
        return [
            kind(subject, run.segment, run.repeat) for run in self.study.runs_of(subject, *splits)
        ]

    def responses_and_sidecars(self, subject: str, *splits: str) -> dict[str, Any]:
        """A subject's responses in these splits (default: all), as `series` and `sidecars`."""
        found = self.responses(subject, *splits)
        return {"series": found, "sidecars": self.sidecars(found)}

    # Controls and methods

    def other_subject(self, subject: str) -> dict[str, Any]:
        """Another subject's responses to the test clips, as a control."""
        other = self.study.controls.other_of(subject)
        assert other is not None  # rules ask for those who have one
        found = self.responses(other, "test")
        return {
            "other_windows": self.layout.windows(other),
            "other_series": found,
            "other_sidecars": self.sidecars(found),
        }

    def method_controls(self, subject: str) -> dict[str, Any]:
        """What the controls of another method need in addition to what its reconstructions need."""
        names = self.study.controls.names(*self.study.subjects)
        found: dict[str, Any] = {}
        if "mean" in names:
            fitted = self.responses(subject, "train", "validation")
            found |= {"fitted": fitted, "fitted_sidecars": self.sidecars(fitted)}
        if "other" in names:
            found |= self.other_subject(subject)
        return found

    def method_control_folders(self, method: str) -> list[str]:
        """Folders of the controls of another method; outputs of its rule.

        Captions and further seeds are controls of the main method only, and `other` is left out unless every
        subject has one, since a rule has the same outputs for all.
        """
        return [
            self.layout.method_control(method=method, control=control)
            for control in self.study.controls.names(*self.study.subjects)
            if control != "caption" and not control.startswith("seed-")
        ]

    def evidence(self) -> list[str]:
        """What `make ablate` has made so far."""
        subjects = self.study.subjects
        paths = [self.layout.ablation(), *(self.layout.minutes(subject) for subject in subjects)]
        return [path for path in paths if self._made(path)]
