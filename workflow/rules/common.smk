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
    forgotten,
    imports,
    resolved,
    run_lock,
    snakemake_internals,
)
from boldreel.probe import conditions
from boldreel.base_models import check as models_check
from boldreel.base_models import resolve
from boldreel.bold import bids_filter
from boldreel.data import bids, derivatives, selection
from boldreel.data.splits import SPLITS, check_enough, split_of
from boldreel.errors import UserError
from boldreel.insilico import design
from boldreel.insilico.settings import InsilicoSettings
from boldreel.layout import Layout
from boldreel.roi.settings import RoiSettings
from boldreel.settings import read
from boldreel.windows import modes

snakemake_internals.measure_memory_seldom()
# A plan of many subjects is millions of objects that all stay: to look through them for garbage as often as
# Python does by itself takes a tenth of the time.
gc.set_threshold(200_000, 50, 100)


class shell(shell):
    """Snakemake's own, with a prefix for the rules of this workflow and not of one that imports it."""


def told(function, *arguments):
    """Call a library function; a user's mistake ends the run with its one line."""
    try:
        return function(*arguments)
    except UserError as error:
        sys.exit(
            f"error: {error}"
        )  # a WorkflowError would print lines of the Snakefile as well


def seen(path):
    """A path as it is seen from the working directory, so that a folder that moves as a whole is the same.

    Where the repository lies elsewhere, Snakemake notes its files by their names in it.
    """
    path, here = Path(path), Path.cwd()
    shown = str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
    name = str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else shown
    return shown if name == shown else snakemake_internals.Named(shown, name)


def located(path):
    """A path from the configuration: as seen from the working directory, else from the repository.

    A name that is neither is left alone: a Hugging Face hub id.
    """
    for place in (Path(path), ROOT / path):
        if place.exists():
            return seen(place)
    return str(path)


def given(path):
    """A file that was there before: with results in remote storage it is read where it is mounted."""
    told(bids.check_source, path)
    return snakemake_internals.as_it_lies(seen(path))


def placed(path):
    """A path of results, states or logs, with the prefix of a module."""
    return snakemake_internals.prefixed(workflow, path)


GIVEN = config
config = told(configuration.complete, GIVEN)
told(configuration.check_paths, config, ROOT)

DATASET = config["dataset"]
R = f"{config['results']}/{DATASET}"
LOGS = f"logs/{DATASET}"
STATE = placed(f"{config['state']}/{DATASET}")
layout = Layout(R, STATE, LOGS)
EMBEDDED = config["bids"] is None
ENGINE = config["bold"]["engine"]
BIDS = f"{R}/bids" if EMBEDDED else located(config["bids"])
DERIVATIVES = (
    f"{R}/derivatives/{ENGINE.removesuffix('-docker').removesuffix('-apptainer')}"
)
SPACE = "space-MNI152NLin2009aSym"
DERIVED_SPACE = config["bold"]["space"] or derivatives.VOLUME
MODELS = {name: located(path) for name, path in config["models"].items() if path}
INSILICO = read(InsilicoSettings, config["insilico"], "insilico") if EMBEDDED else None
GONE = told(forgotten.read, R)
SUBJECTS = told(configuration.subjects_of, config, located, GONE)
COHORT = told(configuration.cohort_of, config, located, SUBJECTS, GONE)
told(configuration.check_holdout, config, COHORT)
METHOD = "mindvideo"
# The other methods: each is a rule file and a package of its own.
OTHERS = [name for name in config["methods"] if name != METHOD]
told(configuration.check_methods, config, ROOT)
ROI = told(read, RoiSettings, config["roi"], "roi")
DECONVOLVED = config["windows"]["hrf"]["mode"] in modes.DECONVOLVED
TREE, COHORT_TREE = (
    located(path) if path else None
    for path in (config["bold"]["derivatives"], config["pretrain"]["derivatives"])
)
told(configuration.check_engine, config)
POOLED = config["align"]["subjects"] == "pooled"
told(configuration.check_pool, config, SUBJECTS)


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


