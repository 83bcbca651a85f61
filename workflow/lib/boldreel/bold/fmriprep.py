"""fMRIPrep of one subject, in Docker or Apptainer.

Reads a raw BIDS data set, a subject and the ``bold.fmriprep`` section; writes fMRIPrep's derivatives
and a table of the runs found in them (bold.import_derivatives). The work directory is kept, so that fMRIPrep
goes on where it was stopped.

Docker goes through the package ``fmriprep-docker``, the wrapper of fMRIPrep's own authors; Apptainer is
called directly. What fMRIPrep needs and a mount cannot carry (a colon in a path) is refused at once.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from boldreel import step
from boldreel.bold import import_derivatives
from boldreel.bold.settings import FmriprepSettings
from boldreel.data import bids_names, derivatives, preprocessed_runs, provenance
from boldreel.errors import UserError
from boldreel.settings import read
from boldreel.study import bids_filter

ENGINES = ("fmriprep-docker", "fmriprep-apptainer")
_LICENCE_INSIDE = "/opt/freesurfer/license.txt"
_LICENCE_HELP = (
    "register at https://surfer.nmr.mgh.harvard.edu/registration.html and name the file in "
    "bold.fmriprep.licence or in the environment variable FS_LICENSE"
)


@dataclass(frozen=True)
class Job:
    """What one call works on: subject is a label without "sub-"."""

    subject: str
    bids: Path
    output: Path
    work: Path


def licence_file(settings: FmriprepSettings) -> Path:
    """FreeSurfer's licence; UserError if there is none."""
    named = settings.licence or os.environ.get("FS_LICENSE")
    if not named:
        raise UserError(f"configuration: bold.fmriprep.licence is not set; {_LICENCE_HELP}")
    path = Path(named)
    if not path.is_file():
        raise UserError(f"{path}: FreeSurfer's licence is not there; {_LICENCE_HELP}")
    return path


def docker_image(settings: FmriprepSettings) -> str:
    """The Docker image, pinned by its version."""
    return settings.image or f"nipreps/fmriprep:{settings.version}"


def check(engine: str, settings: FmriprepSettings) -> None:
    """Whether the engine can run here.

    Raises
    ------
    UserError : no container engine, its daemon is not to be reached, no image, no licence, a BIDS
        filter that is not there.
    """
    licence_file(settings)
    if settings.bids_filter and not Path(settings.bids_filter).is_file():
        raise UserError(f"{settings.bids_filter}: bold.fmriprep.bids_filter names no file")
    if engine == "fmriprep-docker":
        _check_docker(docker_image(settings))
    else:
        _check_apptainer(settings)


def _check_docker(image: str) -> None:
    if shutil.which("docker") is None:
        raise UserError(
            "bold.engine is fmriprep-docker, but there is no `docker` on PATH; install Docker, or "
            "choose fmriprep-apptainer, derivatives or embedded"
        )
    told = _ask("docker", "version", "--format", "{{.Server.Version}}")
    if told.returncode != 0:
        reason = (told.stderr or told.stdout).strip().splitlines()
        raise UserError(
            f"Docker's daemon does not answer ({reason[0] if reason else 'no message'}); start it, "
            "and let this user reach it (group docker)"
        )
    if not _ask("docker", "images", "-q", image).stdout.strip():
        raise UserError(f"Docker has no image {image}; fetch it first: docker pull {image}")


def _check_apptainer(settings: FmriprepSettings) -> None:
    apptainer()
    if not settings.image:
        raise UserError(
            "bold.engine is fmriprep-apptainer: name the image in bold.fmriprep.image; make it with: "
            f"apptainer build fmriprep.sif docker://nipreps/fmriprep:{settings.version}"
        )
    if not Path(settings.image).exists():
        raise UserError(
            f"{settings.image}: no such Apptainer image; make it with: apptainer build "
            f"{settings.image} docker://nipreps/fmriprep:{settings.version}"
        )


def apptainer() -> str:
    """The program: apptainer, or its older name singularity; UserError if neither is there."""
    for name in ("apptainer", "singularity"):
        if shutil.which(name):
            return name
    raise UserError(
        "bold.engine is fmriprep-apptainer, but there is no `apptainer` (nor `singularity`) on PATH; "
        "install it, or choose fmriprep-docker, derivatives or embedded"
    )


def _ask(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, check=False)


def command(engine: str, job: Job, settings: FmriprepSettings) -> list[str]:
    """The words of the call.

    Raises
    ------
    UserError : no licence, a path that cannot be mounted, a work directory inside the data set.
    """
    licence = licence_file(settings)
    filters = [Path(settings.bids_filter)] if settings.bids_filter else []
    for path in (job.bids, job.output, job.work, licence, *filters):
        if ":" in str(path.resolve()) or "," in str(path.resolve()):
            raise UserError(f"{path.resolve()}: a container cannot mount a path with ':' or ','")
    if job.work.resolve().is_relative_to(job.bids.resolve()):
        raise UserError(
            f"{job.work}: the work directory lies inside the data set {job.bids}, which fMRIPrep "
            "refuses; set `state` in the configuration to a folder elsewhere"
        )
    build = _docker if engine == "fmriprep-docker" else _apptainer
    return build(job, settings, licence.resolve(), filters)


