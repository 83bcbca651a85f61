"""Somebody's own BIDS data set: other engines than the embedded one, and what may be fitted."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from .workflow import ROOT

pytestmark = pytest.mark.pipeline

EMBEDDED = "space-MNI152NLin2009aSym"
OTHER = "space-MNI152NLin2009cAsym_res-4"
CONTAINERS = ROOT / "tests" / "tools" / "containers"
OWN = ["bids=results/demo/bids", "roi={atlas: hcp-mmp, groups: [early]}"]


@pytest.fixture(scope="session")
def tree(small_run, tmp_path_factory) -> Path:
    """The small run's preprocessed runs as if fMRIPrep had made them, in the space that it writes."""
    assert small_run.code == 0, small_run.log[-3000:]
    source = small_run.workspace.results / "derivatives" / "embedded"
    root = tmp_path_factory.mktemp("fmriprep")
    for path in source.glob("sub-*/func/*"):
        name = path.name.replace(EMBEDDED, OTHER)
        if "_desc-preproc_bold.provenance" not in name:
            target = root / path.parent.relative_to(source) / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(path)
    return root


def test_pretraining_on_those_who_watch_reads_no_test_run(small_run):
    """The cohort may be the subjects themselves; their test runs are not in its corpus."""
    assert small_run.code == 0, small_run.log[-3000:]
    settings = ["dataset=own", "bids=results/demo/bids", "pretrain={subjects: [01, 03]}"]
    jobs = small_run.workspace.own().planned("results/own/corpus", "--config", *settings)
    read = [wildcards for rule, wildcards in jobs if rule == "roi_series"]
    for subject in ("01", "03"):
        segments = {
            part.removeprefix("segment=")
            for wildcards in read
            if f"subject={subject}" in wildcards
            for part in wildcards.split(", ")
            if part.startswith("segment=")
        }
        assert segments == {"train01", "train02", "train03"}


def voxels_and_series(root: Path, dataset: str) -> tuple[pd.DataFrame, np.ndarray]:
    results = root / "results" / dataset / "sub-01"
    table = pd.read_parquet(results / "roi" / "voxels.parquet")
    return table, np.load(results / "series" / "task-train01_run-1.npy")


def test_derivatives_are_adopted_where_they_lie(small_run, tree):
    """Series at a parcellation's voxels, from runs that were preprocessed elsewhere."""
    workspace = small_run.workspace.own()
    settings = ["dataset=adopted", *OWN, f"bold={{engine: derivatives, derivatives: {tree}}}"]
    done = workspace.run("results/adopted/sub-01/roi/voxels.parquet", "--config", *settings)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    assert not (workspace.root / "results/adopted/derivatives").exists(), "nothing is copied"
    table, series = voxels_and_series(workspace.root, "adopted")
    # The demo's atlas and the parcellation share voxels: the same run must give the same series.
    demo, demo_series = voxels_and_series(workspace.root, "demo")
    place = {tuple(row): k for k, row in enumerate(demo[["i", "j", "k"]].to_numpy()) if row[0] >= 0}
    cells = enumerate(table[["i", "j", "k"]].to_numpy())
    shared = [(k, place[tuple(row)]) for k, row in cells if tuple(row) in place]
    assert len(shared) > 50
    own, theirs = np.array(shared).T
    np.testing.assert_array_equal(series[:, own], demo_series[:, theirs])


def test_the_whole_way_is_planned_from_derivatives(small_run, tree):
    settings = ["dataset=adopted", *OWN, f"bold={{engine: derivatives, derivatives: {tree}}}"]
    rules = {rule for rule, _ in small_run.workspace.own().planned("--config", *settings)}
    assert {"windows_sweep", "generator_cotrain", "bold_qc", "report_page"} <= rules
    assert not {"bold_run", "bold_fmriprep"} & rules


def test_subjects_on_other_grids_stop_a_plan(small_run, tree, tmp_path):
    """One run of one subject, moved by a voxel."""
    moved = shutil.copytree(tree, tmp_path / "moved", symlinks=True)
    path = next(moved.glob("sub-03/func/*_desc-preproc_bold.nii"))
    image = nib.load(path)
    values, affine = np.array(image.dataobj), image.affine.copy()
    path.unlink()
    affine[0, 3] += 4
    nib.Nifti1Image(values, affine).to_filename(path)
    settings = ["dataset=moved", *OWN, f"bold={{engine: derivatives, derivatives: {moved}}}"]
    done = small_run.workspace.own().run("--dry-run", "--config", *settings)
    (line,) = [text for text in done.stderr.splitlines() if text.startswith("error: ")]
    assert done.returncode != 0 and "all runs need one" in line and "sub-03" in line


def test_fmriprep_runs_in_a_container(small_run, tree, tmp_path, monkeypatch):
    """Through Snakemake, against a docker that makes the derivatives it was told to make."""
    (tmp_path / "licence.txt").write_text("licence")
    monkeypatch.setenv("RECORD", str(tmp_path / "calls"))
    monkeypatch.setenv("FMRIPREP_MAKES", str(tree))
    monkeypatch.setenv("PATH", f"{CONTAINERS}:{os.environ['PATH']}")
    licence = f"{{licence: {tmp_path}/licence.txt}}"
    settings = ["dataset=prep", *OWN, f"bold={{engine: fmriprep-docker, fmriprep: {licence}}}"]
    done = small_run.workspace.own().run("results/prep/sub-01/bold.tsv", "--config", *settings)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    runs = pd.read_csv(small_run.workspace.root / "results/prep/sub-01/bold.tsv", sep="\t")
    made = list(tree.glob("sub-01/func/*_desc-preproc_bold.nii"))
    assert len(runs) == len(made) > 0 and set(runs["pipeline"]) == {"fmriprep"}
    (call,) = [
        line for line in (tmp_path / "calls").read_text().splitlines() if "participant" in line
    ]
    # Eight threads are the default; Snakemake has two to give, and fMRIPrep is told so.
    assert '"--nthreads", "2"' in call and '"--participant-label", "01"' in call
    assert all("results/prep/derivatives/fmriprep/sub-01" in path for path in runs["bold"])


def test_a_missing_licence_is_told_before_anything_starts(small_run, tmp_path, monkeypatch):
    monkeypatch.setenv("RECORD", str(tmp_path / "calls"))
    monkeypatch.setenv("PATH", f"{CONTAINERS}:{os.environ['PATH']}")
    monkeypatch.delenv("FS_LICENSE", raising=False)
    settings = ["dataset=prep2", *OWN, "bold={engine: fmriprep-docker}"]
    done = small_run.workspace.own().run("results/prep2/sub-01/bold.tsv", "--config", *settings)
    text = done.stdout + done.stderr
    assert done.returncode != 0 and "Traceback" not in text
    assert "error: configuration: bold.fmriprep.licence is not set" in text
    assert not (small_run.workspace.root / "results/prep2").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["bold={engine: derivatives}"], "bids` is not set"),
        (["bids=results/demo/bids", "bold={engine: derivatives}"], "bold.derivatives does not say"),
        (["bids=results/demo/bids", "bold={space: fsLR}"], "the embedded engine has one space"),
    ],
)
def test_engines_that_cannot_be(small_run, settings, message):
    workspace = (
        small_run.workspace.own() if any("bids=" in s for s in settings) else small_run.workspace
    )
    done = workspace.run("--dry-run", "--config", "dataset=none", *settings)
    text = done.stdout + done.stderr
    assert done.returncode != 0 and "Traceback" not in text and message in text
