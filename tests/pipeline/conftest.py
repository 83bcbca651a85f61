"""The small run that the workflow's tests share: stopped twice in every training stage, then finished."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

from .workflow import Workspace, copy_of_repository

# (training state to wait for, target that must not be there when it is stopped)
TRAININGS = [
    ("pretrain", "pretrain/rest"),
    ("generator", "generator/model"),
    ("align/sub-01", "sub-01/align/model"),
    ("cotrain/sub-01", "sub-01/cotrain"),
]
# How, and the epoch that must have been saved before: SIGTERM saves on its way out, SIGKILL does not.
SIGNALS = [(signal.SIGTERM, 0), (signal.SIGKILL, 1)]


@dataclass
class Stop:
    """How far the saved state was after a stop, in epochs and steps, and whether there was a result."""

    reached: tuple[int, int]
    output: bool


@dataclass
class SmallRun:
    """The finished run: its workspace, all that Snakemake printed, and how the stops went.

    stops : {(training, signal): what the stop left}
    """

    workspace: Workspace
    log: str = ""
    code: int = -1
    stops: dict[tuple[str, signal.Signals], Stop] = field(default_factory=dict)


def _reached(folder: Path) -> tuple[int, int] | None:
    """(epoch, step) of the state below a folder, or None."""
    found = next(iter(folder.rglob("last.pt")), None)
    if found is None:
        return None
    state = torch.load(found, map_location="cpu", weights_only=True)
    return state["epoch"], state["step"]


def _wait_for_state(process, folder: Path, epoch: int, seconds: float = 900) -> bool:
    """Wait until a training has gone on and saved its state after an epoch; False if it ended before."""
    before = _reached(folder)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        reached = _reached(folder)
        if reached is not None and reached[0] >= epoch and reached != before:
            return True
        if process.poll() is not None:
            return False
        time.sleep(0.1)
    return False


@pytest.fixture(scope="session")
def small_run(tmp_path_factory) -> SmallRun:
    workspace = copy_of_repository(tmp_path_factory.mktemp("boldreel"))
    run = SmallRun(workspace)
    for state, output in TRAININGS:
        for how, epoch in SIGNALS:
            log = workspace.root / f"{state.replace('/', '-')}-{how.name}.log"
            process = workspace.start(f"results/demo/{output}", log=log)
            folder = workspace.root / "state" / "demo" / state
            seen = _wait_for_state(process, folder, epoch)
            time.sleep(0.4)
            workspace.stop(process, how)
            run.log += log.read_text(errors="replace")
            assert seen, f"no state of {state} appeared:\n{run.log[-3000:]}"
            left = Stop(_reached(folder) or (0, 0), (workspace.results / output).exists())
            run.stops[state, how] = left
    log = workspace.root / "finished.log"
    process = workspace.make("demo", log)
    run.code = process.wait(timeout=1500)
    run.log += log.read_text(errors="replace")
    return run