def _docker(
    job: Job, settings: FmriprepSettings, licence: Path, filters: Sequence[Path]
) -> list[str]:
    words = [sys.executable, "-m", "fmriprep_docker"]
    words += [str(job.bids.resolve()), str(job.output.resolve()), "participant"]
    # Without --no-tty the wrapper asks Docker for a terminal, which no job of a workflow has.
    words += ["--no-tty", "--image", docker_image(settings), "--user", _user()]
    words += ["--work-dir", str(job.work.resolve()), "--fs-license-file", str(licence)]
    for path in filters:
        words += ["--bids-filter-file", str(path.resolve())]
    words += ["--output-spaces", *settings.output_spaces]
    return words + _options(job, settings)


def _apptainer(
    job: Job, settings: FmriprepSettings, licence: Path, filters: Sequence[Path]
) -> list[str]:
    mounts = [f"{job.bids.resolve()}:/data:ro", f"{job.output.resolve()}:/out"]
    mounts += [f"{job.work.resolve()}:/scratch", f"{licence}:{_LICENCE_INSIDE}:ro"]
    mounts += [f"{path.resolve()}:/bids_filter.json:ro" for path in filters]
    words = [apptainer(), "run", "--cleanenv"]
    for mount in mounts:
        words += ["--bind", mount]
    words += [str(settings.image), "/data", "/out", "participant", "--work-dir", "/scratch"]
    words += ["--fs-license-file", _LICENCE_INSIDE]
    if filters:
        words += ["--bids-filter-file", "/bids_filter.json"]
    words += ["--output-spaces", *settings.output_spaces]
    return words + _options(job, settings)


def _options(job: Job, settings: FmriprepSettings) -> list[str]:
    words = ["--participant-label", job.subject]
    words += ["--nthreads", str(settings.threads)]
    words += ["--omp-nthreads", str(min(settings.threads, 8))]
    words += ["--mem_mb", str(settings.memory), "--notrack"]
    if settings.cifti:
        words += ["--cifti-output", settings.cifti]
    return words + list(settings.options)


def _user() -> str:
    # Otherwise Docker's root owns the derivatives and no one else can remove them.
    return f"{os.getuid()}:{os.getgid()}"


def call(words: Sequence[str]) -> None:
    """Run the words, their output going on to ours; SIGTERM is passed on and waited for.

    Raises
    ------
    UserError : fMRIPrep failed.
    """
    print("running:", " ".join(words), flush=True)
    process = subprocess.Popen(words)
    try:
        code = process.wait()
    except BaseException:
        process.send_signal(signal.SIGTERM)
        process.wait()
        raise
    if code != 0:
        raise UserError(
            f"fMRIPrep ended with exit code {code}; its messages stand above, its crash files in the "
            "derivatives' logs/; it resumes from its work directory when started again"
        )


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    started = time.time()
    parser = step.parser(__doc__)
    parser.add_argument("--engine", choices=ENGINES, required=True)
    parser.add_argument("--subject", required=True, help="label, without sub-")
    parser.add_argument("--bold", type=Path, nargs="+", required=True, help="raw runs that count")
    parser.add_argument("--labels", nargs="+", required=True, help="theirs: task-NAME_run-N")
    parser.add_argument(
        "--filter", type=json.loads, metavar="JSON", help="of the runs to preprocess"
    )
    parser.add_argument("--bids", type=Path, required=True, help="raw BIDS data set")
    parser.add_argument("--derivatives", type=Path, required=True, help="fMRIPrep's output folder")
    parser.add_argument("--work", type=Path, required=True, help="fMRIPrep's work directory")
    parser.add_argument("--threads", type=int, help="processors; default: the configuration's")
    parser.add_argument("--memory", type=int, help="MB; default: the configuration's")
    parser.add_argument("--output", type=Path, required=True, help="table of the runs found, .tsv")
    arguments = parser.parse_args(argv)
    section = dict(arguments.config)
    space = section.pop("space", None) or derivatives.VOLUME
    start_time = section.pop("start_time", None)
    given = {"threads": arguments.threads, "memory": arguments.memory}
    section |= {key: value for key, value in given.items() if value is not None}
    settings = read(FmriprepSettings, section, "bold.fmriprep")
    check(arguments.engine, settings)
    job = Job(arguments.subject, arguments.bids, arguments.derivatives, arguments.work)
    own_filter = job.work / "bids_filter.json"
    filtered = arguments.filter and not settings.bids_filter
    if filtered:
        settings = replace(settings, bids_filter=str(own_filter))
    words = command(arguments.engine, job, settings)
    for folder in (job.output, job.work):
        folder.mkdir(parents=True, exist_ok=True)
    if filtered:
        bids_filter.write(own_filter, arguments.filter)
    call(words)
    labels = map(bids_names.parse_label, arguments.labels)
    wanted = dict(zip(map(bids_names.run_key, arguments.bold), labels, strict=True))
    runs = import_derivatives.find(
        job.output, job.subject, space, job.bids, wanted, start_time=start_time
    )
    preprocessed_runs.write(arguments.output, runs)
    provenance.record(
        arguments.output,
        inputs=arguments.bold,
        config=arguments.config,
        started=started,
        extra={"command": json.dumps(words)},
    )
    print(f"sub-{job.subject}: {len(runs)} runs in {space}")


if __name__ == "__main__":
    step.run(main)
