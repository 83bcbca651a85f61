# What rule files share. The configuration and its study, `layout` (paths of results), `inputs` (files that a
# job reads) and `parameters`. They are made here from the library, with the few functions that need Snakemake's
# objects; checks before the first job follow.
import gc
import json
import sys
from functools import lru_cache
from pathlib import Path
from shlex import quote

from snakemake.logging import logger

LIB = ROOT / "workflow" / "lib"
sys.path.insert(0, str(LIB))

from boldreel import configuration, resolved, run_lock, snakemake_internals, step
from boldreel.base_models import check as models_check
from boldreel.data import files, overlap_files
from boldreel.errors import UserError
from boldreel.insilico import design
from boldreel.layout import Layout, with_noise
from boldreel.probe import ablations
from boldreel.study import preflight
from boldreel.study.inputs import Inputs
from boldreel.study.parameters import (
    JUDGES,
    Parameters,
    code,
    folder_of,
    folders_of,
    one_of,
)
from boldreel.study.study import METHOD, Study
from boldreel.training import gpus

snakemake_internals.measure_memory_seldom()
snakemake_internals.look_again_for_folders()
# A plan of many subjects has millions of permanent objects. Python's default garbage collection of them takes
# a tenth of the time.
gc.set_threshold(200_000, 50, 100)


class shell(shell):
    """Snakemake's `shell`, with a prefix for this workflow's rules only, not for an importing workflow's."""


def or_exit(function, *arguments):
    """Call a library function; a user's mistake ends the run with its one line."""
    try:
        return function(*arguments)
    except UserError as error:
        # A WorkflowError would print lines of the Snakefile as well.
        sys.exit(f"error: {error}")


@lru_cache(maxsize=None)
def from_here(path):
    """A path relative to the working directory, so that moving the whole folder reruns nothing.

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
            return from_here(place)
    return str(path)


def existing(path):
    """An existing input file. With results in remote storage it is read where it is mounted."""
    or_exit(files.check_source, path)
    return snakemake_internals.as_it_lies(from_here(path))


def placed(path):
    """A path of results, states or logs, with the prefix of a module."""
    return snakemake_internals.prefixed(workflow, path)


ASKED = config
config = or_exit(configuration.complete, ASKED)
study = or_exit(Study, config, ROOT, located, placed)
if snakemake_internals.is_main_process(workflow):
    for line in [*study.ignored(), *study.left_out()]:
        print(line, file=sys.stderr)


def remote():
    """Whether results are in remote storage."""
    return workflow.storage_settings.default_storage_provider is not None


# In remote storage, derivatives may be mounted only where jobs run.
if snakemake_internals.is_main_process(workflow) and not remote():
    or_exit(preflight.check_grids, study)


def made(path):
    """Whether a result exists already."""
    return exists(placed(path))


DATASET, RESULTS = study.dataset, study.results
STATE = placed(f"{config['state']}/{DATASET}")
EMBEDDED, ENGINE, MODELS = study.embedded, study.engine, study.models
BIDS, TREE, COHORT_TREE = study.bids, study.tree, study.cohort_tree
SUBJECTS, COHORT = study.subjects, study.cohort
OVERLAPS = json.dumps(or_exit(study.overlaps), sort_keys=True)
OTHERS = study.methods  # each has a rule file and a package of its own

layout = Layout(RESULTS, STATE)
inputs = Inputs(
    study,
    layout,
    existing=existing,
    made=made,
    stored=remote(),
    whenever=ancient,
    or_exit=or_exit,
)
parameters = Parameters(study)
# Nearly every rule has some of these.
section, method_options = parameters.section, parameters.method_options
memory, memory_of_pairs, model = (
    parameters.memory,
    parameters.memory_of_pairs,
    parameters.model,
)

# In the logs of rules with one job where few movies are shown, and one for each batch where many are.
OF_BATCH = "-{batch}" if or_exit(study.movies.batches) and study.movies.batched else ""
PRETRAINED = layout.pretrained(config["pretrain"]["cohort"])
NOISE = layout.noise(config["pretrain"]["cohort"])


def responses(*splits):
    """A subject's responses in these splits (default: all), with sidecars: for `unpack`."""
    return lambda wildcards: inputs.responses_and_sidecars(wildcards.subject, *splits)


