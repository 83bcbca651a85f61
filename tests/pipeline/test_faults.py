"""What goes wrong around a run: kills, disks, clocks, links, people, names; docs/reliability.md is its table.

What a file holds that cannot be right is the matter of test_bad_input.py.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from boldreel import verify

from .conftest import EARLY, LATE, content
from .workflow import ROOT, Workspace, copy_of_repository

pytestmark = pytest.mark.pipeline

HOSTILE = 'it\'s; $(touch owned) `touch owned` "ü" & -rf'
T1W = "demo/bids/sub-01/anat/sub-01_T1w.nii.gz"


def one_line(text: str, *words: str) -> None:
    """Some line of error has all words, and nobody sees a traceback."""
    assert "Traceback" not in text, text[-3000:]
    lines = [line for line in text.splitlines() if line.startswith("error: ")]
    assert any(all(word in line for word in words) for line in lines), text[-3000:]


@pytest.fixture
def finished(small_run) -> Workspace:
    assert small_run.code == 0, small_run.log[-3000:]
    return small_run.workspace


@pytest.fixture
def own(finished, tmp_path):
    """(BIDS copy, its list of subjects, function that makes words of Snakemake's command line)."""
    bids, subjects = tmp_path / "bids", tmp_path / "subjects.tsv"
    shutil.copytree(finished.results / "bids", bids)
    subjects.write_text("subject\n01\n")
    shutil.rmtree(finished.root / "results" / "own", ignore_errors=True)

    def command(*targets: str) -> tuple[str, ...]:
        settings = ["dataset=own", f"bids={bids}", f"subjects={subjects}"]
        return (*(f"results/own/{target}" for target in targets), "--config", *settings)

    return bids, subjects, command


def ran(workspace: Workspace, *arguments: str) -> tuple[int, str]:
    done = workspace.run(*arguments)
    return done.returncode, done.stdout + done.stderr


def verified(workspace: Workspace) -> tuple[int, str]:
    """`python -m boldreel.verify` in a workspace."""
    done = subprocess.run(
        [sys.executable, "-m", "boldreel.verify"],
        cwd=workspace.root,
        env=workspace.environment() | {"PYTHONPATH": str(workspace.root / "workflow" / "lib")},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("rule", [rule for rule, _ in EARLY + LATE])
def test_a_kill_in_any_stage_leaves_no_half_result(small_run, rule):
    """With those of trainings (test_small_run.py) every stage; the run went on from each.

    What had a result's name when everything was killed is what stands there in the end, byte for byte.
    """
    assert small_run.code == 0, small_run.log[-3000:]
    assert small_run.kills[rule] is False
    half = [path for path, held in small_run.left[rule].items() if content(path) != held]
    assert not half


def test_after_all_kills_every_artefact_is_what_its_provenance_says(finished):
    code, text = verified(finished)
    assert code == 0, text
    assert int(re.search(r"(\d+) artefacts and", text)[1]) > 50


def test_a_corrupted_intermediate_file_is_found_by_its_hash(finished):
    path = finished.results / "sub-01" / "windows.parquet"
    content = path.read_bytes()
    about = path.stat()
    flipped = bytearray(content)
    flipped[len(flipped) // 2] ^= 1
    try:
        path.write_bytes(flipped)
        os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))  # as a failing disk does it
        code, text = verified(finished)
    finally:
        path.write_bytes(content)
        os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert code == 1
    assert "results/demo/sub-01/windows.parquet: its bytes are not those that its step left" in text
    assert ", 1 differ" in text


@pytest.fixture
def disk(tmp_path):
    """(mount point of a disk of 150 kB, function that mounts it again with other options)."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(options: str) -> int:
        words = ["mount", "-t", "tmpfs", "-o", options, "none", str(place)]
        return subprocess.run(words, capture_output=True, check=False).returncode

    if shutil.which("mount") is None or mount("size=150k"):
        pytest.skip("no disk can be mounted: only root can")
    try:
        yield place, lambda options: mount(f"remount,{options}")
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=False)


def test_a_full_disk_is_told_and_the_run_goes_on_when_there_is_room(finished, disk):
    place, mount = disk
    target, settings = f"{place}/{T1W}", ["--config", f"results={place}"]
    code, text = ran(finished, target, *settings)
    assert code != 0
    one_line(text, T1W, "no space is left")
    assert not Path(target).exists() and not verify.left_over(place)
    assert mount("size=50m") == 0
    code, text = ran(finished, target, *settings)
    assert code == 0, text[-3000:]
    assert Path(target).stat().st_size > 150_000


def test_results_that_cannot_be_written_are_told_before_the_first_job(finished, disk):
    place, mount = disk
    assert mount("ro") == 0
    code, text = ran(finished, f"{place}/{T1W}", "--config", f"results={place}")
    assert code != 0 and "rule insilico_anatomy" not in text.split("error:")[1]
    one_line(text, str(place), "cannot be written")


def test_of_two_snakemakes_at_once_the_second_is_refused(finished, own, tmp_path):
    *_, command = own
    log = tmp_path / "first.log"
    first = finished.own().start(*command("sub-01/roi/voxels.parquet"), log=log)
    try:
        deadline = time.monotonic() + 60
        while "rule " not in log.read_text() and time.monotonic() < deadline:
            time.sleep(0.05)
        code, text = ran(finished.own(), *command("sub-01/roi/voxels.parquet"))
        assert code != 0 and "Traceback" not in text and "cannot be locked" in text, text[-3000:]
        assert first.wait(timeout=300) == 0, log.read_text()[-3000:]
    finally:
        finished.stop(first, signal.SIGKILL)


def test_data_of_tomorrow_are_refused(finished, own):
    bids, _, command = own
    late = time.time() + 86_400
    os.utime(bids / "stimuli" / "train01.mp4", (late, late))
    code, text = ran(finished.own(), *command("sub-01/checked.json"))
    assert code != 0
    one_line(text, "train01.mp4", "24.0 hours in the future", "touch")


@pytest.mark.parametrize("kind", ["movie", "bold"])
def test_a_link_that_leads_nowhere_is_told_before_the_first_job(finished, own, kind):
    bids, _, command = own
    path = bids / "stimuli" / "train01.mp4"
    if kind == "bold":
        path = bids / "sub-01" / "func" / "sub-01_task-train01_run-1_bold.nii"
    path.unlink()
    path.symlink_to("../.git/annex/objects/absent")
    code, text = ran(finished.own(), *command("sub-01/checked.json"))
    assert code != 0 and not (finished.root / "results" / "own").exists()
    one_line(text, path.name, "a dangling link", "annex")


def test_a_subject_removed_in_mid_run_is_told_and_goes_with_its_row(finished, own, tmp_path):
    """Snakemake ends the run, naming the file; without the subject's row the next run goes on."""
    bids, subjects, command = own
    subjects.write_text("subject\n01\n03\n")
    log = tmp_path / "removed.log"
    wanted = [f"sub-{s}/series/task-train01_run-1.npy" for s in ("01", "03")]
    process = finished.own().start(*command(*wanted), "--keep-going", log=log)
    try:
        deadline = time.monotonic() + 120
        while "rule bold_anatomy:" not in log.read_text() and time.monotonic() < deadline:
            time.sleep(0.02)
        shutil.rmtree(bids / "sub-03")
        assert process.wait(timeout=300) != 0
    finally:
        finished.stop(process, signal.SIGKILL)
    text = log.read_text()
    assert "Traceback" not in text
    assert re.search(r"(Missing files|error: )[\s\S]*sub-03", text), text[-4000:]
    made = finished.root / "results" / "own"
    assert not any((made / "sub-03").rglob("*.npy"))
    code, text = ran(finished.own(), *command(wanted[0]))
    assert code != 0
    one_line(text, "sub-03")
    subjects.write_text("subject\n01\n")
    code, text = ran(finished.own(), *command(wanted[0]))
    assert code == 0 and (made / wanted[0]).exists(), text[-3000:]


def test_no_name_is_run_by_a_shell_or_leads_out_of_the_results(finished, tmp_path):
    """The repository, the data and a movie under a name of quotes, commands, blanks and other alphabets."""
    outside = tmp_path / "outside"
    outside.mkdir()
    workspace = copy_of_repository(outside / HOSTILE)
    workspace = workspace.own()
    bids = outside / f"data {HOSTILE}"
    shutil.copytree(finished.results / "bids", bids)
    cell = '"{}.mp4"'.format(HOSTILE.replace('"', '""'))
    for events in bids.rglob("*_events.tsv"):
        events.write_text(events.read_text().replace("train01.mp4", cell))
    for beside in (bids / "stimuli").glob("train01.*"):
        beside.rename(beside.with_name(HOSTILE + beside.suffix))
    subjects, overlay = outside / "who's.tsv", workspace.root / "hostile.yaml"
    subjects.write_text("subject\n01\n")
    overlay.write_text(json.dumps({"dataset": "own", "bids": str(bids), "subjects": str(subjects)}))
    workspace.configuration += " hostile.yaml"
    before = set(outside.rglob("*"))
    targets = ["clips.parquet", "sub-01/checked.json", "sub-01/series/task-train01_run-1.npy"]
    code, text = ran(workspace, *(f"results/own/{target}" for target in targets))
    assert code == 0, text[-5000:]
    made = workspace.root / "results" / "own"
    assert (made / "stimuli" / HOSTILE / "frames.npy").exists()
    assert not list(tmp_path.rglob("owned*"))
    allowed = [workspace.root / name for name in ("results", "state", "logs", ".snakemake")]
    strayed = [
        path
        for path in set(outside.rglob("*")) - before
        if not any(place in (path, *path.parents) for place in allowed)
        and "__pycache__" not in path.parts  # compiled modules
    ]
    assert not strayed


@pytest.mark.parametrize("label", ["../../x", "$(touch owned)", "01; touch owned", "-rf", "é"])
def test_labels_that_are_none_are_refused_before_anything(finished, own, label):
    _, subjects, command = own
    subjects.write_text(f"subject\n{label}\n")
    code, text = ran(finished.own(), "--dry-run", *command("sub-01/checked.json"))
    assert code != 0 and not (finished.root / "owned").exists()
    one_line(text, repr(label), "letters and digits")


def test_every_row_of_the_table_is_a_test():
    """docs/reliability.md names for each fault the test that brings it about."""
    rows = [
        line
        for line in (ROOT / "docs" / "reliability.md").read_text().splitlines()
        if line.startswith("| ") and "`tests/" in line
    ]
    assert len(rows) >= 20
    for row in rows:
        path, name = re.search(r"`(tests/[\w/]+\.py)::(test_\w+)`", row).groups()
        assert f"def {name}(" in (ROOT / path).read_text(), row
