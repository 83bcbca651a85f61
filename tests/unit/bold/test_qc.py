"""Quality control draws its figures, fills its table, and refuses a run that is there twice."""

import base64
import io
import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tests.fixtures_cifti import write_dense
from tests.fixtures_settings import words as words_of

from boldreel.bold import duplicate_runs, qc, quality, template
from boldreel.data import nifti, preprocessed_runs, tables
from boldreel.errors import UserError


def call(subject, output, *more):
    qc.main(
        [
            *("--subject", "01", "--derivatives", str(subject.derivatives), *map(str, more)),
            *(
                "--output-table",
                str(output / "qc.tsv"),
                "--output-figures",
                str(output / "figures"),
            ),
            *("--output-page", str(output / "qc.html"), "--config", words_of("bold")),
        ]
    )


def test_table_and_figures(subject, tmp_path):
    call(subject, tmp_path)
    table = tables.read(tmp_path / "qc.tsv", "qc")
    assert table["run"].tolist() == ["task-train01_run-1"]
    assert table["volumes"].tolist() == [40]
    step = np.linalg.inv(subject.poses[:-1]) @ subject.poses[1:]
    moved = np.linalg.norm(step[:, :3, 3], axis=1).mean()
    assert 0.3 * moved < table["mean_fd"][0] < 10 * moved
    assert table["median_tsnr"][0] > 30
    names = {path.name for path in (tmp_path / "figures").iterdir()}
    assert names == {
        f"sub-01_desc-{what}_bold.png" for what in ("motion", "carpet", "tsnr", "coregistration")
    }


def test_a_copied_run_is_refused(subject, tmp_path):
    copy = tmp_path / "func" / subject.bold.name
    copy.parent.mkdir()
    for path in subject.bold.parent.iterdir():
        shutil.copy(path, copy.parent / path.name.replace("train01", "train02"))
    copied = copy.with_name(copy.name.replace("train01", "train02"))
    with pytest.raises(UserError, match="exactly the same data") as caught:
        call(subject, tmp_path, "--bold", subject.bold, copied)
    assert "task-train01_run-1" in str(caught.value)
    assert "task-train02_run-1" in str(caught.value)
    assert not (tmp_path / "qc.tsv").exists()


def test_the_raw_run_is_read_where_the_sidecar_has_no_hash(subject, tmp_path):
    folder = tmp_path / "func"
    shutil.copytree(subject.bold.parent, folder)
    bold = folder / subject.bold.name
    sidecar = bold.with_suffix(".json")
    about = json.loads(sidecar.read_text())
    known = about.pop("RawContentHash")
    sidecar.write_text(json.dumps(about))
    raw = subject.raw / "func/sub-01_task-train01_run-1_bold.nii"
    assert quality.measure(bold, raw).content == known
    assert quality.measure(bold).content == "unknown"


def test_no_runs(subject, tmp_path):
    with pytest.raises(UserError, match="run the bold stage"):
        qc.find_runs(tmp_path)


COURSE = 100 + np.random.default_rng(1).normal(size=(30, 12))  # tSNR near 100


def adopted(tmp_path, runs):
    preprocessed_runs.write(tmp_path / "bold.tsv", runs)
    words = ["--subject", "01", "--runs", str(tmp_path / "bold.tsv")]
    words += ["--output-table", str(tmp_path / "qc.tsv")]
    words += ["--output-page", str(tmp_path / "qc.html")]
    words += ["--config", words_of("bold")]
    qc.main([*words, "--output-figures", str(tmp_path / "figures")])
    return tables.read(tmp_path / "qc.tsv", "qc"), {
        p.name for p in (tmp_path / "figures").iterdir()
    }


