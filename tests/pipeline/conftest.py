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


class Watched:
    """The state that a training keeps below a folder, read when it has changed."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.seen, self.reached = folder, (0, 0), None

    def look(self) -> tuple[int, int] | None:
        """(epoch, step) that is saved, or None."""
        for path in self.folder.rglob("last.pt"):
            about = path.stat()
            if (about.st_ino, about.st_mtime_ns) != self.seen:
                state = torch.load(path, map_location="cpu", weights_only=True)
                self.seen = about.st_ino, about.st_mtime_ns
                self.reached = state["epoch"], state["step"]
        return self.reached


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


@pytest.fixture(scope="session")
def small_run(tmp_path_factory) -> SmallRun:
    workspace = copy_of_repository(tmp_path_factory.mktemp("boldreel"))
    run = SmallRun(workspace)
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
    log = workspace.root / "finished.log"
    process = workspace.make("demo", log)
    try:
        run.code = process.wait(timeout=1500)
    finally:
        workspace.stop(process, signal.SIGKILL)
    run.log += log.read_text(errors="replace")
    return run
