"""GPU leases: one process a card, all cards of a job or none, whoever made the lock files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from tests.unit.training.conftest import cards, nvidia_smi

from boldreel.errors import UserError
from boldreel.training import device

# Holds so many cards for a moment; says which, from when and until when.
JOB = """
import sys, time
from itertools import pairwise
from pathlib import Path
from boldreel.step import run
from boldreel.training import device

def main():
    count, seconds = int(sys.argv[1]), float(sys.argv[2])
    with device.hold(count, Path(sys.argv[3]), poll=0.05) as cards:
        print(*cards, time.monotonic(), end=" ", flush=True)
        time.sleep(seconds)
        print(time.monotonic())

run(main)
"""


def job(folder: Path, path: str, count: int, seconds: float = 0.3) -> subprocess.Popen[str]:
    known = {k: v for k, v in os.environ.items() if k != "CUDA_VISIBLE_DEVICES"}
    return subprocess.Popen(
        [sys.executable, "-c", JOB, str(count), str(seconds), str(folder)],
        env={**known, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def computing(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch can use every card."""
    monkeypatch.setattr(device, "_usable", lambda card: torch.device("cpu"))


def test_jobs_that_need_two_of_two_cards_do_not_wait_in_a_circle(tmp_path):
    """Among them some that need one: each ends, and no card has two jobs at a time."""
    path = nvidia_smi(tmp_path / "bin", cards("GPU-a", "GPU-b"))
    jobs = [job(tmp_path, path, count) for count in (2, 1, 2, 1, 2)]
    spans = []
    for process in jobs:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        *held, begun, ended = out.split()
        spans += [(card, float(begun), float(ended)) for card in held]
    assert len(spans) == 8
    for card in ("GPU-a", "GPU-b"):
        times = sorted(span[1:] for span in spans if span[0] == card)
        assert all(first[1] <= then[0] for first, then in pairwise(times))


def test_who_waits_says_for_whom_and_can_be_stopped(tmp_path, machine):
    machine("GPU-a", "GPU-b")
    with device.hold(1, tmp_path) as mine:
        assert mine == ["GPU-a"]
        first = job(tmp_path, os.environ["PATH"], 2)
        line = first.stderr.readline()
        assert line == (f"waiting for 2 of 2 GPUs: GPU-a is leased to process {os.getpid()}\n"), (
            line
        )
        second = job(tmp_path, os.environ["PATH"], 1)  # would have to let the first one go before
        line = second.stderr.readline()
        assert line == f"waiting for 1 of 2 GPUs, after process {first.pid}\n"
        for process in (second, first):
            stopped = time.monotonic()
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 143 and time.monotonic() - stopped < 5
    with device.hold(2, tmp_path, wait=False):
        pass


def test_jobs_that_see_a_card_by_different_numbers_mean_the_same_card(
    tmp_path, machine, monkeypatch
):
    machine("GPU-a", "GPU-b")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    with device.hold(1, tmp_path) as held:
        assert held == ["GPU-b"] and os.environ["CUDA_VISIBLE_DEVICES"] == "GPU-b"
        machine("GPU-b")  # a job from which SLURM hides the first card
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
        with (
            pytest.raises(UserError, match=f"GPU-b is leased to process {os.getpid()}"),
            device.hold(1, tmp_path, wait=False),
        ):
            pass


def test_the_folder_of_locks_is_that_of_every_job(machine, monkeypatch, tmp_path):
    """Schedulers give each job its own TMPDIR."""
    machine("GPU-lock-test")
    path = device.LOCKS / "boldreel-GPU-lock-test.lock"
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    try:
        with device.hold(1):
            assert path.exists() and not list(tmp_path.glob("*.lock"))
    finally:
        path.unlink()
        path.with_suffix(".queue").unlink()


def test_more_processes_than_cards_are_a_mistake(tmp_path, machine):
    machine("GPU-a")
    told = "2 processes train together, one per GPU, but only 1 GPUs"
    with pytest.raises(UserError, match=told), device.hold(2, tmp_path):
        pass


def test_another_users_lock_file_needs_no_writing(tmp_path, machine):
    """A file in the shared temporary folder belongs to who came first: it is opened to read alone."""
    machine("GPU-a")
    for ending in ("lock", "queue"):
        (tmp_path / f"boldreel-GPU-a.{ending}").touch(0o444)
    with device.hold(1, tmp_path):
        kept = [Path(f"/proc/self/fdinfo/{p.name}") for p in Path("/proc/self/fd").iterdir()]
        held = [p.read_text() for p in kept if p.exists() and "FLOCK" in p.read_text()]
        assert len(held) == 1
        access = int(held[0].split("flags:")[1].split()[0], 8) & os.O_ACCMODE
        assert access == os.O_RDONLY


def test_a_leased_card_that_pytorch_cannot_use_is_a_mistake(tmp_path, machine):
    """The card is not there, and PyTorch says so: no CPU takes its place."""
    machine("GPU-a")
    told = r"GPU-a: PyTorch .*, a wheel for .*, cannot use this GPU with driver 550\.54\.15 .*`device: cpu`"
    with pytest.raises(UserError, match=told) as caught, device.lease(tmp_path):
        pass
    assert "\n" not in str(caught.value)
    assert "CUDA_VISIBLE_DEVICES" not in os.environ and "BOLDREEL_LEASED" not in os.environ
    with device.hold(1, tmp_path, wait=False):
        pass


def test_a_cpu_is_told_with_its_reason(machine, monkeypatch, capsys):
    machine("GPU-a")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with device.lease() as where:
        assert where.type == "cpu"
    said = "computing on the CPU: CUDA_VISIBLE_DEVICES= names no GPU\n"
    assert capsys.readouterr().err == said


def test_processes_of_a_launcher_part_its_cards(tmp_path, machine, monkeypatch, computing):
    machine("GPU-a", "GPU-b")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    with device.hold(2, tmp_path):
        for rank, card in enumerate(["GPU-a", "GPU-b"]):
            monkeypatch.setenv("LOCAL_RANK", str(rank))
            with device.lease(tmp_path):
                assert os.environ["CUDA_VISIBLE_DEVICES"] == card
                assert os.environ["LOCAL_RANK"] == "0"  # it sees one card
                with device.lease(tmp_path):  # so does what it starts
                    assert os.environ["CUDA_VISIBLE_DEVICES"] == card
            assert os.environ["CUDA_VISIBLE_DEVICES"] == "GPU-a,GPU-b"
            assert os.environ["LOCAL_RANK"] == str(rank)


def test_processes_of_torchrun_wait_for_nobody(tmp_path, machine, monkeypatch, computing):
    machine("GPU-a", "GPU-b")
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    with device.lease(tmp_path):  # held by the first
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "GPU-b"
    monkeypatch.setenv("LOCAL_RANK", "0")
    with device.lease(tmp_path):
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "GPU-a"
        monkeypatch.delenv("BOLDREEL_LEASED")
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
        for count in (1, 2):
            monkeypatch.setenv("LOCAL_WORLD_SIZE", str(count))
            told = f"GPU-a is leased to process {os.getpid()}"
            with pytest.raises(UserError, match=told), device.lease(tmp_path):
                pass