def test_adopted_volumes_with_fmripreps_confounds(tmp_path):
    """A head that moves 1 mm at one volume, in a run where half of the voxels are outside the brain."""
    values = np.zeros((2, 12, 3, 30), np.float32)
    values[0] = COURSE.T[:, None]
    values[1] = -5.0
    mask = np.zeros((2, 12, 3), np.uint8)
    mask[0] = 1
    nifti.save(tmp_path / "run.nii.gz", values, np.eye(4), t_r=2.0)
    nifti.save(tmp_path / "mask.nii.gz", mask, np.eye(4), dtype=np.uint8)
    names = [f"{kind}_{axis}" for kind in ("trans", "rot") for axis in "xyz"]
    lines = ["\t".join([*names, "framewise_displacement", "motion_outlier00"])]
    for k in range(30):
        moves = ["1" if k >= 10 else "0", *"00000"]
        lines.append("\t".join([*moves, "n/a" if k == 0 else str(int(k == 10)), str(int(k == 10))]))
    (tmp_path / "confounds.tsv").write_text("\n".join(lines) + "\n")
    paths = [str(tmp_path / name) for name in ("run.nii.gz", "confounds.tsv", "mask.nii.gz")]
    run = preprocessed_runs.Run("movie", 1, *paths, "X", 1.0, "volume", 30, 2.0, 0.0, "fmriprep")
    table, names = adopted(tmp_path, [run])
    row = table.iloc[0]
    assert (row["max_fd"], row["outliers"], str(row["outlier_volumes"])) == (1.0, 1, "10")
    assert row["mean_fd"] == pytest.approx(1 / 29, abs=1e-4)
    assert 80 < row["median_tsnr"] < 125
    assert names == {f"sub-01_desc-{what}_bold.png" for what in ("motion", "carpet", "tsnr")}
    page = (tmp_path / "qc.html").read_text()
    assert "10 (displacement 1.00 mm)" in page
    assert "translation (mm) along x, y, z; from 0.00 to 1.00" in page
    assert "by another program" in page


@pytest.mark.parametrize("kept", [6, 0])
def test_tables_of_confounds_that_somebody_cut(tmp_path, kept):
    """Displacement is that of the motion, where the table holds this alone; else nothing is known."""
    nifti.save(tmp_path / "run.nii.gz", COURSE.T.reshape(12, 1, 1, 30), np.eye(4), t_r=2.0)
    names = ["csf", *(f"{kind}_{axis}" for kind in ("trans", "rot") for axis in "xyz")][: 1 + kept]
    rows = [["0", *("1" if k >= 10 else "0" for _ in range(kept))] for k in range(30)]
    (tmp_path / "confounds.tsv").write_text("\n".join("\t".join(row) for row in [names, *rows]))
    paths = str(tmp_path / "run.nii.gz"), str(tmp_path / "confounds.tsv"), ""
    found = quality.measure_adopted(
        preprocessed_runs.Run("movie", 1, *paths, "X", 1.0, "volume", 30, 2.0, 0.0, "fmriprep")
    )
    assert found.motion_known == (kept == 6)
    if kept:
        assert found.displacement[10] == pytest.approx(3 + 3 * 50)


@pytest.mark.parametrize("known", [True, False])
def test_adopted_cifti_with_and_without_the_hcps_motion(tmp_path, known):
    """Movement_Regressors.txt is in mm and degrees: one degree is .87 mm on a sphere of 50 mm."""
    path = write_dense(tmp_path / "run.dtseries.nii", COURSE.astype(np.float32), left=7, right=5)
    if known:
        moves = np.zeros((30, 12))
        moves[10:, 3] = 1.0
        np.savetxt(tmp_path / "Movement_Regressors.txt", moves)
    empty = ("", "", "fsLR", float("nan"), "cifti", 30, 0.72, 0.0, "hcp")
    table, names = adopted(tmp_path, [preprocessed_runs.Run("rest1LR", 1, str(path), *empty)])
    row = table.iloc[0]
    assert row["run"] == "task-rest1LR_run-1" and 80 < row["median_tsnr"] < 125
    if known:
        assert row["max_fd"] == pytest.approx(np.deg2rad(1.0) * 50, abs=1e-3)
        assert names == {"sub-01_desc-motion_bold.png", "sub-01_desc-carpet_bold.png"}
    else:
        assert np.isnan(row["max_fd"]) and names == {"sub-01_desc-carpet_bold.png"}
    page = (tmp_path / "qc.html").read_text()
    assert ("Head motion is not known" in page) != known
    assert "map of tSNR" not in page  # grayordinates have no slices


