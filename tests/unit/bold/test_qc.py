"""Quality control draws its figures, fills its table, and refuses a run that is there twice."""

import json
import shutil

import numpy as np
import pytest

from boldreel.bold import qc, quality
from boldreel.data import tables
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
