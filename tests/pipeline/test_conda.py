"""The whole workflow with one conda environment per rule, made by a stand-in for conda.

Where the tests run, no conda channel can be reached: `tests/tools/conda` answers Snakemake's calls with
venvs that hold the pins of the environment files and nothing else.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from boldreel.data import arrays

from .workflow import ROOT, copy_of_repository

pytestmark = pytest.mark.conda
STAND_IN = ROOT / "tests" / "tools" / "conda" / "bin"


@pytest.fixture(scope="module")
def conda_run(tmp_path_factory):
    """(workspace, what a run with --use-conda printed, its exit status)."""
    workspace = copy_of_repository(tmp_path_factory.mktemp("conda"))
    workspace.configuration = "tests/pipeline/tiny.yaml tests/pipeline/conda.yaml"
    # the stand-in runs on the Python of the tests, which has pip
    workspace.path = f"{STAND_IN}:{Path(sys.executable).parent}"
    plain = workspace.planned()
    done = workspace.run("--use-conda")
    return workspace, plain, done.stdout + done.stderr, done.returncode


def test_it_finishes_with_few_environments(conda_run):
    workspace, _, log, code = conda_run
    assert code == 0, log[-5000:]
    assert (workspace.results / "report.html").stat().st_size > 10_000
    # the ablations are not part of the default target
    more = workspace.run("ablation", "--use-conda", "--conda-create-envs-only")
    log += more.stdout + more.stderr
    made = set(re.findall(r"Environment for \S*?(\w+)\.yaml created", log))
    texts = {path.stem: path.read_text() for path in (ROOT / "envs").glob("*.yaml")}
    # stages of equal needs share one
    assert {texts[name] for name in made} == set(texts.values()) and len(made) <= 5


def test_its_clips_go_on_from_each_other_and_have_two_samples(conda_run):
    workspace, *_ = conda_run
    (shard,) = workspace.results.glob("sub-*/reconstruction/mindvideo/shard-0")
    frames, meta = arrays.load(shard / "frames.npy", kind="reconstruction")
    every, _ = arrays.load(shard / "samples.npy", kind="samples")
    assert (every[:, 0] == frames).all() and every.shape[1] == 2
    (movie,) = (shard / "movie").glob("*.mp4")
    assert movie.stem == meta["clips"][0]
    assert "Continuous movies" in (workspace.results / "report.html").read_text()


def test_it_is_the_same_workflow(conda_run):
    workspace, plain, _, _ = conda_run
    assert plain, "nothing was planned before the run"
    assert sorted(workspace.planned("--forceall", "--use-conda")) == sorted(plain)
    done = workspace.run("--dry-run", "--use-conda")
    assert "Nothing to be done" in done.stdout + done.stderr
