"""The small run that the workflow's tests share: stopped in every training stage, then finished."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from .workflow import Workspace, copy_of_repository

# (training state to wait for, target that must not be there when it is stopped, signal)
INTERRUPTIONS = [
    ("pretrain", "pretrain/rest", signal.SIGTERM),
    ("generator", "generator/model", signal.SIGKILL),
    ("align/sub-01", "sub-01/align/model", signal.SIGTERM),
    ("cotrain/sub-01", "sub-01/cotrain", signal.SIGKILL),
]


@dataclass
class SmallRun:
    """The finished run: its workspace, all that Snakemake printed, and how the stops went."""

    workspace: Workspace
    log: str = ""
    code: int = -1
    stops: dict[str, dict] = field(default_factory=dict)


def _wait_for_state(process, folder: Path, seconds: float = 900) -> bool:
    """Wait until a training has saved its state; False if Snakemake ended before."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if any(folder.rglob("last.pt")):
            return True
        if process.poll() is not None:
            return False
        time.sleep(0.1)
    return False


@pytest.fixture(scope="session")
def small_run(tmp_path_factory) -> SmallRun:
    workspace = copy_of_repository(tmp_path_factory.mktemp("boldreel"))
    run = SmallRun(workspace)
    for number, (state, output, how) in enumerate(INTERRUPTIONS):
        log = workspace.root / f"interrupted-{number}.log"
        process = workspace.start(f"results/demo/{output}", log=log)
        seen = _wait_for_state(process, workspace.root / "state" / "demo" / state)
        time.sleep(0.4)
        workspace.stop(process, how)
        run.log += log.read_text(errors="replace")
        assert seen, f"no state of {state} appeared:\n{run.log[-3000:]}"
        run.stops[state] = {"output": (workspace.results / output).exists()}
    log = workspace.root / "finished.log"
    process = workspace.start(log=log)
    run.code = process.wait(timeout=1500)
    run.log += log.read_text(errors="replace")
    return run
