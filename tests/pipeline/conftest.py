"""The small run that the workflow's tests share: killed in every stage, then finished."""

from __future__ import annotations

import gzip
import hashlib
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from boldreel import verify
from boldreel.data import atomic

from . import tracing
from .workflow import ROOT, Watched, Workspace, copy_of_repository

# (training state to wait for, target that must not be there when it is stopped)
TRAININGS = [
    ("pretrain", "pretrain/rest"),
    ("generator", "generator/model"),
    ("align/sub-01", "sub-01/align/model"),
    ("cotrain/sub-01", "sub-01/cotrain"),
]
# How, and the epoch that must have been saved before: SIGTERM saves on its way out, SIGKILL does not.
SIGNALS = [(signal.SIGTERM, 0), (signal.SIGKILL, 1)]
# (rule of a stage that keeps no state, what needs it): killed at work, before the trainings and after them.
EARLY = [
    ("insilico_bold", "sub-01/choice.json"),
    ("bold_run", "corpus"),
    ("roi_series", "corpus"),
    ("stimuli_features", "sub-01/choice.json"),
    ("windows_sweep", "sub-01/noise_ceiling.parquet"),
]
LATE = [
    ("reconstruct_sample", "sub-01/metrics.parquet"),
    ("evaluate_score", "sub-01/metrics.parquet"),
    ("report_page", "report.html"),
]


class _ByRun(LoadScopeScheduling):
    """Of several processes one makes the small run and has all modules that use it. Others go one by one.

    The groups of pytest-xdist 3.8 (`--dist loadgroup`) are lost with pytest 9.2.
    """

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.split("::")[0]
        return "small run" if "small_run" in (ROOT / module).read_text() else module


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> _ByRun:
    return _ByRun(config, log)


@dataclass
class Stop:
    """How far the saved state was after a stop, in epochs and steps, and whether there was a result."""

    reached: tuple[int, int]
    output: bool


@dataclass
class SmallRun:
    """The finished run: its workspace, all that Snakemake printed, and how the stops went.

    stops : {(training, signal): what the stop left}
    kills : {rule: whether what needs it was there after it was killed}
    left : {rule: {file: its content}} of what looked finished then
    """

    workspace: Workspace
    log: str = ""
    code: int = -1
    stops: dict[tuple[str, signal.Signals], Stop] = field(default_factory=dict)
    kills: dict[str, bool] = field(default_factory=dict)
    left: dict[str, dict[Path, str]] = field(default_factory=dict)


def _wait_for_state(process, state: Watched, epoch: int, seconds: float = 900) -> str:
    """Wait until a training has gone on and saved its state after an epoch; what is wrong, or nothing."""
    before = state.look()
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        reached = state.look()
        if before is not None and reached < before:
            return f"it was at {before} and began again"
        if reached is not None and reached[0] >= epoch and reached != before:
            return ""
        if process.poll() is not None:
            return "Snakemake ended"
        time.sleep(0.05)
    return f"{seconds:g} s went by"


def _wait_for_work(process, log: Path, rule: str, results: Path, seconds: float = 1500) -> str:
    """Wait until a rule's job is writing, or has been at work for a second; what is wrong, or nothing.

    A small step ends within two; where Python alone takes a second to start, a job is killed at that.
    """
    deadline = time.monotonic() + seconds
    begun, before = None, set(verify.left_over(results))
    while time.monotonic() < deadline:
        if begun is None and f"rule {rule}:" in log.read_text(errors="replace"):
            begun = time.monotonic()
        if begun and (set(verify.left_over(results)) - before or time.monotonic() > begun + 1):
            return ""
        if process.poll() is not None:
            return "Snakemake ended"
        time.sleep(0.02)
    return f"{seconds:g} s went by"


def content(path: Path) -> str:
    """A hash of what a file holds; of a compressed one, of what is packed, since packing notes the time."""
    data = path.read_bytes() if path.is_file() else b""
    if path.suffix == ".gz":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError):
            data = b"half: " + data
    return hashlib.blake2b(data).hexdigest()


def _finished(results: Path, since: float) -> dict[Path, str]:
    """Results written since then under their own names, but for those that note times."""
    times = ("provenance.json", ".html", ".snakemake_timestamp", ".lock")
    found = {}
    for path in results.rglob("*"):
        own = path.relative_to(results)
        unfinished = any(map(atomic.is_unfinished, (own, *own.parents)))
        if unfinished or own.parts[0] == "benchmarks" or path.name.endswith(times):
            continue
        if path.is_file() and path.stat().st_mtime >= since:
            found[path] = content(path)
    return found


def _kill(run: SmallRun, rule: str, target: str, unlock: bool) -> None:
    """Kill everything while a rule is at work."""
    workspace = run.workspace
    since = time.time()
    log = workspace.root / f"{rule}-killed.log"
    process = workspace.start(f"results/demo/{target}", log=log)
    try:
        wrong = _wait_for_work(process, log, rule, workspace.results)
    finally:
        workspace.stop(process, signal.SIGKILL, unlock=unlock)
    run.log += log.read_text(errors="replace")
    assert not wrong, f"{rule}: {wrong}:\n{run.log[-3000:]}"
    run.kills[rule] = (workspace.results / target).exists()
    run.left[rule] = _finished(workspace.results, since)


@pytest.fixture(scope="session")
def small_run(tmp_path_factory) -> SmallRun:
    workspace = copy_of_repository(tmp_path_factory.mktemp("boldreel"))
    tracing.record(workspace)
    run = SmallRun(workspace)
    for rule, target in EARLY:
        _kill(run, rule, target, unlock=rule == EARLY[0][0])
    for training, output in TRAININGS:
        state = Watched(workspace.root / "state" / "demo" / training)
        for how, epoch in SIGNALS:
            log = workspace.root / f"{training.replace('/', '-')}-{how.name}.log"
            process = workspace.start(f"results/demo/{output}", log=log)
            try:
                wrong = _wait_for_state(process, state, epoch)
            finally:
                workspace.stop(process, how)
            run.log += log.read_text(errors="replace")
            assert not wrong, f"{training}, {how.name}: {wrong}:\n{run.log[-3000:]}"
            left = Stop(state.look() or (0, 0), (workspace.results / output).exists())
            run.stops[training, how] = left
    for rule, target in LATE:
        _kill(run, rule, target, unlock=False)
    log = workspace.root / "finished.log"
    process = workspace.make("demo", log)
    try:
        run.code = process.wait(timeout=2400)
    finally:
        workspace.stop(process, signal.SIGKILL)
    run.log += log.read_text(errors="replace")
    return run
