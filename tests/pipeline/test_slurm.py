"""The workflow on a SLURM cluster of two nodes, and its trainings disturbed as clusters disturb them.

`tests/tools/slurm.sh` starts the cluster on this host (as root, on Debian). Every disturbed training must
go on from what it had saved, and end with exactly the weights of the undisturbed one.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from .workflow import ROOT, Watched, Workspace, copy_of_repository

pytestmark = pytest.mark.slurm
CLUSTER = ROOT / "tests" / "tools" / "slurm.sh"
MODEL = "results/demo/pretrain/rest"
EPOCHS = 40  # of slurm.yaml
# What suits a cluster that answers at once and has nodes of one processor; the rest is the profile.
QUICK = [
    *("--workflow-profile", "workflow/profiles/slurm", "--cores", "1"),
    *("--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "1"),
    *("--seconds-between-status-checks", "1", "--latency-wait", "20"),
]


def slurm(*words: str) -> str:
    """What one of SLURM's commands prints."""
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


@dataclass
class Job:
    """A job that the cluster knows of, running or ended; memory in MB."""

    number: str
    state: str
    nodes: str
    rule: str
    log: str
    gpus: str
    memory: int
    restarts: int


def jobs() -> list[Job]:
    """All jobs of the last hour, the first one first."""
    found = []
    for block in slurm("scontrol", "show", "job").strip().split("\n\n"):
        entries = dict(re.findall(r"(\w+)=(\S*)", block))
        if "JobId" in entries:
            size, unit = re.fullmatch(r"([\d.]+)([MG]?)", entries["MinMemoryNode"]).groups()
            found.append(
                Job(
                    entries["JobId"],
                    entries["JobState"],
                    entries.get("NodeList", ""),
                    entries.get("Comment", ""),
                    entries.get("StdOut", ""),
                    entries.get("TresPerJob", "") + entries.get("TresPerNode", ""),
                    round(float(size) * (1024 if unit == "G" else 1)),
                    int(entries["Restarts"]),
                )
            )
    return sorted(found, key=lambda job: int(job.number))


def job(number: str) -> Job:
    """One job as it is now."""
    return next(known for known in jobs() if known.number == number)


def running(rule: str) -> Job | None:
    """The job that runs a rule now."""
    return next((j for j in jobs() if j.state == "RUNNING" and rule in j.rule), None)


def until(what: str, found: Callable[[], object], seconds: float = 120) -> object:
    """Wait for something true and return it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = found()
        if value:
            return value
        time.sleep(0.1)
    raise AssertionError(f"{what}: not within {seconds:g} s\n{slurm('squeue')}")


def started_again(number: str) -> None:
    """Wait until a requeued job runs, without the two minutes for which SLURM holds it."""

    def runs() -> bool:
        subprocess.run(
            ["scontrol", "update", f"JobId={number}", "StartTime=now"],
            capture_output=True,
            check=False,
        )
        return job(number).restarts == 1 and job(number).state in ("RUNNING", "COMPLETED")

    until("another try", runs)


class Cluster:
    """The workspace, how Snakemake is called in it, and the weights of an undisturbed training."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.weights = b""
        self.kept = workspace.root / "state" / "demo" / "pretrain" / "rest"
        self.state = Watched(self.kept)

    @property
    def model(self) -> Path:
        return next((self.workspace.root / MODEL).rglob("*.safetensors"))

    def start(self, *more: str, anew: bool = True) -> tuple[subprocess.Popen, Path]:
        """Snakemake for the pretraining, and where it writes. anew : nothing of it is there yet."""
        if anew:
            shutil.rmtree(self.workspace.root / MODEL, ignore_errors=True)
            shutil.rmtree(self.kept, ignore_errors=True)
            self.state = Watched(self.kept)
        log = self.workspace.root / f"slurm-{time.monotonic_ns()}.log"
        return self.workspace.start(MODEL, *QUICK, *more, log=log), log

    def saved(self, epoch: int) -> bool:
        """Whether an epoch is saved."""
        return (self.state.look() or (-1, 0))[0] >= epoch

    def wait_for_training(self) -> Job:
        """The job that trains, once some of its epochs are saved."""
        until("saved epochs", lambda: self.saved(5))
        return until("a job that trains", lambda: running("pretrain_train"))

    @contextlib.contextmanager
    def paused(self):
        """The training that runs is held up: it keeps what it holds and does nothing meanwhile."""
        trainers = [
            process
            for process in psutil.process_iter(["cwd", "cmdline"])
            if process.info["cwd"] == str(self.workspace.root)
            and "boldreel.pretrain.train" in (process.info["cmdline"] or [])
        ]
        assert trainers, "no process trains"
        for process in trainers:
            process.suspend()
        try:
            yield
        finally:
            for process in trainers:
                process.resume()

    def ends_the_same(self, process: subprocess.Popen, log: Path) -> None:
        """Wait for Snakemake, while the state must never fall back; then compare the weights."""
        reached = self.state.look() or (0, 0)
        deadline = time.monotonic() + 300
        while process.poll() is None and time.monotonic() < deadline:
            now = self.state.look() or (0, 0)
            assert now >= reached, "it began again"
            reached = now
            time.sleep(0.05)
        assert process.poll() == 0, log.read_text(errors="replace")[-4000:]
        assert self.model.read_bytes() == self.weights


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    workspace = copy_of_repository(tmp_path_factory.mktemp("slurm"))
    workspace.configuration = "tests/pipeline/tiny.yaml tests/pipeline/slurm.yaml"
    environment = {**os.environ, "SLURM_ROOT": str(tmp_path_factory.mktemp("cluster"))}
    started = subprocess.run(
        [CLUSTER, "start"], env=environment, capture_output=True, text=True, check=False
    )
    if started.returncode == 3:
        pytest.skip(started.stderr)
    try:
        assert started.returncode == 0, started.stdout + started.stderr
        yield Cluster(workspace)
    finally:
        subprocess.run([CLUSTER, "stop"], env=environment, check=False)


