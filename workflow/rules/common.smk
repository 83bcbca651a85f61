# What the stages' files share: configuration, names of files, lists of runs, parameters of a
# step. The only file with Snakemake functions.
import gc
import json
import sys
from functools import lru_cache
from os.path import dirname, lexists
from pathlib import Path
from shlex import quote

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

LIB = ROOT / "workflow" / "lib"
sys.path.insert(0, str(LIB))

from boldreel import (
    configuration,
    imports,
    resolved,
    run_lock,
    snakemake_internals,
)
from boldreel.probe import conditions
from boldreel.base_models import check as models_check
from boldreel.base_models import resolve
from boldreel.data import bids
from boldreel.errors import UserError
from boldreel.insilico import design
from boldreel.layout import Layout
from boldreel.study import preflight
from boldreel.study.study import METHOD, Study
from boldreel.windows.settings import LEARNT as LEARNT_MODES

snakemake_internals.measure_memory_seldom()
# A plan of many subjects has millions of permanent objects. Python's default garbage collection of them takes
# a tenth of the time.
gc.set_threshold(200_000, 50, 100)


class shell(shell):
    """Snakemake's `shell`, with a prefix for this workflow's rules only, not for an importing workflow's."""


def told(function, *arguments):
    """Call a library function; a user's mistake ends the run with its one line."""
    try:
        return function(*arguments)
    except UserError as error:
        sys.exit(
            f"error: {error}"
        )  # a WorkflowError would print lines of the Snakefile as well


def seen(path):
    """A path relative to the working directory, so that moving the folder as a whole changes nothing.

    If the repository is elsewhere, Snakemake records its files by their names in it.
    """
    path, here = Path(path), Path.cwd()
    shown = str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
    name = str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else shown
    return shown if name == shown else snakemake_internals.Named(shown, name)


def located(path):
    """A path from the configuration: relative to the working directory, else in the repository.

    Any other name is unchanged, such as a Hugging Face hub id.
    """
    for place in (Path(path), ROOT / path):
        if place.exists():
            return seen(place)
    return str(path)


def given(path):
    """An existing input file. With results in remote storage it is read where it is mounted."""
    told(bids.check_source, path)
    return snakemake_internals.as_it_lies(seen(path))


def placed(path):
    """A path of results, states or logs, with the prefix of a module."""
    return snakemake_internals.prefixed(workflow, path)


GIVEN = config
config = told(configuration.complete, GIVEN)
study = told(Study, config, ROOT, located, placed)
if snakemake_internals.is_main_process(workflow):
    for line in study.ignored():
        print(line, file=sys.stderr)

DATASET, R = study.dataset, study.results
STATE = placed(f"{config['state']}/{DATASET}")
layout = Layout(R, STATE)
EMBEDDED, ENGINE, MODELS = study.embedded, study.engine, study.models
BIDS, TREE, COHORT_TREE = study.bids, study.tree, study.cohort_tree
SUBJECTS, COHORT = study.subjects, study.cohort
OTHERS = study.methods  # each is a rule file and a package of its own


def prefix():
    """What every shell command begins with: the library, and without conda this Python.

    Hundreds of jobs import the same modules: they are compiled once, whatever the shell says.
    """
    deployed = {
        str(m).rsplit(".", 1)[-1].lower()
        for m in workflow.deployment_settings.deployment_method
    }
    here = (
        ""
        if "conda" in deployed
        else f'export PATH={quote(str(Path(sys.executable).parent))}:"$PATH"; '
    )
    return (
        f"set -euo pipefail; {here}export PYTHONPATH={quote(str(LIB))} PYTHONNOUSERSITE=1 "
        "PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE= TOKENIZERS_PARALLELISM=false MPLBACKEND=Agg; "
    )


def section(name, keep=None, leave_out=(), **more):
    """The JSON of one stage's section of the configuration, with the seed: `params.cfg`.

    keep : the keys that the step reads, where it does not read the whole section: other ones do not run it
        again. Any number of processes trains alike, so that another one is no reason to train again.
    """
    left_out = {"processes", *leave_out}
    kept = {
        key: value
        for key, value in config[name].items()
        if key not in left_out and (keep is None or key in keep)
    }
    return json.dumps({"seed": config["seed"], **kept, **more}, sort_keys=True)


def code(*steps):
    """Hash of the modules that steps import: `params.code`, so that a change reruns the stage."""
    return " ".join(imports.fingerprint(f"boldreel.{step}") for step in steps)