def other_of(subject):
    """Whose responses are this subject's control: the first label's, and for the first the second's.

    So that a new subject, whose label comes later, changes nobody else's control.
    """
    first, second = sorted(SUBJECTS)[:2]
    return second if subject == first else first


def drawn_controls():
    """What is drawn beside a subject's reconstruction: controls, and further seeds."""
    cfg = config["reconstruct"]
    seeds = 1 if cfg["continuous"] else int(cfg["seeds"])
    kept = [name for name in cfg["controls"] if name != "other" or len(SUBJECTS) > 1]
    return [*kept, *(f"seed-{number}" for number in range(1, seeds))]


def own_controls():
    """Those of them that no other subject takes part in."""
    return [name for name in drawn_controls() if name != "other"]


def of_other(subject):
    """Another subject's responses, as inputs."""
    other = other_of(subject)
    return {
        "other_windows": f"{R}/sub-{other}/windows.parquet",
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
        f"{R}/sub-{{subject}}/reconstruction/{method}/control-{control}"
        for control in drawn_controls()
        if control != "caption" and not control.startswith("seed-")
    ]


def method_control_inputs(wildcards):
    """What these controls take beside what a reconstruction does."""
    names = drawn_controls()
    fitted = responses(wildcards.subject, "train", "validation")
    about = {"fitted": fitted, "fitted_sidecars": sidecars(fitted)}
    mean = about if "mean" in names else {}
    return mean | (of_other(wildcards.subject) if "other" in names else {})


def method_control_options(wildcards, input, output):
    """The same as words of the command line."""
    if not output.controls:
        return []
    words = ["--control-clips", config["reconstruct"]["control_clips"]]
    words += other_options(input) if "other" in drawn_controls() else []
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


def scored(name):
    """A file of each other method's scores of a subject."""
    return [f"{R}/sub-{{subject}}/methods/{method}/{name}" for method in OTHERS]


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
    if not EMBEDDED:
        return []
    runs = [
        (segment, repeat + 1)
        for segment in ([design.REST] if rest else design.segments(INSILICO))
        for repeat in range(design.repeats(INSILICO, segment))
    ]
    return [f"{prefix}task-{segment}_run-{repeat}{suffix}" for segment, repeat in runs]


def foreign(subject):
    """Whether a subject comes from the pretraining cohort's own derivatives, without raw data."""
    return COHORT_TREE is not None and subject not in SUBJECTS


def adopted(subject):
    """Whether a subject's preprocessed runs are read through a table of where they lie."""
    return ENGINE != "embedded" or foreign(subject)


def simulated_runs(subject):
    """[(segment, repeat, path of the raw BOLD)] of a simulated subject."""
    func = f"{BIDS}/sub-{subject}/func/sub-{subject}"
    return [
        (segment, repeat, f"{func}_task-{segment}_run-{repeat}_bold.nii")
        for segment, repeat in design.runs(INSILICO, subject)
    ]


def chosen_runs(subject):
    """Which runs of a subject's own data count, and which are ignored.

    Of derivatives that are there already it is the preprocessed runs. What lies in a cohort's tree of its own
    is all for pretraining: its thousands of files are not opened.
    """
    raw = ENGINE != "derivatives" and not foreign(subject)
    if raw:
        found = told(bids.find_runs, BIDS, subject)
    else:
        tree = COHORT_TREE if foreign(subject) else TREE
        found = told(derivatives.find, tree, subject, DERIVED_SPACE)
    if foreign(subject):
        return told(selection.choose, found, config["segments"], lambda run: "")
    if not raw:
        keys = [run.key for run in found if not run.fault]
        of_raw = bids.run_keys(BIDS, subject)
        told(
            selection.check_preprocessed,
            f"sub-{subject}",
            of_raw,
            keys,
            config["segments"],
        )

    def left_out(run):
        return bids_filter.left_out(FILTER, run.path)

    def fault_of(run):
        return selection.fault(run.path, config["bold"]["min_volumes"], raw)

    rest = fault_of if subject in COHORT else None
    return told(selection.choose, found, config["segments"], rest, left_out)


