"""Single-trial betas: from a table of trials and files of betas to the responses that all stages take."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from tests.fixtures_cifti import models, write_dense
from tests.fixtures_presentations import shown_by
from tests.fixtures_settings import settings as chosen

from boldreel.bold import betas, import_derivatives
from boldreel.data import nifti, preprocessed_runs, presentations, tables
from boldreel.data.presentations import ShownRun
from boldreel.data.responses import load_responses
from boldreel.errors import UserError
from boldreel.roi import series
from boldreel.windows import build, runs

SPACE = "MNI152NLin2009cAsym:res-2"
SHAPE = (3, 4, 5)
AFFINE = np.array([[2.0, 0, 0, -4], [0, 2, 0, -80], [0, 0, 2, 6], [0, 0, 0, 1]])
HEAD = "subject\ttask\trun\tstimulus\tbetas\tvolume"
RUNS, TRIALS = 3, 14  # a stimulus is shown in every run, in another order


@pytest.fixture
def values() -> np.ndarray:
    """One file of a subject's trials in the order of time, run after run."""
    return np.random.default_rng(0).normal(2.0, 3.0, (*SHAPE, RUNS * TRIALS)).astype(np.float32)


def order(run: int) -> np.ndarray:
    return np.random.default_rng(run).permutation(TRIALS)


def write_table(folder: Path, name: str) -> Path:
    rows = [HEAD]
    for run in range(RUNS):
        for k, stimulus in enumerate(order(run)):
            rows.append(
                f"sub-01\tmovie\t{run + 1}\tclips/{stimulus:02d}.mp4\t{name}\t{run * TRIALS + k}"
            )
    path = folder / "trials.tsv"
    path.write_text("\n".join(rows) + "\n")
    return path


def write_volumes(folder: Path, values: np.ndarray, kind: str) -> tuple[Path, Path | None]:
    """(table of trials, grid)."""
    grid = folder / "grid.nii.gz"
    nifti.save(grid, values[..., 0], AFFINE)
    if kind == "npy":
        np.save(folder / "betas.npy", values)
        return write_table(folder, "betas.npy"), grid
    nifti.save(folder / "betas.nii.gz", values, AFFINE, t_r=1.0)
    return write_table(folder, "betas.nii.gz"), None


def position_table(path: Path) -> np.ndarray:
    """Positions of some voxels, written; their voxels (3, n)."""
    voxels = np.argwhere(np.ones(SHAPE, bool)).T[:, ::7]
    places = AFFINE[:3, :3] @ voxels + AFFINE[:3, 3:]
    frame = pd.DataFrame({"position": np.arange(voxels.shape[1])})
    frame = frame.assign(patch=0, area="V1", group="early", hemisphere="L")
    frame = frame.assign(
        **dict(zip("xyz", places, strict=True)), **dict(zip("ijk", voxels, strict=True))
    )
    tables.write(path, frame, "positions")
    return voxels


@pytest.mark.parametrize("kind", ["nifti", "npy"])
def test_a_response_is_the_trial_of_its_stimulus(tmp_path, values, kind):
    """By window 1 and lag 0: the z-score over its run's trials, averaged over the runs that showed it."""
    table, grid = write_volumes(tmp_path, values, kind)
    out = tmp_path / "out"
    counts = betas.lay_out(table, out, SPACE, 3.0, grid)
    assert counts == {f"sub-01_task-movie_run-{run}": TRIALS for run in (1, 2, 3)}
    found = import_derivatives.find(out / "derivatives", "01", SPACE, raw=out / "bids", betas=True)
    assert [(run.volumes, run.t_r, run.start_time) for run in found] == [(TRIALS, 3.0, 0.0)] * RUNS
    preprocessed_runs.write(tmp_path / "bold.tsv", found)
    voxels = position_table(tmp_path / "positions.parquet")
    settings = chosen("roi", confounds="none", detrend_order=-1)
    shown, files = [], []
    for run in (1, 2, 3):
        label = f"task-movie_run-{run}"
        source = series.source_of(tmp_path / "bold.tsv", "movie", run)
        files.append(tmp_path / f"{label}.npy")
        series.write(source, tmp_path / "positions.parquet", settings, files[-1])
        events = out / "bids/sub-01/func" / f"sub-01_{label}_events.tsv"
        rows = tuple(row._replace(split="train") for row in shown_by(events))
        shown.append(ShownRun(label, label, {"task": "movie", "run": str(run)}, None, None, rows))
    presentations.write(tmp_path / "presentations.tsv", "01", shown)
    movies = [f"{k:02d}" for k in range(TRIALS)]
    clips = pd.DataFrame(
        {"clip": movies, "movie": movies, "shot": movies, "start": 0.0, "duration": 3.0}
    )
    loaded = runs.load_runs(files, tmp_path / "presentations.tsv", clips)
    frame, outside = build.build(clips, loaded, 0.0, 1)
    assert outside == 0 and len(frame) == RUNS * TRIALS
    tables.write(tmp_path / "windows.parquet", frame, "windows")
    responses = load_responses(tmp_path / "windows.parquet", tmp_path, "train")
    assert responses.x.shape == (TRIALS, 1, voxels.shape[1]) and set(responses.repeats) == {RUNS}
    truth = np.zeros((TRIALS, voxels.shape[1]))
    for run in range(RUNS):
        own = values[tuple(voxels)].T[run * TRIALS : (run + 1) * TRIALS]
        truth[order(run)] += (own - own.mean(0)) / own.std(0) / RUNS
    for row, clip in enumerate(responses.clips):
        np.testing.assert_allclose(responses.x[row, 0], truth[int(clip)], atol=1e-4)


