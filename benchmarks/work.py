"""Kinds of work in the pipeline: of what a job's cost is made, what bounds it, how much of it studies hold.

Takes finished results (for how much one job did) or a study; leaves numbers of units. `scaling.py` sets them
against measured seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from finished import Run, passes
from studies import Study

GRAYORDINATES = 91_282


@dataclass(frozen=True)
class Work:
    """One kind of job.

    stage, job : folder and pattern (with named groups) of its benchmark files
    unit : of what its cost is made; done(run, **groups) : how much of it a job did
    left(run, **groups) : what it leaves, below the results
    needed(study) : how much of it a study holds, in all jobs together
    jobs(study) : into how many jobs that is parted
    bound, growth : the resource that bounds it, and why it grows linearly, in words
    network : the one that does the work, see `networks.py`
    written(study) : bytes that a study leaves, where they do not grow as the units do
    pixels(study) : how many times the seconds of the demo's units a study's take
    """

    stage: str
    job: str
    unit: str
    done: Callable[..., float]
    left: Callable[..., list[str]]
    needed: Callable[[Study], float]
    jobs: Callable[[Study], float]
    bound: str
    growth: str
    network: str = ""
    written: Callable[[Study], float] | None = None
    pixels: Callable[[Study], float] = lambda study: 1.0


def _pixels(study: Study) -> float:
    """How many times the pixels of the demo's frames a study's have."""
    return float(study.config["stimuli"]["size"] / 64) ** 2


def _shared_clips(study: Study) -> float:
    """Test clips, those that several subjects saw counted once: 5 of the 23 movies of a subject."""
    return study.clips * study.movie_seconds / (23 * 480)


def _watchers(study: Study) -> float:
    return study.subjects


def _everybody(study: Study) -> float:
    return study.subjects + study.cohort


KINDS: list[Work] = [
    Work(
        "stimuli",
        r"decode-(?P<movie>.+)",
        "million pixels kept",
        lambda run, movie: run.pixels(movie),
        lambda run, movie: [f"stimuli/{movie}/frames.npy"],
        lambda s: s.frames * s.config["stimuli"]["size"] ** 2 / 1e6,
        lambda s: s.movie_seconds / 480,
        "processor (decoding)",
        "each movie is read once, from its beginning to its end, and a piece at a time is held",
    ),
    Work(
        "stimuli",
        r"features",
        "frame",
        lambda run: run.frames(),
        lambda run: [f"stimuli/{movie}/features" for movie in run.movies],
        lambda s: s.frames,
        lambda s: 1,
        "GPU",
        "frames go through frozen CLIP in batches of one size, each once",
        "clip",
    ),
    Work(
        "bold",
        r"run-(?P<subject>\w+)-(?P<segment>\w+)-(?P<repeat>\d+)",
        "million voxels read",
        lambda run, **of: run.volumes(**of) * run.voxels(of["subject"]) / 1e6,
        lambda run, subject, segment, repeat: [
            f"derivatives/embedded/sub-{subject}/func/sub-{subject}_task-{segment}_run-{repeat}_"
            "space-MNI152NLin2009aSym_desc-preproc_bold.nii"
        ],
        lambda s: 0,  # these studies' runs are preprocessed
        lambda s: 0,
        "processor (interpolation)",
        "a job a run; each volume is estimated against one reference and interpolated once",
    ),
    Work(
        "bold",
        r"qc-(?P<subject>\w+)",
        "million values read",
        lambda run, subject: run.volumes(subject) * run.preprocessed(subject) / 1e6,
        lambda run, subject: [f"sub-{subject}/qc.tsv", f"sub-{subject}/qc.html"],
        lambda s: s.all_volumes * GRAYORDINATES / 1e6,
        _everybody,
        "disk (reading)",
        "a job a subject, a run at a time",
    ),
    Work(
        "roi",
        r"series-(?P<subject>\w+)-(?P<segment>\w+)-(?P<repeat>\d+)",
        "million values read",
        lambda run, **of: run.volumes(**of) * run.preprocessed(of["subject"]) / 1e6,
        lambda run, subject, segment, repeat: [
            f"sub-{subject}/series/task-{segment}_run-{repeat}.npy"
        ],
        lambda s: s.all_volumes * GRAYORDINATES / 1e6,
        lambda s: s.subjects * 86 + s.cohort * 4,
        "disk (reading)",
        "a job a run; one projection takes out all regressors",
        written=lambda s: s.all_volumes * s.positions * 4,
    ),
    Work(
        "windows",
        r"sweep-(?P<subject>\w+)",
        "million values of trials",
        lambda run, subject: (
            run.trials(subject, "train", "validation") * _positions(run, subject) / 1e6
        ),
        lambda run, subject: [f"sub-{subject}/sweep.tsv", f"sub-{subject}/choice.json"],
        lambda s: s.subjects * s.trials * s.positions / 1e6,
        _watchers,
        "processor (kernels), memory (clips² of one subject, `windows.max_clips` at most)",
        "a job a subject, which knows no other one",
    ),
    Work(
        "windows",
        r"build-(?P<subject>\w+)",
        "trial",
        lambda run, subject: run.trials(subject),
        lambda run, subject: [f"sub-{subject}/windows.parquet"],
        lambda s: s.subjects * (s.trials + 10 * s.clips),
        _watchers,
        "processor",
        "a row a trial",
    ),
    Work(
        "windows",
        r"ceiling-(?P<subject>\w+)",
        "million values of trials",
        lambda run, subject: run.trials(subject) * _positions(run, subject) / 1e6,
        lambda run, subject: [f"sub-{subject}/noise_ceiling.parquet"],
        lambda s: s.subjects * (s.trials + 10 * s.clips) * s.positions / 1e6,
        _watchers,
        "disk (reading)",
        "sums over repeats, position by position",
    ),
    Work(
        "pretrain",
        r"corpus",
        "million values",
        lambda run: run.segments() * _positions(run, "rest01") / 1e6,
        lambda run: ["corpus"],
        lambda s: s.segments * s.positions / 1e6,
        lambda s: 1,
        "disk (writing)",
        "runs are read one by one and written into shards of one size",
    ),
    Work(
        "pretrain",
        r"train",
        "sample",
        lambda run: run.epochs("pretrain/rest/history.tsv") * run.segments(),
        lambda run: ["pretrain/rest"],
        lambda s: s.config["pretrain"]["epochs"] * s.segments,
        lambda s: 1,
        "GPU",
        "a step takes a batch of one size from mapped shards; epochs are set",
        "autoencoder",
    ),
    Work(
        "align",
        r"train-(?P<subject>\w+)",
        "sample",
        lambda run, subject: (
            run.epochs(f"sub-{subject}/align/history.tsv") * run.trials(subject, "train")
        ),
        lambda run, subject: [f"sub-{subject}/align/model", f"sub-{subject}/align/ridge"],
        lambda s: s.subjects * s.config["align"]["epochs"] * s.trials,
        _watchers,
        "GPU",
        "a job a subject, which knows no other one",
        "encoder",
    ),
    Work(
        "probe",
        r"retrieve-(?P<subject>\w+)",
        "test clip",
        lambda run, subject: _clips(run),
        lambda run, subject: [f"sub-{subject}/align/test"],
        lambda s: s.subjects * s.clips,
        _watchers,
        "processor (clips² of one subject)",
        "a job a subject; pools grow with the square of its test clips, not with subjects",
    ),
    Work(
        "generator",
        r"latents",
        "frame",
        lambda run: run.frames(*(name for name in run.movies if name.startswith("train"))),
        lambda run: ["generator/latents"],
        lambda s: s.frames * 18 / 23,
        lambda s: 1,
        "GPU",
        "each frame is coded once",
        "coder",
    ),
    Work(
        "generator",
        r"tune",
        "clip in a step",
        lambda run: _clip_steps(run, "generator/history.tsv", "generator/model"),
        lambda run: ["generator/model"],
        lambda s: _asked(s.config["generator"]),
        lambda s: 1,
        "GPU",
        "one network for all subjects; its steps are set, whatever the data",
        "denoiser, trained",
    ),
    Work(
        "generator",
        r"cotrain-(?P<subject>\w+)",
        "clip in a step",
        lambda run, subject: _clip_steps(
            run, f"sub-{subject}/cotrain/history.tsv", f"sub-{subject}/cotrain"
        ),
        lambda run, subject: [f"sub-{subject}/cotrain"],
        lambda s: s.subjects * _asked(s.config["cotrain"]),
        _watchers,
        "GPU",
        "a job a subject, steps are set",
        "denoiser, trained",
    ),
    Work(
        "reconstruct",
        r"sample-(?P<subject>\w+)-(?P<shard>\d+)",
        "pass of a clip",
        lambda run, subject, shard: _passes(
            run, f"sub-{subject}/reconstruction/mindvideo/shard-{shard}"
        ),
        lambda run, subject, shard: [f"sub-{subject}/reconstruction/mindvideo/shard-{shard}"],
        lambda s: s.subjects * s.clips * passes(s.config["reconstruct"]),
        lambda s: s.subjects * s.config["reconstruct"]["shards"],
        "GPU",
        "clips are drawn in batches of one size, spread over shards",
        "denoiser",
    ),
    Work(
        "reconstruct",
        r"controls-(?P<subject>\w+)",
        "pass of a clip",
        lambda run, subject: sum(_passes(run, folder) for folder in _drawn(run, subject)),
        lambda run, subject: _drawn(run, subject),
        lambda s: (
            s.subjects
            * _controls(s)
            * _control_clips(s)
            * passes(s.config["reconstruct"] | {"samples": 1})
        ),
        _watchers,
        "GPU",
        "so many clips of each subject, however many there are",
        "denoiser",
    ),
    Work(
        "reconstruct",
        r"true-(?P<shard>\d+)",
        "pass of a clip",
        lambda run, shard: _passes(run, f"reconstruction/true_features/shard-{shard}"),
        lambda run, shard: [f"reconstruction/true_features/shard-{shard}"],
        lambda s: _shared_clips(s) * passes(s.config["reconstruct"]),
        lambda s: s.config["reconstruct"]["shards"],
        "GPU",
        "as many clips as were shown, whoever saw them",
        "denoiser",
    ),
    Work(
        "evaluate",
        r"reference",
        "test clip",
        lambda run: _clips(run),
        lambda run: ["evaluation/reference"],
        _shared_clips,
        lambda s: 1,
        "GPU (judges)",
        "as many clips as were shown, whoever saw them",
        pixels=_pixels,
    ),
    Work(
        "evaluate",
        r"score-(?P<subject>\w+)",
        "test clip",
        lambda run, subject: _clips(run),
        lambda run, subject: [f"sub-{subject}/metrics.parquet", f"sub-{subject}/scores.tsv"],
        lambda s: s.subjects * s.clips,
        _watchers,
        "processor (optical flow, similarity), GPU (judges)",
        "a job a subject, clips in blocks; a clip costs as many pixels as it has, 64 x 64 in the demo",
        pixels=_pixels,
    ),
    Work(
        "report",
        r"figures",
        "subject",
        lambda run: len(list(run.root.glob("sub-*/scores.tsv"))),
        lambda run: ["group/figures"],
        lambda s: s.subjects,
        lambda s: 1,
        "processor (drawing)",
        "a figure a subject, and the group's",
    ),
    Work(
        "report",
        r"page",
        "subject",
        lambda run: len(list(run.root.glob("sub-*/scores.tsv"))),
        lambda run: ["report.html"],
        lambda s: s.subjects,
        lambda s: 1,
        "processor, and whoever reads it",
        "a section a subject; clips shown of each are as many as before",
    ),
]


def _positions(run: Run, subject: str) -> int:
    path = next(run.root.glob(f"sub-{subject}/series/*.npy"))
    return run.shape(str(path.relative_to(run.root)))[1]


def _clips(run: Run) -> int:
    """Test clips, by the upper bound that is drawn for each of them."""
    found = run.root.glob("reconstruction/true_features/shard-*/frames.npy")
    return sum(run.shape(str(path.relative_to(run.root)))[0] for path in found)


def _clip_steps(run: Run, history: str, target: str) -> float:
    config = run.about(target)["config"]
    return run.epochs(history) * config["steps_per_epoch"] * config["batch_size"]


def _asked(section: dict[str, Any]) -> float:
    return section["epochs"] * section["steps_per_epoch"] * section["batch_size"]


def _passes(run: Run, folder: str) -> float:
    count, config = run.drawn(folder)
    return count * passes(config)


def _drawn(run: Run, subject: str) -> list[str]:
    """Folders of a subject's controls but for the one of another subject, which is a job of its own."""
    found = run.root.glob(f"sub-{subject}/reconstruction/control-*")
    return sorted(str(p.relative_to(run.root)) for p in found if p.name != "control-other")


def _controls(study: Study) -> int:
    section = study.config["reconstruct"]
    return len(section["controls"]) + section["seeds"] - 1


def _control_clips(study: Study) -> int:
    return min(study.clips, study.config["reconstruct"]["control_clips"])