def test_adopted_volumes_are_held_against_the_template(tmp_path):
    """Of two runs the one that lies 15 mm off is shown, with a lower correlation ratio."""
    affine = np.diag([4.0, 4, 4, 1])
    affine[:3, 3] = (-72, -108, -32)
    grid = template.Grid(affine, (37, 19, 20))
    t1w = template.on_grid("T1w", grid)
    runs = []
    rng = np.random.default_rng(3)
    for name, off in (("good", 0), ("off", 4)):
        # grey matter is brighter than white, as in BOLD
        bold = np.roll(np.where(t1w > 0.1, 1.4 - t1w, 0.05), off, axis=0) * 1000
        values = (bold[..., None] + rng.normal(0, 5, (*bold.shape, 12))).astype(np.float32)
        path = tmp_path / f"{name}.nii.gz"
        nifti.save(path, values, affine, t_r=2.0)
        about = (4.0, "volume", 12, 2.0, 0.0, "fmriprep")
        runs.append(
            preprocessed_runs.Run(name, 1, str(path), "", "", "MNI152NLin2009cAsym", *about)
        )
    table, names = adopted(tmp_path, runs)
    assert "sub-01_desc-coregistration_bold.png" in names
    ratios = table.set_index("run")["correlation_ratio"]
    assert ratios["task-good_run-1"] > 0.9 > 0.7 > ratios["task-off_run-1"]
    page = (tmp_path / "qc.html").read_text()
    assert "Mean BOLD of task-off_run-1 with the contours of the MNI template" in page


def test_the_page_shows_every_run_and_asks_nobody_anything(subject, tmp_path):
    call(subject, tmp_path)
    page = (tmp_path / "qc.html").read_text()
    assert page.count("<section") == 1 and "id='task-train01_run-1'" in page
    assert page.count("<svg") == 3 and page.count("<polyline") == 7
    assert "which is not fMRIPrep" in page and "correlation ratio of the coregistration" in page
    assert not re.search(r"(src|href)='(?!data:|#)", page)
    carpet = re.search(r"class='carpet' alt='carpet' src='data:image/png;base64,([^']+)'", page)
    with Image.open(io.BytesIO(base64.b64decode(carpet[1]))) as picture:
        assert picture.size[0] == 40  # volumes


def test_volumes_are_marked_with_the_reason():
    columns = {
        "framewise_displacement": np.array([np.nan, 0.1, 0.9, 0.1]),
        "std_dvars": np.array([np.nan, 1.0, 1.2, 3.4]),
        "motion_outlier00": np.array([0.0, 0, 1, 0]),
        "motion_outlier01": np.array([0.0, 0, 0, 1]),
        "non_steady_state_outlier00": np.array([1.0, 0, 0, 0]),
    }
    marked = quality._marked(columns)
    assert list(marked) == [0, 2, 3]
    assert marked[0] == "before the steady state"
    assert marked[2] == "displacement 0.90 mm, standardised DVARS 1.20"


def test_two_subjects_with_the_same_data_are_refused(tmp_path):
    def table(subject, contents):
        frame = pd.DataFrame({"run": [f"task-a_run-{k}" for k in range(len(contents))]})
        frame = frame.assign(volumes=9, mean_fd=0.1, max_fd=0.2, outliers=0, median_tsnr=50.0)
        tables.write(tmp_path / f"{subject}.tsv", frame.assign(content=contents), "qc")
        return tmp_path / f"{subject}.tsv"

    own, other = table("01", ["x", "unknown"]), table("02", ["y", "unknown"])
    assert len(duplicate_runs.compare({"01": own, "02": other})) == 2
    copy = table("03", ["z", "x"])
    with pytest.raises(UserError, match=r"sub-03 task-a_run-1: .* as sub-01 task-a_run-0"):
        duplicate_runs.compare({"01": own, "02": other, "03": copy})
