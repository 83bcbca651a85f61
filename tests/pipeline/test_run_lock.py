"""Two working directories share a results folder: one runs, and the other reports which one."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .workflow import copy_of_repository, environment

pytestmark = pytest.mark.pipeline
TARGET = "bids/sub-01/anat/sub-01_T1w.nii.gz"


@pytest.fixture
def shared(tmp_path):
    """(words that start Snakemake on shared results, the results, two working directories)."""
    workspace = copy_of_repository(tmp_path / "checkout")
    results = tmp_path / "shared" / "results"
    words = [sys.executable, "-m", "snakemake", "--cores", "1"]
    words += ["--snakefile", str(workspace.root / "workflow" / "Snakefile")]
    settings = [f"results={results}", f"state={tmp_path}/shared/state"]
    folders = [tmp_path / "first", tmp_path / "second"]
    for folder in folders:
        folder.mkdir()
    return [*words, f"{results}/demo/{TARGET}", "--config", *settings], results / "demo", folders


def ran(words: list[str], folder: Path) -> tuple[int, str]:
    done = subprocess.run(
        words, cwd=folder, env=environment(), capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


def test_the_second_is_refused_until_the_first_ends_even_by_kill(shared):
    words, results, (first, second) = shared
    running = subprocess.Popen(
        words,
        cwd=first,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 60
        while not (results / ".lock").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        os.killpg(running.pid, signal.SIGSTOP)  # however fast its one job is
        assert running.poll() is None
        code, text = ran([*words, "--dry-run"], second)
        assert code == 0, "a dry run writes nothing"
        code, text = ran(words, second)
        (line,) = re.findall(r"^error: .*", text, flags=re.MULTILINE)
        assert code != 0 and "Traceback" not in text
        assert str(results) in line and f"process {running.pid} " in line and str(first) in line
        assert "`results`" in line
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
    code, text = ran(words, second)
    assert code == 0 and (results / TARGET).exists(), text[-3000:]
    assert json.loads((results / ".lock").read_text())["working_directory"] == str(second)


def test_results_of_another_working_directory_with_other_settings_are_told(shared):
    words, _, (first, second) = shared
    code, text = ran(words, first)
    assert code == 0 and "last written" not in text, text[-3000:]
    code, text = ran([*words, "--dry-run"], second)
    assert code == 0 and "last written" not in text
    code, text = ran([*words, "seed=1", "--dry-run"], second)
    (line,) = re.findall(r"^warning: .*", text, flags=re.MULTILINE)
    assert code == 0 and f"last written from {first} " in line
    assert "different configuration;" in line
    code, text = ran([*words, "seed=1", "--dry-run"], first)
    assert "last written" not in text and "insilico_anatomy" in text, "Snakemake itself knows"