def test_dense_betas_of_several_files_and_sessions(tmp_path):
    """A row of a CIFTI file is a trial; parts of films keep their place, short ones their duration."""
    every = np.random.default_rng(1).normal(size=(6, 9)).astype(np.float32)
    axis = models(5, 4)
    write_dense(tmp_path / "a.dtseries.nii", every[:4], axis=axis)
    scalars = nib.cifti2.ScalarAxis([f"trial {k}" for k in range(2)])
    nib.Cifti2Image(every[4:], (scalars, axis)).to_filename(tmp_path / "b.dscalar.nii")
    lines = [f"{HEAD}\tsession\tstimulus_onset\tduration"]
    lines += [f"01\tm\t1\tf.mp4\ta.dtseries.nii\t{k}\t1\t{4 * k}\t3.5" for k in (3, 1)]
    lines += ["01\tm\t1\tg.mp4\tb.dscalar.nii\t1\t1\tn/a\tn/a"]
    (tmp_path / "t.tsv").write_text("\n".join(lines))
    betas.lay_out(tmp_path / "t.tsv", tmp_path / "out", "fsLR:den-91k", 4.0)
    stem = "sub-01/ses-1/func/sub-01_ses-1_task-m_run-1"
    events = (tmp_path / f"out/bids/{stem}_events.tsv").read_text().splitlines()
    assert events[1:] == ["0\t3.5\tf.mp4\t12", "4\t3.5\tf.mp4\t4", "8\t4\tg.mp4\t0"]
    image = nib.load(tmp_path / f"out/derivatives/{stem}_space-fsLR_den-91k_bold.dtseries.nii")
    np.testing.assert_array_equal(np.asarray(image.dataobj), every[[3, 1, 5]])
    (run,) = import_derivatives.find(tmp_path / "out/derivatives", "01", "fsLR", betas=True)
    assert (run.volumes, run.t_r) == (3, 4.0)
    with pytest.raises(UserError, match=r"single-trial betas; say in bold\.betas"):
        import_derivatives.find(tmp_path / "out/derivatives", "01", "fsLR")
    path = tmp_path / f"out/derivatives/{stem}_space-fsLR_den-91k_bold.json"
    path.write_text(json.dumps({"RepetitionTime": 4.0, "StartTime": 0.0}))
    with pytest.raises(UserError, match=r"bold\.betas is set, but"):
        import_derivatives.find(tmp_path / "out/derivatives", "01", "fsLR", betas=True)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("01\tm\t1\tf.mp4\tbetas.npy\t42", r"42 trials, and the table asks for volume 42"),
        ("01\tm\t1\tf.mp4\tbetas.npy\t-1", "volume is '-1'"),
        ("01\tm\t1\tn/a\tbetas.npy\t1", "no stimulus"),
        ("01\tm_x\t1\tf.mp4\tbetas.npy\t1", "task is 'm_x'"),
        ("01\tm\t2\tf.mp4\tbetas.npy\t0", r"volume 0 of .*betas\.npy is in .*row 2 already"),
        ("01\tm\t1\tf.mp4\tpickled.npy\t1", "save betasmd alone"),
        ("01\tm\t1\tf.mp4\tother.npy\t1", "not on the grid of"),
    ],
)
def test_what_cannot_be(tmp_path, values, row, message):
    _, grid = write_volumes(tmp_path, values, "npy")
    np.save(tmp_path / "pickled.npy", np.array({"betasmd": 1}, dtype=object))
    np.save(tmp_path / "other.npy", np.zeros((3, 3, 3, 4), np.float32))
    table = tmp_path / "wrong.tsv"
    table.write_text(f"{HEAD}\n01\tm\t1\tf.mp4\tbetas.npy\t0\n{row}\n")
    with pytest.raises(UserError, match=message) as error:
        betas.lay_out(table, tmp_path / "out", SPACE, 3.0, grid)
    assert "\n" not in str(error.value)


def test_what_is_not_said(tmp_path, values):
    table, _ = write_volumes(tmp_path, values, "npy")
    with pytest.raises(UserError, match="name an image in --grid"):
        betas.lay_out(table, tmp_path / "out", SPACE, 3.0)
    table.write_text("subject\ttask\n01\tm\n")
    with pytest.raises(UserError, match=r"no column run \(found subject, task\)"):
        betas.lay_out(table, tmp_path / "out", SPACE, 3.0)