@pytest.fixture(scope="module")
def finished(cluster):
    """What a whole run on the cluster printed."""
    done = cluster.workspace.run(*QUICK, timeout=1500)
    text = done.stdout + done.stderr
    assert done.returncode == 0, text[-5000:]
    cluster.weights = cluster.model.read_bytes()
    return text


def test_the_whole_workflow_runs_on_the_cluster(cluster, finished):
    assert (cluster.workspace.results / "report.html").stat().st_size > 10_000
    done = cluster.workspace.run("--dry-run", *QUICK)
    assert "Nothing to be done" in done.stdout + done.stderr
    ended = jobs()
    assert all(known.state == "COMPLETED" for known in ended)
    assert {known.nodes for known in ended} == {"left", "right"}
    training = [known for known in ended if "pretrain_train" in known.rule]
    assert len(training) == 1 and "gpu" in training[0].gpus
    assert not any("gpu" in known.gpus for known in ended if "windows_build" in known.rule)
    for scattered in ("reconstruct_sample", "evaluate_shard"):
        assert sum(scattered in known.rule for known in ended) == 2
    travelling = [known for known in ended if "/group_" in known.log]
    assert 0 < len(travelling) < finished.count("rule bold_run:")
    assert re.search(r"submitted with SLURM jobid \d+ \(log: \S+\.log\)", finished)


def test_a_preempted_training_saves_goes_back_into_the_queue_and_ends_the_same(cluster, finished):
    process, log = cluster.start()
    first = cluster.wait_for_training()
    slurm(
        "sbatch",
        "--partition=urgent",
        f"--nodelist={first.nodes}",
        "--exclusive",
        "--output=/dev/null",
        "--wrap=sleep 3",
    )
    until("the queue", lambda: job(first.number).state == "PENDING")
    assert (cluster.state.look() or (0, 0))[1] > 0, "saved within an epoch, when it was told to go"
    started_again(first.number)
    cluster.ends_the_same(process, log)
    assert job(first.number).state == "COMPLETED", "the same job, not another try"


def test_a_node_that_dies_in_mid_job_costs_no_work_that_was_saved(cluster, finished):
    process, log = cluster.start()
    first = cluster.wait_for_training()
    slurm(str(CLUSTER), "lose", first.nodes)
    try:
        started_again(first.number)
        cluster.ends_the_same(process, log)
    finally:
        slurm(str(CLUSTER), "find", first.nodes)
    assert job(first.number).nodes != first.nodes


def test_a_job_out_of_time_is_tried_again_with_more_memory_and_goes_on(cluster, finished):
    process, log = cluster.start()
    first = cluster.wait_for_training()
    slurm("scontrol", "update", f"JobId={first.number}", "EndTime=now")
    until("the end of its time", lambda: job(first.number).state == "TIMEOUT")
    again = until("another try", lambda: running("pretrain_train"))
    assert again.number != first.number and again.memory == 2 * first.memory
    cluster.ends_the_same(process, log)


def test_a_killed_snakemake_leaves_a_job_that_the_next_one_does_not_disturb(cluster, finished):
    process, _ = cluster.start()
    first = cluster.wait_for_training()
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    # Were it to end while the second fails, Snakemake would remove its result as the failed job's.
    with cluster.paused():
        cluster.workspace.run("--unlock")
        second, log = cluster.start("--retries", "0", anew=False)
        assert second.wait(timeout=120) != 0
    assert "another process is training with this state" in log.read_text(errors="replace")
    until("the first's end", lambda: job(first.number).state == "COMPLETED", 300)
    assert cluster.saved(EPOCHS), "the first went on to its end"
    cluster.ends_the_same(*cluster.start(anew=False))
    shutil.rmtree(cluster.workspace.root / MODEL)  # as Snakemake would have
    cluster.ends_the_same(*cluster.start(anew=False))


def test_a_failed_job_tells_why_in_the_terminal(cluster, finished):
    shard = next((cluster.workspace.results / "corpus").glob("shard-*.json"))
    text = shard.read_text()
    try:
        shard.write_text("{")
        process, log = cluster.start("--retries", "0")
        assert process.wait(timeout=120) != 0
    finally:
        shard.write_text(text)
    array = shard.relative_to(cluster.workspace.root).with_suffix(".npy")
    assert f"error: {array}: unreadable array" in log.read_text()
