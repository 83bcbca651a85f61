"""Several processes of one training: their end, and what a signal does to them."""

from __future__ import annotations

import os
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from tests.unit.training.conftest import cards, nvidia_smi

from boldreel.training.share import ALONE, Share

TRAINING = """
import sys, time, torch
from pathlib import Path
from torch import nn
from boldreel.step import run
from boldreel.training import loop
from boldreel.training.share import Share

def main():
    folder, epochs = Path(sys.argv[1]), int(sys.argv[2])
    share = Share.current()
    torch.manual_seed(0)
    module = nn.Linear(3, 1)
    def batches(epoch, generator):
        for _ in range(20):
            yield torch.randn(4, 3, generator=generator)[share.rows(4, "batch")]
    def loss_fn(module, x, generator):
        (folder / f"began-{share.rank}").touch()
        time.sleep(0.02)
        loss = (module(x) - x.sum(1, keepdim=True)).square()
        return share.mean(loss.sum(), torch.tensor(float(len(x)))), {}
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-2)
    loop.fit(module, loss_fn, batches, epochs=epochs, steps_per_epoch=20, optimizer=optimizer,
             schedule=lambda step: 1.0, seed=1, state_dir=folder / "state")
    if share.rank == 0:
        torch.save(module.state_dict(), folder / "done.pt")

if __name__ == "__main__":
    run(main)
"""


def start(folder: Path, processes: int, epochs: int) -> subprocess.Popen[str]:
    (folder / "small_training.py").write_text(TRAINING)
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "boldreel.training.launch", str(processes)),
            *("-m", "small_training", str(folder), str(epochs)),
        ],
        env={**os.environ, "PYTHONPATH": f"{folder}:{os.environ.get('PYTHONPATH', '')}"},
        stderr=subprocess.PIPE,
        text=True,
    )


def here(folder: Path, epochs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same training in this process."""
    with monkeypatch.context() as patch:
        patch.setattr(sys, "argv", ["", str(folder), str(epochs)])
        runpy.run_path(str(folder / "small_training.py"))["main"]()


def test_sigterm_saves_once_and_one_process_goes_on_where_two_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("whole", "parts"):
        (tmp_path / name).mkdir()
    assert start(tmp_path / "whole", 1, 3).wait() == 0
    stopped = start(tmp_path / "parts", 2, 3)
    while not (tmp_path / "parts" / "began-1").exists():
        time.sleep(0.05)
    stopped.send_signal(signal.SIGTERM)
    assert stopped.wait(60) == 143
    assert not (tmp_path / "parts" / "done.pt").exists()
    saved = torch.load(tmp_path / "parts" / "state" / "last.pt", weights_only=True)
    assert 0 < saved["epoch"] * 20 + saved["step"] < 60
    here(tmp_path / "parts", 3, monkeypatch)
    whole, parts = (torch.load(tmp_path / name / "done.pt") for name in ("whole", "parts"))
    for key in whole:
        torch.testing.assert_close(parts[key], whole[key], rtol=1e-5, atol=1e-6)


LEASING = """
import os, sys, time
from pathlib import Path
import torch
from boldreel.step import run
from boldreel.training import device

device._usable = lambda card: torch.device("cpu")
rank, folder, own, other = os.environ["RANK"], Path(sys.argv[1]), sys.argv[2], sys.argv[3]

def wait_for(name, seconds):
    until = time.monotonic() + seconds
    while not (folder / name).exists() and time.monotonic() < until:
        time.sleep(0.05)

def main():
    if rank == "1":
        wait_for(f"{other}-0", 2)  # the other job has a card by then, if it may have one
    with device.lease():
        (folder / f"{own}-{rank}").write_text(os.environ["CUDA_VISIBLE_DEVICES"])
        wait_for(f"{own}-{1 - int(rank)}", 300)  # as trainings wait for each other at each step

run(main)
"""
LAUNCHER = """
import sys
from pathlib import Path
from boldreel.step import run
from boldreel.training import device, launch
device.LOCKS = Path(sys.argv.pop(1))
run(launch.main)
"""


def test_two_jobs_of_two_processes_on_two_cards_both_end(tmp_path: Path) -> None:
    (tmp_path / "leasing.py").write_text(LEASING)
    known = {k: v for k, v in os.environ.items() if k != "CUDA_VISIBLE_DEVICES"}
    known["PYTHONPATH"] = f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"
    known["PATH"] = nvidia_smi(tmp_path / "bin", cards("GPU-a", "GPU-b"))
    jobs = [
        subprocess.Popen(
            [
                *(sys.executable, "-c", LAUNCHER, str(tmp_path), "2"),
                *("-m", "leasing", str(tmp_path), own, other),
            ],
            env=known,
        )
        for own, other in (("one", "two"), ("two", "one"))
    ]
    try:
        assert [process.wait(60) for process in jobs] == [0, 0]
    finally:
        for process in jobs:
            process.terminate()
            process.wait()
    for name in ("one", "two"):
        held = [(tmp_path / f"{name}-{rank}").read_text() for rank in (0, 1)]
        assert held == ["GPU-a", "GPU-b"]


def test_alone_a_share_is_everything() -> None:
    rows = torch.arange(6.0, requires_grad=True)
    assert ALONE.rows(6, "batch") == slice(0, 6)
    assert ALONE.gather(rows) is rows
    assert ALONE.mean(rows.sum(), torch.tensor(6.0)) == rows.mean()
    assert ALONE.average([1.0, 2.0], torch.device("cpu")) == [1.0, 2.0]


@pytest.mark.parametrize("processes", [1, 2, 3, 6])
def test_shares_part_a_batch_in_order(processes: int) -> None:
    parts = [Share(rank, processes).rows(6, "batch") for rank in range(processes)]
    assert [k for part in parts for k in range(6)[part]] == list(range(6))