def shown_in(subject):
    """{(segment, repeat): events file} of adopted runs, from the raw data set."""
    known = told(bids.find_events, BIDS, subject)
    shown = {}
    for run in CHOSEN[subject].runs:
        path = known.get(run.key)
        if path is None and told(split_of, run.segment, config["segments"]):
            path = bids.events_of(bids.raw_name(run.path, BIDS))
        if run.key in known or (path and path.exists()):
            shown[run.segment, run.repeat] = path
    return shown


FILTER = (
    told(bids_filter.read, config["bold"]["fmriprep"])
    if ENGINE.startswith("fmriprep")
    else {}
)
# Every subject's runs that count: [(segment, repeat, path of the raw BOLD)], or of what is preprocessed already.
CHOSEN = {
    subject: chosen_runs(subject)
    for subject in dict.fromkeys([*SUBJECTS, *COHORT])
    if not EMBEDDED or foreign(subject)
}
RAW = {
    subject: (
        [(run.segment, run.repeat, given(run.path)) for run in CHOSEN[subject].runs]
        if subject in CHOSEN
        else simulated_runs(subject)
    )
    for subject in dict.fromkeys([*SUBJECTS, *COHORT])
}
SHOWN = {
    subject: shown_in(subject)
    for subject in RAW
    if ENGINE == "derivatives" and not foreign(subject)
}


def raw(wildcards):
    """The raw BOLD file of a run."""
    for segment, repeat, path in RAW[wildcards.subject]:
        if (segment, str(repeat)) == (wildcards.segment, wildcards.repeat):
            return path
    raise WorkflowError(
        f"sub-{wildcards.subject} has no run {wildcards.repeat} of task {wildcards.segment} in {BIDS}"
    )


@lru_cache(maxsize=None)
def in_split(segment, *splits):
    """Whether a segment belongs to one of the splits (validation is taken out of train)."""
    return told(split_of, segment, config["segments"]) in splits


def runs_of(subject, *splits):
    """[(segment, repeat)] of a subject, of all splits or of those named."""
    every = [(segment, repeat) for segment, repeat, _ in RAW[subject]]
    return [run for run in every if in_split(run[0], *splits)] if splits else every


def untested(subject):
    """[(segment, repeat)] of a subject outside the test split: what may be fitted, rest included.

    Of a member of the pretraining cohort these are all intact runs, whether `segments` names them or not.
    """
    return [run for run in runs_of(subject) if not in_split(run[0], "test")]


for subject in SUBJECTS:
    shown = (
        CHOSEN[subject].segments
        if subject in CHOSEN
        else [segment for segment, _, _ in RAW[subject]]
    )
    told(check_enough, shown, config["segments"], f"sub-{subject}")
for subject in COHORT:
    told(selection.check_left, f"sub-{subject}", untested(subject))
if workflow.is_main_process:
    ignored = {subject: chosen.ignored for subject, chosen in CHOSEN.items()}
    for line in selection.told(ignored):
        print(line, file=sys.stderr)


def preprocessed(subject, segment, repeat):
    """The preprocessed BOLD file of a run."""
    return (
        f"{DERIVATIVES}/sub-{subject}/func/sub-{subject}_task-{segment}_run-{repeat}_{SPACE}"
        "_desc-preproc_bold.nii"
    )


def beside_runs(subject):
    """What tells of the quality of a subject's preprocessed runs, beside their BOLD."""
    beside = (
        f"_{SPACE}_desc-preproc_bold.json",
        f"_{SPACE}_desc-brain_mask.nii.gz",
        f"_{SPACE}_boldref.nii.gz",
        "_desc-confounds_timeseries.tsv",
    )
    stems = [
        preprocessed(subject, *run).split(f"_{SPACE}")[0] for run in runs_of(subject)
    ]
    return [stem + ending for stem in stems for ending in beside]


