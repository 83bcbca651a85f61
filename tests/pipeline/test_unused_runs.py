"""Own data next to which other tasks lie: planned with the runs that segments name, the others are listed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from boldreel.data import nifti

from .workflow import Workspace, copy_of_repository

pytestmark = pytest.mark.pipeline

MOVIES = ("m1", "m2", "m3", "t1")
OWN = """
dataset: own
bids: bids
subjects: own.tsv
segments: {train: ["m*"], validation: [m3], test: [t1]}
pretrain: {subjects: ["02", "03"]}
bold: {engine: embedded}
"""
DERIVATIVES = """
bold: {engine: derivatives, derivatives: derivatives}
roi: {atlas: whole-cortex, groups: [cortex], confounds: none}
"""
SPACE = "space-MNI152NLin2009cAsym_desc-preproc_bold.nii.gz"


def run(root: Path, subject: str, task: str, ending: str = "bold.nii.gz", volumes: int = 30):
    path = root / f"sub-{subject}/func/sub-{subject}_task-{task}_{ending}"
    path.parent.mkdir(parents=True, exist_ok=True)
    nifti.save(path, np.ones((2, 2, 2, volumes), np.int16), np.eye(4), t_r=2.0)
    path.with_name(path.name.replace(".nii.gz", ".json")).write_text('{"RepetitionTime": 2}')
    return path


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    """01 watches; 02 watches and rests, for pretraining too; 03 only rests. Each was aborted once."""
    made = copy_of_repository(tmp_path)
    bids = tmp_path / "bids"
    (bids / "stimuli").mkdir(parents=True)
    (bids / "dataset_description.json").write_text(json.dumps({"Name": "x", "BIDSVersion": "1.9"}))
    for movie in MOVIES:
        (bids / "stimuli" / f"{movie}.mp4").touch()
    for subject in ("01", "02", "03"):
        for task in (*MOVIES, "localizer") if subject != "03" else ():
            path = run(bids, subject, task)
            cells = f"0\t40\t{task}.mp4" if task in MOVIES else "0\t40\tfaces"
            names = "onset\tduration\t" + ("stim_file" if task in MOVIES else "trial_type")
            events = path.with_name(path.name.replace("bold.nii.gz", "events.tsv"))
            events.write_text(f"{names}\n{cells}\n")
        run(bids, subject, "rest")
        run(bids, subject, "aborted", volumes=5)
        for kind in ("raw", "dico"):
            run(bids, subject, f"twice_acq-{kind}")
        t1w = bids / f"sub-{subject}/anat/sub-{subject}_T1w.nii.gz"
        t1w.parent.mkdir()
        t1w.touch()
    (tmp_path / "own.tsv").write_text("subject\n01\n02\n")
    (tmp_path / "own.yaml").write_text(OWN)
    made.configuration = "own.yaml"
    return made


def series(workspace: Workspace) -> dict[str, set[str]]:
    """Segments by subject whose series are planned."""
    found: dict[str, set[str]] = {}
    for rule, wildcards in workspace.planned():
        if rule == "roi_series":
            words = dict(part.split("=") for part in wildcards.split(", "))
            found.setdefault(words["subject"], set()).add(words["segment"])
    return found


def test_raw_data(workspace):
    movies = set(MOVIES)
    expected = {"01": movies, "02": movies | {"localizer", "rest"}, "03": {"rest"}}
    assert series(workspace) == expected
    done = workspace.run("--dry-run", "--quiet")
    lines = [line for line in done.stderr.splitlines() if " ignored, " in line]
    assert [line.split(",")[0] for line in lines] == [
        "sub-01: 5 runs ignored",
        "sub-02: 3 runs ignored",
        "sub-03: 3 runs ignored",
    ]
    assert "task-localizer run 1, task-rest run 1" in lines[0]
    assert "5 volumes: task-aborted run 1" in lines[1]


def test_derivatives_of_some_tasks(workspace):
    """None of the localizer, and of a task whose raw data are not there; and none of a test run."""
    tree = workspace.root / "derivatives"
    for subject in ("01", "02", "03"):
        for task in (*MOVIES, "faces") if subject != "03" else ("rest",):
            run(tree, subject, task, SPACE)
    (workspace.root / "derived.yaml").write_text(DERIVATIVES)
    workspace.configuration += " derived.yaml"
    movies = set(MOVIES)
    assert series(workspace) == {"01": movies, "02": movies | {"faces"}, "03": {"rest"}}
    next(tree.glob(f"sub-02/func/*_task-t1_{SPACE}")).unlink()
    done = workspace.run("--dry-run")
    assert done.returncode != 0 and "Traceback" not in done.stderr
    assert "sub-02: task-t1 run 1 without a session of the raw data has no" in done.stderr