def memory(mb, factor=config["memory_factor"]):
    """Megabytes that double with each attempt: `factor` times what the demo needs."""
    return lambda wildcards, attempt: int(mb * factor) * 2 ** (attempt - 1)


def weights(*names):
    """What is read of the named base models where they are local: inputs of their users.

    Of a model of the hub nothing is: its name, in which `@revision` fixes a version, is a parameter, and
    the hub's cache may be another one where the job runs.
    """
    found = []
    for name in names:
        place = Path(MODELS.get(name, ""))
        if name in MODELS and place.is_dir():
            found += [given(path) for path in resolve.files(name, place)]
        elif name in MODELS and place.is_file():
            found.append(given(place))
    return found


def model(name):
    """The folder or hub id of a base model, as a parameter."""
    return lambda wildcards: MODELS[name]


JUDGES = {
    "--image-classifier": "image_classifier",
    "--video-classifier": "video_classifier",
    "--clip-model": "clip",
    "--alexnet": "alexnet",
    "--captioner": "caption",
    "--sentence-model": "sentence",
}


def of_other(subject):
    """Another subject's responses, as inputs."""
    other = study.other_of(subject)
    return {
        "other_windows": layout.windows(other),
        "other_series": responses(other, "test"),
        "other_sidecars": sidecars(responses(other, "test")),
    }


def other_options(input):
    """The same as words of the command line."""
    series = str(Path(input.other_series[0]).parent)
    return ["--other-windows", input.other_windows, "--other-series", series]


def method_controls(method):
    """Folders of what another method makes of something else than a subject's responses.

    Captions and seeds of sampling are the main method's alone.
    """
    return [
        layout.method_control(method=method, control=control)
        for control in study.controls()
        if control != "caption" and not control.startswith("seed-")
    ]


def method_control_inputs(wildcards):
    """What these controls take next to what a reconstruction does."""
    names = study.controls()
    fitted = responses(wildcards.subject, "train", "validation")
    about = {"fitted": fitted, "fitted_sidecars": sidecars(fitted)}
    mean = about if "mean" in names else {}
    return mean | (of_other(wildcards.subject) if "other" in names else {})


def method_control_options(wildcards, input, output):
    """The same as words of the command line."""
    if not output.controls:
        return []
    words = ["--control-clips", config["reconstruct"]["control_clips"]]
    words += other_options(input) if "other" in study.controls() else []
    return [*words, "--controls", *output.controls]


def judges(wildcards):
    """Command-line options of the models that look at reconstructions, as a parameter."""
    return [
        word
        for option, name in JUDGES.items()
        if name in MODELS
        for word in (option, MODELS[name])
    ]


def method_options(name):
    """The JSON of a method's options, with the seed: `params.cfg`."""
    own = config["method_options"].get(name, {})
    return json.dumps({"seed": config["seed"], **own}, sort_keys=True)


def left_by(method, stage, subject, kind=None):
    """What the rule of another method's stage leaves for a subject, or its output of one name.

    Nothing where there is no such rule: a method need not be fitted, or have controls.
    """
    name = f"{method}_{stage}"
    if not rules.has(name):
        return []
    output = getattr(rules, name).output
    paths = output if kind is None else output.get(kind, [])
    return [path.apply_wildcards({"subject": subject}) for path in paths]


def fits():
    """What the other methods' rules `{method}_train` leave."""
    return [
        path
        for name in OTHERS
        for subject in SUBJECTS
        for path in left_by(name, "train", subject)
    ]


def simulated(prefix, suffix, rest=False):
    """Files of all runs of a simulated subject: of the movies, or at rest."""
    runs = [
        (segment, repeat + 1)
        for segment in ([design.REST] if rest else design.segments(study.insilico))
        for repeat in range(design.repeats(study.insilico, segment))
    ]
    return [f"{prefix}task-{segment}_run-{repeat}{suffix}" for segment, repeat in runs]


def source(path):
    """A file of the data set: made by a rule where it is simulated, else there before."""
    return path if EMBEDDED else given(path)


def raw_bold(runs):
    """The raw BOLD files of runs of one subject, or of what is preprocessed already."""
    return [
        given(run.bold) if not run.bold.startswith(f"{R}/") else run.bold
        for run in runs
    ]


def echoes(subject):
    """The further echoes of a subject's raw runs; raw_bold has the first ones."""
    return [given(path) for path in study.echoes(subject)]