def run_table(subject):
    """The table of where a subject's adopted runs lie."""
    return f"{R}/sub-{subject}/bold.tsv"


def run_files(wildcards):
    """What the series of a run are made from: its files, or the table that says where they lie."""
    if adopted(wildcards.subject):
        return {"runs": run_table(wildcards.subject)}
    return files_of_run(wildcards.subject, wildcards.segment, wildcards.repeat)


def of_positions(wildcards):
    """What positions are made from: the atlas, and the grid of adopted runs."""
    runs = [run_table(COHORT[0])] if adopted(COHORT[0]) else []
    return {"atlas": ATLAS_FILES, "runs": runs}


def files_of_run(*run):
    """The preprocessed BOLD of a run (subject, segment, repeat), its sidecar and its confounds."""
    bold = preprocessed(*run)
    confounds = bold.split(f"_{SPACE}")[0] + "_desc-confounds_timeseries.tsv"
    return {"bold": bold, "sidecars": sidecars([bold]), "confounds": confounds}


def control_runs(wildcards):
    """The preprocessed runs of a subject that are fitted or scored without the encoder."""
    if adopted(wildcards.subject):
        return {"runs": run_table(wildcards.subject)}
    found = [
        files_of_run(wildcards.subject, *run)
        for run in runs_of(wildcards.subject, "train", "test")
    ]
    return {
        "bold": [files["bold"] for files in found],
        "sidecars": [path for files in found for path in files["sidecars"]],
        "confounds": [files["confounds"] for files in found],
    }


def control_run_options(wildcards, input):
    """The same as words of the command line."""
    if not adopted(wildcards.subject):
        return ["--bold", *input.bold]
    runs = runs_of(wildcards.subject, "train", "test")
    return ["--runs", input.runs, "--labels", *(bids.run_label(*run) for run in runs)]


def control_series(wildcards):
    """Series of areas where nothing visual is expected, if the atlas or the configuration has any.

    They are not deconvolved: windows of deconvolved series have no such control.
    """
    if DECONVOLVED or not ROI.control_groups:
        return {}
    return {
        "control_positions": f"{R}/atlas/control.parquet",
        "control_series": f"{R}/sub-{wildcards.subject}/roi/control",
    }


def series_of(subject, runs, folder="series"):
    """The cleaned series of these runs of a subject."""
    return [
        f"{R}/sub-{subject}/{folder}/task-{segment}_run-{repeat}.npy"
        for segment, repeat in runs
    ]


def series(subject, *splits):
    """The cleaned series of a subject's runs."""
    return series_of(subject, runs_of(subject, *splits))


@lru_cache(maxsize=None)
def responses(subject, *splits):
    """What windows are cut from: a subject's cleaned series, or those deconvolved."""
    folder = "activity" if DECONVOLVED else "series"
    return series_of(subject, runs_of(subject, *splits), folder)


def own_responses(*splits):
    """A subject's responses in these splits, as inputs of a rule: for `unpack`."""

    def found(wildcards):
        own = responses(wildcards.subject, *splits)
        return {"series": own, "sidecars": sidecars(own)}

    return found


def members(pool):
    """Subjects of a pooled encoder: `pool`, or all `without-XX`."""
    if pool == "pool":
        return config["align"]["pool"] or SUBJECTS
    return [subject for subject in SUBJECTS if pool != f"without-{subject}"]


def evidence():
    """What `make ablate` has made, as far as it is there."""
    made = [
        f"{R}/group/ablation.tsv",
        *(f"{R}/sub-{subject}/align/minutes.tsv" for subject in SUBJECTS),
    ]
    return [path for path in made if exists(placed(path))]


def remote():
    """Whether results lie in remote storage."""
    return workflow.storage_settings.default_storage_provider is not None


def staged(paths):
    """Files of the results that a step finds by their names beside others.

    Where results lie in remote storage a job gets only what it names; elsewhere they would make plans of many
    subjects longer for nothing.
    """
    return list(paths) if remote() else []


