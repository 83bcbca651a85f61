"""Parameters of rules: sections of the configuration as JSON, hashes of code, options of command lines.

Takes the complete configuration and its study; returns strings, lists of words, or functions with the
signatures that Snakemake calls for `params` and `resources`. Standard library only and nothing of Snakemake.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable
from typing import Any

from boldreel import imports
from boldreel.study.study import Study

# Options of the models that judge reconstructions, by their keys in the configuration's `models`.
JUDGES = {
    "image_classifier": "--image-classifier",
    "video_classifier": "--video-classifier",
    "clip": "--clip-model",
    "alexnet": "--alexnet",
    "caption": "--captioner",
    "sentence": "--sentence-model",
}


def _folder(path: str) -> str:
    # Not by a Path, which is slower: thousands of jobs ask.
    return path.rpartition("/")[0]


def code(*steps: str) -> str:
    """Hash of the modules that steps import: `params.code`, so that a change reruns the stage."""
    return " ".join(imports.fingerprint(f"boldreel.{step}") for step in steps)


def one_of(labels: Iterable[str]) -> str:
    """A pattern that matches these labels and nothing else."""
    return "|".join(labels) or "(?!)"


def folder_of(name: str, up: int = 1) -> Callable[..., str]:
    """The folder (`up` levels) that holds an input or output named so; follows remote storage."""

    def found(wildcards: Any, input: Any, output: Any) -> str:
        value = getattr(output if hasattr(output, name) else input, name)
        folder = value if isinstance(value, str) else value[0]
        for _ in range(up):
            folder = _folder(folder)
        return folder

    return found


def folders_of(name: str) -> Callable[..., list[str]]:
    """The folders of the inputs named so, in their order, each once."""

    def found(wildcards: Any, input: Any) -> list[str]:
        return list(dict.fromkeys(map(_folder, getattr(input, name))))

    return found


def _spheres(input: Any) -> list[str]:
    """The spheres of `Inputs.run` or `Inputs.control_runs`, for runs that need them."""
    found = getattr(input, "spheres", None)
    return ["--spheres", *found] if found else []


class Parameters:
    """Parameters and resources of rules.

    Parameters
    ----------
    study : its configuration is the complete one.
    """

    def __init__(self, study: Study) -> None:
        self.study, self.config = study, study.config

    def section(
        self,
        name: str,
        keep: Collection[str] | None = None,
        leave_out: Iterable[str] = (),
        **more: Any,
    ) -> str:
        """The JSON of one section of the configuration, with the seed: `params.cfg`.

        Parameters
        ----------
        keep : the keys that the step reads, unless it reads the whole section. Other keys do not rerun it.
        leave_out : keys that do not rerun the step. `processes` never does, since any number of processes
            trains in the same way.
        more : further keys, which replace those of the section.
        """
        left_out = {"processes", *leave_out}
        kept = {
            key: value
            for key, value in self.config[name].items()
            if key not in left_out and (keep is None or key in keep)
        }
        return json.dumps({"seed": self.config["seed"], **kept, **more}, sort_keys=True)

    def method_options(self, method: str) -> str:
        """The JSON of another method's options, with the seed: `params.cfg`."""
        own = self.config["method_options"].get(method, {})
        return json.dumps({"seed": self.config["seed"], **own}, sort_keys=True)

    def memory(self, mb: float, factor: float | None = None) -> Callable[..., int]:
        """Megabytes that double with each attempt.

        Parameters
        ----------
        mb : what the demo needs, MB.
        factor : multiplies it; by default `memory_factor` of the configuration.
        """
        times = self.config["memory_factor"] if factor is None else factor
        return lambda wildcards, attempt: int(mb * times) * 2 ** (attempt - 1)

    def memory_of_pairs(
        self, mb: float, matrices: float, array: Callable[[Any], str]
    ) -> Callable[..., int]:
        """Megabytes as `memory`, or what matrices of all pairs of positions take, if that is more.

        Parameters
        ----------
        mb : what the demo needs, MB.
        matrices : float64 (V, V) that the step holds at once, everything else included.
        array : takes the job's input; returns an array with a column for each position. Until the job can
            run it may be missing, and then the demo's share counts alone.
        """
        least = self.memory(mb)

        def found(wildcards: Any, input: Any, attempt: int) -> int:
            try:
                with open(array(input).removesuffix(".npy") + ".json", encoding="utf-8") as file:
                    positions = json.load(file)["shape"][-1]
            except (OSError, ValueError):  # or is empty, by `--touch`
                positions = 0
            pairs = int(matrices * 8 * positions**2 / 1e6) * 2 ** (attempt - 1)
            return max(least(wildcards, attempt), pairs)

        return found

    def leaves_predictions(self) -> bool:
        """Whether alignment leaves predictions of training clips: subjects have linear paths of their own."""
        return not self.study.pooled and self.config["align"]["linear_path"] != "none"

    def packed(self) -> bool:
        """Whether the generator is the packed network, which is told what is read and how well."""
        return self.config["generator"]["backbone"] == "packed"

    def video_prior(self, wildcards: Any) -> list[str]:
        """The prior that the packed network starts from, if the configuration names one."""
        models = self.study.models
        return ["--video-model", models["video"]] if self.packed() and "video" in models else []

    def captioning(self) -> dict[str, int]:
        """Resources of captioning: a GPU, unless all movies have annotations."""
        every = len(self.study.movies.files())
        needed = "caption" in self.study.models and len(self.study.movies.annotated()) < every
        return {"gpu": 1} if needed else {}

    def model(self, name: str) -> Callable[..., str]:
        """The folder or hub id of a base model; KeyError at the first job that needs a missing one."""
        return lambda wildcards: self.study.models[name]

    # Words of command lines

    def judges(self, wildcards: Any) -> list[str]:
        """The models that judge reconstructions."""
        models = self.study.models
        return [word for name in JUDGES if name in models for word in (JUDGES[name], models[name])]

    def file_labels(self, wildcards: Any) -> list[str]:
        """Labels of a subject's functional runs."""
        return [run.label for run in self.study.files_of(wildcards.subject)]

    def batch(self, wildcards: Any, input: Any) -> list[str]:
        """The movies of `Inputs.batch` and their annotations."""
        batch = self.study.movies.batches()[wildcards.batch]
        words = ["--movie", *input.movie]
        if batch.subject:
            words = ["--presentations", *input.presentations, "--rows", batch.rows]
        if batch.subject or self.study.movies.annotation_table:
            words += ["--stimuli", self.study.movies.folder]
        return [*words, *self.annotations(wildcards, input)]

    def annotations(self, wildcards: Any, input: Any) -> list[str]:
        """The annotations of movies: one table of all, or of few movies a table each.

        Those of many are found by the movies' files.
        """
        if not input.annotations or (
            self.study.movies.batched and not self.study.movies.annotation_table
        ):
            return []
        option = "--annotation-table" if self.study.movies.annotation_table else "--annotations"
        return [option, *input.annotations]

    def overlaps(self, wildcards: Any, input: Any) -> list[str]:
        """The file of what several splits show; no words if nothing is."""
        return ["--overlaps", *input.overlaps] if input.overlaps else []

    def fmriprep_filter(self, wildcards: Any) -> list[str]:
        """Which raw BOLD fMRIPrep preprocesses, as a BIDS filter; nothing if it is all of it."""
        chosen = self.config["presentations"]["filter"]
        if not chosen and not self.study.selected[wildcards.subject].ignored:
            return []
        return ["--filter", json.dumps(self.study.bids_filter(wildcards.subject), sort_keys=True)]

    def shown(self, wildcards: Any, input: Any) -> list[str]:
        """What a subject's runs showed, and where the movies are; nothing for one who shows nothing."""
        if not input.presentations:
            return []
        stimuli = _folder(input.movies[0]) if self.study.embedded else self.study.movies.folder
        return ["--presentations", *input.presentations, "--stimuli", stimuli]

    def specs(self, wildcards: Any) -> str:
        """What a subject's table of presentations is made from, as JSON."""
        return json.dumps(self.study.specs(wildcards.subject))

    def presentations(self) -> str:
        """What decides about all tables of presentations, as JSON."""
        return json.dumps(self.study.table_settings(), sort_keys=True)

    def run(self, wildcards: Any, input: Any) -> list[str]:
        """The run whose series is extracted, or the stretch of a run; its files are `Inputs.run`."""
        run = self.study.run(wildcards.subject, wildcards.segment, wildcards.repeat)
        if self.study.adopted(wildcards.subject):
            segment, repeat = run.file
            words = ["--runs", input.runs, "--segment", segment, "--repeat", str(repeat)]
            words += _spheres(input)
        else:
            words = ["--bold", input.bold]
        if run.file != (run.segment, run.repeat):
            words += ["--label", run.label]
        for option, limit in (("--begin", run.begin), ("--end", run.end)):
            words += [] if limit is None else [option, repr(limit)]
        return words

    def control_runs(self, wildcards: Any, input: Any) -> list[str]:
        """The runs of `Inputs.control_runs`."""
        runs = self.study.runs_of(wildcards.subject, "train", "test")
        if self.study.adopted(wildcards.subject):
            words = ["--runs", input.runs, "--labels", *(run.whole.label for run in runs)]
            words += _spheres(input)
        else:
            words = ["--bold", *input.bold]
        stretches = [
            None
            if (run.file, run.begin, run.end) == ((run.segment, run.repeat), None, None)
            else [run.label, run.begin, run.end]
            for run in runs
        ]
        return [*words, *(["--stretches", json.dumps(stretches)] if any(stretches) else [])]

    def other_subject(self, wildcards: Any, input: Any) -> list[str]:
        """The responses of `Inputs.other_subject`."""
        series = _folder(input.other_series[0])
        return ["--other-windows", input.other_windows, "--other-series", series]

    def method_controls(self, wildcards: Any, input: Any, output: Any) -> list[str]:
        """The controls of another method, if there are any; inputs are `Inputs.method_controls`."""
        if not output.controls:
            return []
        words = ["--control-clips", self.config["reconstruct"]["control_clips"]]
        if "other" in self.study.controls.names(*self.study.subjects):
            words += self.other_subject(wildcards, input)
        return [*words, "--controls", *output.controls]