def raw(wildcards):
    """The raw BOLD file of a run."""
    for run in study.runs[wildcards.subject]:
        if (run.segment, str(run.repeat)) == (wildcards.segment, wildcards.repeat):
            return raw_bold([run])[0]
    raise WorkflowError(
        f"sub-{wildcards.subject} has no run {wildcards.repeat} of task {wildcards.segment} in {BIDS}"
    )


def beside_runs(subject):
    """What tells of the quality of a subject's preprocessed runs, besides their BOLD."""
    beside = (
        f"{layout.SPACE}_desc-preproc_bold.json",
        f"{layout.SPACE}_desc-brain_mask.nii.gz",
        f"{layout.SPACE}_boldref.nii.gz",
        "desc-confounds_timeseries.tsv",
    )
    return [
        layout.preprocessed_run(ending, subject, run.segment, run.repeat)
        for run in study.runs[subject]
        for ending in beside
    ]


def run_files(wildcards):
    """What the series of a run are made from: its files, or the table that says where they lie."""
    if study.adopted(wildcards.subject):
        return {"runs": layout.run_table(wildcards.subject)}
    return files_of_run(wildcards.subject, wildcards.segment, wildcards.repeat)


def of_positions(wildcards):
    """What positions are made from: the atlas, and the grid of adopted runs."""
    runs = [layout.run_table(COHORT[0])] if study.adopted(COHORT[0]) else []
    return {"atlas": ATLAS_FILES, "runs": runs}


def files_of_run(*run):
    """The preprocessed BOLD of a run (subject, segment, repeat), its sidecar and its confounds."""
    bold = layout.preprocessed_bold(*run)
    confounds = layout.preprocessed_run("desc-confounds_timeseries.tsv", *run)
    return {"bold": bold, "sidecars": sidecars([bold]), "confounds": confounds}


def control_runs(wildcards):
    """The preprocessed runs of a subject that are fitted or scored without the encoder."""
    if study.adopted(wildcards.subject):
        return {"runs": layout.run_table(wildcards.subject)}
    found = [
        files_of_run(wildcards.subject, run.segment, run.repeat)
        for run in study.runs_of(wildcards.subject, "train", "test")
    ]
    return {
        "bold": [files["bold"] for files in found],
        "sidecars": [path for files in found for path in files["sidecars"]],
        "confounds": [files["confounds"] for files in found],
    }


def control_run_options(wildcards, input):
    """The same as words of the command line."""
    if not study.adopted(wildcards.subject):
        return ["--bold", *input.bold]
    runs = study.runs_of(wildcards.subject, "train", "test")
    return ["--runs", input.runs, "--labels", *(run.label for run in runs)]


def control_series(wildcards):
    """Series of areas where nothing visual is expected, if the atlas or the configuration has any.

    They are not deconvolved: windows of deconvolved series have no such control.
    """
    if study.deconvolved or not study.roi.control_groups:
        return {}
    return {
        "control_positions": layout.control_positions(),
        "control_series": layout.control_series(wildcards.subject),
    }


def series_of(subject, runs):
    """The cleaned series of these runs of a subject."""
    return [layout.series(subject, run.segment, run.repeat) for run in runs]


def series(subject, *splits):
    """The cleaned series of a subject's runs."""
    return series_of(subject, study.runs_of(subject, *splits))


@lru_cache(maxsize=None)
def responses(subject, *splits):
    """What windows are cut from: a subject's cleaned series, or those deconvolved."""
    kind = layout.activity if study.deconvolved else layout.series
    runs = study.runs_of(subject, *splits)
    return [kind(subject, run.segment, run.repeat) for run in runs]


def own_responses(*splits):
    """A subject's responses in these splits, as inputs of a rule: for `unpack`."""

    def found(wildcards):
        own = responses(wildcards.subject, *splits)
        return {"series": own, "sidecars": sidecars(own)}

    return found


def evidence():
    """What `make ablate` has made, as far as it is there."""
    made = [
        layout.ablation(),
        *(layout.minutes(subject) for subject in SUBJECTS),
    ]
    return [path for path in made if exists(placed(path))]


def remote():
    """Whether results lie in remote storage."""
    return workflow.storage_settings.default_storage_provider is not None


def staged(paths):
    """Files of the results that a step finds by name next to others.

    With results in remote storage a job gets only its declared inputs. Otherwise these files would only make
    plans of many subjects longer.
    """
    return list(paths) if remote() else []