def sidecars(paths):
    """The JSON beside each array or BOLD file, without which steps do not read it.

    Beside own data it need not be: what it would say can stand further up in the tree.
    """
    stems = [path.split(".nii")[0].removesuffix(".dtseries") for path in paths]
    beside = [stem.removesuffix(".npy") + ".json" for stem in stems]
    made = staged(path for path in beside if path.startswith(f"{R}/"))
    own = [path for path in beside if not path.startswith(f"{R}/")]
    # fMRIPrep 20 named a dense series' sidecar so.
    own += [f"{stem}.dtseries.json" for stem in stems if not stem.startswith(f"{R}/")]
    return made + [given(path) for path in own if lexists(path)]


def events(subject, *splits):
    """The events files of the same runs, in the same order."""
    return list(events_by_run(subject, *splits).values())


def events_by_run(subject, *splits):
    """{(segment, repeat): events file} of a subject's runs in these splits, or in any."""
    chosen = set(runs_of(subject, *(splits or SPLITS)))
    return {
        (segment, repeat): events_of(subject, segment, repeat, path)
        for segment, repeat, path in RAW[subject]
        if (segment, repeat) in chosen
    }


def own_runs(subject, named):
    """[(segment, repeat, path)] of a subject's runs that `segments` names, or (not `named`) of all others."""
    return [run for run in RAW[subject] if in_split(run[0], *SPLITS) == named]


def bold_files(named):
    """The BOLD of a subject's runs that `segments` names, or of all others, as inputs."""
    return lambda wildcards: [path for _, _, path in own_runs(wildcards.subject, named)]


def run_labels(wildcards):
    """The same runs' labels as words of a command line: events belong to those that are shown."""
    shown, others = (
        [
            bids.run_label(segment, repeat)
            for segment, repeat, _ in own_runs(wildcards.subject, named)
        ]
        for named in (True, False)
    )
    return ["--shown", *shown, *(["--others", *others] if others else [])]


def events_of(subject, segment, repeat, path):
    """The events file of a run: beside its raw BOLD, or where the raw data set has it."""
    if EMBEDDED:
        return path.split("_bold.nii")[0] + "_events.tsv"
    if subject not in SHOWN:
        return given(bids.events_of(path))
    if (segment, repeat) not in SHOWN[subject]:
        sys.exit(
            f"error: {BIDS}/sub-{subject}: no events file for {bids.run_label(segment, repeat)}; "
            "write its _events.tsv, or take its task out of `segments`"
        )
    return given(SHOWN[subject][segment, repeat])


@lru_cache(maxsize=None)
def stim_files(*splits):
    """{movie: stim_file} of what is shown in the segments of the splits, by name.

    Rules ask for movies again and again, and each asking would read every events file.
    """
    paths = [path for subject in SUBJECTS for path in events(subject, *splits)]
    return dict(sorted(told(configuration.movies_shown, paths).items()))


@lru_cache(maxsize=None)
def movies(*splits):
    """Movies shown in the segments of the splits; the demo's movie is named like its segment."""
    if EMBEDDED:
        names = design.segments(INSILICO)
        return [name for name in names if not splits or in_split(name, *splits)]
    return list(stim_files(*(splits or SPLITS)))


@lru_cache(maxsize=None)
def movie_files(*splits):
    """The movie files of the splits."""
    if EMBEDDED:
        return [f"{BIDS}/stimuli/{name}.mp4" for name in movies(*splits)]
    named = stim_files(*(splits or SPLITS)).values()
    return [given(told(configuration.movie_file, BIDS, name)) for name in named]


def movie_file(wildcards):
    """The file of one movie."""
    return dict(zip(movies(), movie_files(), strict=True))[wildcards.movie]


def features(*splits):
    """Feature folders of the movies."""
    return [f"{R}/stimuli/{movie}/features" for movie in movies(*splits)]


def shards():
    """Numbers of the shards into which the test clips of a subject are split."""
    return range(int(config["reconstruct"]["shards"]))