def of_subject(function):
    """A method of `inputs`, called with the subject of the job."""
    return lambda wildcards: function(wildcards.subject)


def of_run(function):
    """A method of `inputs`, called with subject, segment and repeat of the job."""
    return lambda wildcards: function(
        wildcards.subject, wildcards.segment, wildcards.repeat
    )


# What hides all GPUs from a job.
ON_CPU = "export CUDA_VISIBLE_DEVICES=; " if config["device"] == "cpu" else ""


def gpus_here():
    """How many GPU jobs fit on this machine at a time; 0 for any number, where they compute on the CPU."""
    found = [] if ON_CPU else or_exit(gpus.visible)[0]
    together = [
        config[name]["processes"] for name in ("pretrain", "align", "generator")
    ]
    # A job that needs more GPUs than there are says so itself; Snakemake would give it fewer.
    return max(len(found), config["cotrain"]["processes"], *together) if found else 0


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
        f"set -euo pipefail; {here}{ON_CPU}export PYTHONPATH={quote(str(LIB))} PYTHONNOUSERSITE=1 "
        "PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE= TOKENIZERS_PARALLELISM=false MPLBACKEND=Agg; "
    )


def outputs_of(method, stage, subject, kind=None):
    """Outputs of the rule `{method}_{stage}` for a subject, all of them or those of one name.

    None if there is no such rule: a method need not be fitted or have controls.
    """
    name = f"{method}_{stage}"
    if not rules.has(name):
        return []
    output = getattr(rules, name).output
    paths = output if kind is None else output.get(kind, [])
    return [path.apply_wildcards({"subject": subject}) for path in paths]


def method_fits():
    """Outputs of the other methods' rules `{method}_train`."""
    return [
        path
        for name in OTHERS
        for subject in SUBJECTS
        for path in outputs_of(name, "train", subject)
    ]


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
    absent = or_exit(models_check.check_named, named)
    if absent:
        print(f"warning: {models_check.absent_line(absent)}", file=sys.stderr)
    return absent


def check_models():
    """Check that the missing base models named by commands of this run can be downloaded."""
    one_of_each = {job.rule.name: job for job in workflow.dag.needrun_jobs()}
    commands = " ".join(str(job.shellcmd) for job in one_of_each.values())
    needed = {name: found for name, found in ABSENT.items() if MODELS[name] in commands}
    for line in or_exit(models_check.check_hub, needed, not workflow.local_exec):
        print(f"warning: {line}", file=sys.stderr)


or_exit(step.keep_private)
ABSENT = absent_models()
WRITTEN = [placed(RESULTS), STATE, placed(layout.logs)]
HELD = []  # locks that keep other runs from writing to these folders
if snakemake_internals.is_main_process(workflow) and not remote():
    THIS_RUN = run_lock.about(ROOT, config)
    if difference := run_lock.difference(WRITTEN[0], THIS_RUN):
        logger.warning(f"warning: {difference}")


def before_jobs():
    """Checks and locks before the first job; a dry run skips them."""
    snakemake_internals.lift_rate_limit(workflow)
    snakemake_internals.limit_gpus(workflow, gpus_here)
    if workflow.local_exec:
        or_exit(preflight.check_container, study)
    check_models()
    if not remote():
        or_exit(configuration.check_writable, WRITTEN)
        or_exit(preflight.check_runs, study)
        HELD.extend(or_exit(run_lock.hold, folder, THIS_RUN) for folder in WRITTEN[:2])
        or_exit(resolved.write, WRITTEN[0], ASKED, config)
    for line in resolved.summary(ASKED, config, SUBJECTS, study.counted()):
        logger.info(line)