def sidecars(paths):
    """The JSON next to each array or BOLD file, which steps need.

    For own data it is optional: its content may be further up in the tree.
    """
    stems = [path.split(".nii")[0].removesuffix(".dtseries") for path in paths]
    beside = [stem.removesuffix(".npy") + ".json" for stem in stems]
    made = staged(path for path in beside if path.startswith(f"{R}/"))
    own = [path for path in beside if not path.startswith(f"{R}/")]
    # fMRIPrep 20 named a dense series' sidecar so.
    own += [f"{stem}.dtseries.json" for stem in stems if not stem.startswith(f"{R}/")]
    return made + [given(path) for path in own if lexists(path)]


def events(subject, *splits):
    """The events files of a subject's runs in these splits (default: all), in the order of the runs."""
    return [source(path) for path in told(study.events, subject, *splits).values()]


def run_labels(wildcards):
    """A subject's runs as words of a command line: events belong to those that are shown."""
    shown = [run.label for run in study.named(wildcards.subject)]
    others = [run.label for run in study.unnamed(wildcards.subject)]
    return ["--shown", *shown, *(["--others", *others] if others else [])]


def movies(*splits):
    """Movies shown in the segments of the splits."""
    return list(told(study.movies, *splits))


def movie_files(*splits):
    """The movie files of the splits."""
    return [source(path) for path in told(study.movies, *splits).values()]


def features(*splits):
    """Feature folders of the movies."""
    return [layout.features(movie) for movie in movies(*splits)]


def annotations(*names):
    """Annotation tables next to the movies (all, or those named), where there are any."""
    return [source(path) for path in told(study.annotations, names or None)]


def captioning():
    """Further resources of captioning: a GPU, unless all movies have annotations."""
    needed = "caption" in MODELS and len(annotations()) < len(movies())
    return {"gpu": 1} if needed else {}


def absent_models():
    """Base models of the hub that are not in its cache here; any other missing model is an error.

    Skipped in jobs, since the run that started them has checked. With results in remote storage, folders may
    be mounted only where jobs run.
    """
    if not snakemake_internals.is_main_process(workflow):
        return {}
    named = {
        name: place
        for name, place in MODELS.items()
        if not (remote() and Path(place).is_absolute())
    }
    absent = told(models_check.check_named, named)
    if absent:
        print(f"warning: {models_check.absent_line(absent)}", file=sys.stderr)
    return absent


def check_models():
    """Check that the missing base models named by commands of this run can be downloaded."""
    one_of_each = {job.rule.name: job for job in workflow.dag.needrun_jobs()}
    commands = " ".join(str(job.shellcmd) for job in one_of_each.values())
    needed = {name: found for name, found in ABSENT.items() if MODELS[name] in commands}
    for line in told(models_check.check_hub, needed, not workflow.local_exec):
        print(f"warning: {line}", file=sys.stderr)


ABSENT = absent_models()
WRITTEN = [placed(R), STATE, placed(layout.logs)]
HELD = []  # locks that keep other runs from writing to these folders
if snakemake_internals.is_main_process(workflow) and not remote():
    THIS_RUN = run_lock.about(ROOT, config)
    if difference := run_lock.difference(WRITTEN[0], THIS_RUN):
        logger.warning(f"warning: {difference}")


def before_jobs():
    """Checks and locks before the first job; a dry run skips them."""
    snakemake_internals.lift_rate_limit(workflow)
    if workflow.local_exec:
        told(preflight.check_container, study)
    check_models()
    if not remote():
        told(configuration.check_writable, WRITTEN)
        told(preflight.check_runs, study)
        HELD.extend(told(run_lock.hold, folder, THIS_RUN) for folder in WRITTEN[:2])
        told(resolved.write, WRITTEN[0], GIVEN, config)
    for line in resolved.summary(GIVEN, config, SUBJECTS, study.counted()):
        logger.info(line)


def one_of(subjects):
    """A pattern that matches these subjects and nothing else."""
    return "|".join(subjects) or "(?!)"


def folder_of(name, up=1):
    """The folder (`up` levels) that holds an input or output named so; follows remote storage."""

    def found(wildcards, input, output):
        holder = output if hasattr(output, name) else input
        value = getattr(holder, name)
        folder = value if isinstance(value, str) else value[0]
        for _ in range(up):  # not by a Path, which takes longer: thousands of jobs ask
            folder = dirname(folder)
        return folder

    return found
