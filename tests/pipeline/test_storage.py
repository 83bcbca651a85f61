"""The whole workflow with its results in S3: every job finds its declared inputs and nothing else.

The server is moto's, on this machine. Every job is a Snakemake of its own, as in a pod, and keeps its copies
of stored files in a folder of its own: what its rule does not declare is not there. It is quicker than pods,
because the repository is read where it lies.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pytest

from .remote import Remote, fetch, pins
from .workflow import ROOT, copy_of_repository

pytestmark = pytest.mark.storage
CONFIGURATION = "tests/pipeline/tiny.yaml tests/pipeline/stored.yaml"
# Two cores are kept busy while other jobs wait for the storage.
SUBMITTED = ["--jobs", "3", "--cores", "3", "--executor", "cluster-generic", "--latency-wait", "0"]
SUBMITTED += ["--cluster-generic-submit-cmd", str(ROOT / "tests" / "tools" / "apart")]
SUBMITTED += ["--seconds-between-status-checks", "1", "--max-status-checks-per-second", "20"]
SUBMITTED += ["--remote-job-local-storage-prefix", "$APART"]
# all that jobs share but the copies of stored files, and but inputs and outputs themselves
SUBMITTED += ["--shared-fs-usage", "persistence", "sources", "source-cache", "software-deployment"]
# A Snakemake's start takes longer than most steps: jobs that never read each other's files share one.
ALIKE = {
    "stimuli_decode": 4,
    "bold_anatomy": 3,
    "bold_check": 3,
    "bold_run": 7,
    "bold_qc": 3,
    "roi_series": 7,
}
SUBMITTED += ["--groups", *(f"{rule}={rule}" for rule in ALIKE)]
SUBMITTED += ["--group-components", *(f"{rule}={number}" for rule, number in ALIKE.items())]


@dataclass
class Stored:
    """A finished run: its workspace, the options of its storage, what it printed, and its exit status.

    server : where stored files are found by their names. jobs : a folder for each job, and its log
    """

    workspace: Remote
    options: list[str]
    server: str
    jobs: Path
    log: str
    code: int


@contextlib.contextmanager
def s3(environment: dict[str, str], log: Path):
    """The URL of an S3 server that is there as long as the context."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    words = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with log.open("w") as printed:
        server = subprocess.Popen(words, env=environment, stdout=printed, stderr=printed)
    try:
        deadline = time.monotonic() + 120
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert server.poll() is None, log.read_text()[-2000:]
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait()


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    plugins, jobs = tmp_path_factory.mktemp("plugins"), tmp_path_factory.mktemp("jobs")
    fetch(plugins, *pins("storage"))
    made = copy_of_repository(tmp_path_factory.mktemp("stored"))
    known = {"JOBS": str(jobs), "OMP_NUM_THREADS": "1"}
    known |= {"SNAKEMAKE_STORAGE_S3_ACCESS_KEY": "any", "SNAKEMAKE_STORAGE_S3_SECRET_KEY": "any"}
    workspace = Remote(made.root, CONFIGURATION, plugins=plugins, more=known)
    with s3(workspace.environment(), jobs.parent / "s3.log") as server:
        options = ["--default-storage-provider", "s3", "--storage-s3-endpoint-url", server]
        options += ["--default-storage-prefix", "s3://bucket/boldreel"]
        log = workspace.root / "stored.log"
        process = workspace.start(*SUBMITTED, *options, log=log)
        try:
            code = process.wait(timeout=1500)
        finally:
            with contextlib.suppress(ProcessLookupError):  # jobs too
                os.killpg(process.pid, signal.SIGKILL)
        found = f"{server}/bucket/boldreel"
        yield Stored(workspace, options, found, jobs, log.read_text(errors="replace"), code)


def test_it_reaches_the_page(stored):
    assert stored.code == 0, stored.log[-5000:]
    with urllib.request.urlopen(f"{stored.server}/results/demo/report.html") as answer:
        page = answer.read().decode()
    assert len(page) > 10_000 and "sub-01" in page
    assert not stored.workspace.results.exists()


def test_each_job_has_its_copies_to_itself(stored):
    submitted = len(re.findall(r"^Submitted (?:group )?job ", stored.log, re.MULTILINE))
    logs = sorted(stored.jobs.glob("*.log"))
    assert len(logs) == submitted > 30
    number = 0
    for log in logs:
        own = f"{log.with_suffix('')}/s3/"
        commands = re.findall(r"^ *Shell command: (.*)", log.read_text(), re.MULTILINE)
        assert commands, log.read_text()
        for command in commands:
            files = [word for word in shlex.split(command) if "/bucket/boldreel/" in word]
            assert files and all(word.split("=")[-1].startswith(own) for word in files), command
        number += len(commands)
    assert number > 60


def test_a_second_run_has_nothing_to_do(stored):
    done = stored.workspace.run("--dry-run", *stored.options)
    assert "Nothing to be done" in done.stdout + done.stderr, (done.stdout + done.stderr)[-3000:]
