"""cc2017's archives: a tree of the right names and counts, its clock, its two known flaws."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from tests.fixtures_cc2017 import write_run
from tests.fixtures_presentations import shown_by

from boldreel.bold import cc2017, import_derivatives
from boldreel.data import bids, derivatives
from boldreel.errors import UserError
from boldreel.windows import clock


@pytest.fixture
def archive(tmp_path, cc2017_archive) -> Path:
    """A tree of links to it, in which a test may take away and replace."""
    root = tmp_path / "video_fmri_dataset"
    for path in cc2017_archive.rglob("*.*"):
        target = root / path.relative_to(cc2017_archive)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(path)
    return root


def test_counts_and_names(archive, tmp_path):
    assert cc2017.lay_out(archive, ["1", "3"], tmp_path / "out") == 86 + 85
    func = tmp_path / "out/derivatives/sub-01/func"
    link = func / "sub-01_task-seg1_run-2_space-fsLR_den-91k_bold.dtseries.nii"
    assert link.is_symlink() and not link.readlink().is_absolute()
    runs = derivatives.find(tmp_path / "out/derivatives", "03", "fsLR")
    late = [run for run in runs if (run.segment, run.repeat) == ("test2", 9)]
    assert len(runs) == 85 and not late
    found, _ = import_derivatives.measure(
        derivatives.find(tmp_path / "out/derivatives", "01", "fsLR")[0]
    )
    assert (found.volumes, found.t_r, found.start_time) == (245, 2.0, 0.0)
    events = bids.find_events(tmp_path / "out/bids", "01")
    assert len(events) == 86
    assert (tmp_path / "out/bids/stimuli/seg18.mp4").read_bytes() == b"movie"


@pytest.mark.parametrize(("segment", "dropped"), [("seg1", 1), ("test1", 1), ("test2", 2)])
def test_the_authors_crop_holds_a_lag_of_four_seconds(archive, tmp_path, segment, dropped):
    """Volume `dropped` + k of the uncut run is at 4 s + 2 k of the movie, for all 240 clips."""
    cc2017.lay_out(archive, ["1"], tmp_path / "out")
    runs = derivatives.find(tmp_path / "out/derivatives", "01", "fsLR")
    run, _ = import_derivatives.measure(next(run for run in runs if run.segment == segment))
    clips = pd.DataFrame({"movie": segment, "start": 2.0 * np.arange(240), "duration": 2.0})
    path = bids.find_events(tmp_path / "out/bids", "01")[segment, "", 1]
    shown = clock.clip_onsets(clips, shown_by(path))
    assert shown.rows.tolist() == list(range(240))
    first = clock.first_volumes(shown.onsets, 4.0, run.t_r, run.start_time)
    np.testing.assert_array_equal(first, dropped + np.arange(240))
    # Four volumes are left at the end, which the authors cut too.
    assert run.volumes - first[-1] - 1 == 4


def test_the_misnamed_volume_is_taken(archive, tmp_path):
    folder = archive / "subject1/fmri"
    for segment in (*cc2017.TRAIN, *cc2017.TEST):
        for repeat in range(1, cc2017.repeats_of(segment) + 1):
            dot = "." if (segment, repeat) == ("test1", 9) else "_"
            path = folder / segment / "mni" / f"{segment}_{repeat}{dot}mni.nii.gz"
            path.parent.mkdir(exist_ok=True)
            image = nib.Nifti1Image(
                np.zeros((2, 2, 2, cc2017.volumes_of(segment)), "i2"), np.eye(4)
            )
            image.to_filename(path)
    assert cc2017.lay_out(archive, ["1"], tmp_path / "out") == 2 * 86
    runs = derivatives.find(tmp_path / "out/derivatives", "01", "MNI152NLin6Asym")
    mended = next(run for run in runs if (run.segment, run.repeat) == ("test1", 9))
    assert mended.path.resolve().name == "test1_9.mni.nii.gz"


def test_a_missing_run(archive, tmp_path):
    (archive / "subject1/fmri/seg4/cifti/seg4_2_Atlas.dtseries.nii").unlink()
    with pytest.raises(UserError, match=r"1 runs are missing \(seg4/cifti/seg4_2_Atlas"):
        cc2017.lay_out(archive, ["1"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_trimmed_run(archive, tmp_path, cc2017_headers):
    write_run(archive / "subject1/fmri/seg4/cifti/seg4_2_Atlas.dtseries.nii", cc2017_headers[200])
    with pytest.raises(UserError, match=r"seg4_2_Atlas.*200 volumes, 245 as published"):
        cc2017.lay_out(archive, ["1"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_missing_movie_and_a_wrong_folder(archive, tmp_path):
    with pytest.raises(UserError, match=r"subject2/fmri: not there"):
        cc2017.lay_out(archive, ["2"], tmp_path / "out")
    (archive / "stimuli/test5.mp4").unlink()
    with pytest.raises(UserError, match=r"test5.mp4: movie not found"):
        cc2017.lay_out(archive, ["1"], tmp_path / "out")


def test_again_is_the_same(archive, tmp_path, capsys):
    words = ["--source", str(archive), "--subjects", "3", "--output", str(tmp_path / "out")]
    cc2017.main(words)
    before = {path: path.lstat().st_mtime_ns for path in (tmp_path / "out").rglob("*.dtseries.nii")}
    cc2017.main(words)
    after = {path: path.lstat().st_mtime_ns for path in (tmp_path / "out").rglob("*.dtseries.nii")}
    assert before == after
    assert "test2_9 starts about 10 s late" in capsys.readouterr().out
    about = tmp_path / "out/derivatives/sub-03/func"
    name = "sub-03_task-seg1_run-1_space-fsLR_den-91k_bold.json"
    assert json.loads((about / name).read_text())["StartTime"] == 0.0