def annotations(*names):
    """Annotation tables beside the movies (all, or those named), where there are any."""
    files = dict(zip(movies(), movie_files(), strict=True))
    tables = [str(Path(files[name]).with_suffix(".tsv")) for name in names or files]
    if EMBEDDED:
        return tables
    return [given(path) for path in tables if lexists(path)]


def captioning():
    """What captioning asks for besides: a GPU, unless annotations say what is shown."""
    needed = "caption" in MODELS and len(annotations()) < len(movies())
    return {"gpu": 1} if needed else {}


def t1w(subject):
    """A subject's T1w image."""
    if EMBEDDED:
        return f"{BIDS}/sub-{subject}/anat/sub-{subject}_T1w.nii.gz"
    found = sorted(Path(BIDS, f"sub-{subject}").glob("**/anat/sub-*_T1w.nii*"))
    if not found:
        sys.exit(
            f"error: {BIDS}/sub-{subject}: no anat/*_T1w.nii.gz; bold.engine embedded needs one"
        )
    return given(found[0])


def check_container():
    """Whether fMRIPrep can run on this machine; on a cluster each job asks for itself."""
    if ENGINE.startswith("fmriprep"):
        from boldreel.bold import fmriprep
        from boldreel.bold.settings import FmriprepSettings

        told(
            fmriprep.check,
            ENGINE,
            read(FmriprepSettings, config["bold"]["fmriprep"], "bold.fmriprep"),
        )


def absent_models():
    """Base models of the hub that are not in its cache here; anything else that is not there is an error.

    Jobs plan again, and need not: the run that started them has looked. Where results lie in remote storage,
    folders may be mounted where jobs run, and only there.
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
    """Whether base models that are not here can be had, of those that commands to be run name."""
    one_of_each = {job.rule.name: job for job in workflow.dag.needrun_jobs()}
    commands = " ".join(str(job.shellcmd) for job in one_of_each.values())
    needed = {name: found for name, found in ABSENT.items() if MODELS[name] in commands}
    for line in told(models_check.check_hub, needed, not workflow.local_exec):
        print(f"warning: {line}", file=sys.stderr)


ABSENT = absent_models()
WRITTEN = [placed(R), STATE, placed(LOGS)]
HELD = []  # folders of these that no other run may write to meanwhile
if snakemake_internals.is_main_process(workflow) and not remote():
    THIS_RUN = run_lock.about(ROOT, config)
    if difference := run_lock.difference(WRITTEN[0], THIS_RUN):
        logger.warning(f"warning: {difference}")


def before_jobs():
    """What is looked at, and held, before the first job; a dry run does without."""
    snakemake_internals.lift_rate_limit(workflow)
    if workflow.local_exec:
        check_container()
    check_models()
    if not remote():
        told(configuration.check_writable, WRITTEN)
        check_headers()
        HELD.extend(told(run_lock.hold, folder, THIS_RUN) for folder in WRITTEN[:2])
        told(resolved.write, WRITTEN[0], GIVEN, config)
    runs = {
        split: sum(len(runs_of(subject, split)) for subject in SUBJECTS)
        for split in SPLITS
    }
    for line in resolved.summary(GIVEN, config, SUBJECTS, runs):
        logger.info(line)


def check_headers():
    """What own data tell without reading them, before the first job: sizes, times, events, movies.

    Each subject's own check looks at the voxels too. Left to it where Snakemake's environment has none
    of the library's packages.
    """
    if EMBEDDED or ENGINE == "derivatives":
        return
    try:
        from boldreel.bold import check

        durations = told(check.movie_durations, movie_files())
    except ImportError:
        return
    fewest = config["bold"]["min_volumes"]
    doubts = {}
    for subject in RAW:
        if not foreign(subject):
            shown = events_by_run(subject)
            for segment, repeat, path in RAW[subject]:
                beside = shown.get((segment, repeat))
                more = told(check.check_run, path, fewest, beside, durations, False)
                doubts |= {doubt: beside for doubt in more if doubt not in doubts}
    check.tell(doubts)


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
