"""A user's mistakes in raw data and configuration: one clear line each, before anything long starts.

The small run's BIDS data set serves as somebody's own data, so this also runs the way of own data.
"""

from __future__ import annotations

import json
import shutil

import pytest

pytestmark = pytest.mark.pipeline

FUNC = "sub-01/func/sub-01_task-{}_run-{}_{}"


@pytest.fixture
def own(small_run, tmp_path):
    """(root of a BIDS copy, function that checks it through Snakemake)."""
    assert small_run.code == 0, small_run.log[-3000:]
    workspace = small_run.workspace
    bids = tmp_path / "bids"
    shutil.copytree(workspace.results / "bids", bids)
    subjects = tmp_path / "subjects.tsv"
    subjects.write_text("subject\n01\n")
    settings = ["dataset=own", f"bids={bids}", f"subjects={subjects}"]

    def check(*more: str):
        shutil.rmtree(workspace.root / "results" / "own", ignore_errors=True)
        done = workspace.own().run("results/own/sub-01/checked.json", "--config", *settings, *more)
        return done.returncode, done.stdout + done.stderr

    return bids, check


def told(code: int, text: str, *words: str) -> None:
    """One line says it, the run fails, and nobody sees a traceback."""
    assert code != 0
    assert "Traceback" not in text
    lines = [line for line in text.splitlines() if line.startswith("error: ")]
    assert any(all(word in line for word in words) for line in lines), text[-2000:]


def test_good_data_pass(own):
    _, check = own
    code, text = check()
    assert code == 0, text[-3000:]


def test_unknown_configuration_key(own):
    _, check = own
    told(*check("sed=1"), "unknown key 'sed'", "'seed'")


def test_missing_movie(own):
    bids, check = own
    (bids / "stimuli" / "train01.mp4").unlink()
    told(*check(), "train01")


def test_truncated_image(own):
    bids, check = own
    path = bids / FUNC.format("train01", 1, "bold.nii")
    path.write_bytes(path.read_bytes()[:-5000])
    told(*check(), path.name, "truncated")


def test_tr_that_contradicts_the_sidecar(own):
    bids, check = own
    path = bids / FUNC.format("train01", 1, "bold.json")
    sidecar = json.loads(path.read_text())
    path.write_text(json.dumps(sidecar | {"RepetitionTime": 1.5}))
    told(*check(), "train01", "1.5")


def test_events_past_the_end(own):
    bids, check = own
    path = bids / FUNC.format("train01", 1, "events.tsv")
    lines = path.read_text().splitlines()
    fields = lines[1].split("\t")
    fields[lines[0].split("\t").index("duration")] = "9999"
    path.write_text("\n".join([lines[0], "\t".join(fields)]) + "\n")
    told(*check(), path.name)


def test_two_identical_runs(own):
    bids, check = own
    shutil.copy(
        bids / FUNC.format("train01", 1, "bold.nii"), bids / FUNC.format("train02", 2, "bold.nii")
    )
    told(*check(), "train01_run-1", "train02_run-2")


def test_a_mistake_is_told_before_the_first_job(small_run, own):
    """Not only before the run that it is in: nothing of another stage has begun either."""
    bids, _ = own
    path = bids / FUNC.format("train01", 1, "bold.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"RepetitionTime": 1.5}))
    settings = ["dataset=early", f"bids={bids}"]
    done = small_run.workspace.own().run("results/early/clips.parquet", "--config", *settings)
    told(done.returncode, done.stdout + done.stderr, "train01", "1.5")
    assert not (small_run.workspace.root / "results" / "early").exists()
