"""Which runs count: those that segments name; for pretraining all others that are intact."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tests.fixtures_cifti import write_dense

from boldreel.data import bids, headers, nifti, selection
from boldreel.errors import UserError

PATTERNS = {"train": ["m*"], "test": ["t1"]}


def write(root: Path, name: str, volumes: int = 30, ending: str = "nii.gz") -> Path:
    path = root / "sub-01" / "func" / f"sub-01_{name}_bold.{ending}"
    path.parent.mkdir(parents=True, exist_ok=True)
    nifti.save(path, np.ones((2, 3, 2, volumes), np.int16), np.eye(4), t_r=2.0)
    path.with_name(f"sub-01_{name}_bold.json").write_text(json.dumps({"RepetitionTime": 2}))
    return path


@pytest.fixture
def found(tmp_path: Path) -> list[bids.Run]:
    """Two movies, rest, an aborted run, one without sidecar, a broken link, two that claim to be one."""
    (tmp_path / "dataset_description.json").write_text("{}")
    for name in ("task-m1", "task-t1", "task-rest", "task-bare"):
        write(tmp_path, name)
    write(tmp_path, "task-aborted", volumes=5)
    (tmp_path / "sub-01/func/sub-01_task-bare_bold.json").unlink()
    (tmp_path / "sub-01/func/sub-01_task-link_bold.nii.gz").symlink_to("nowhere")
    (tmp_path / "sub-01/func/sub-01_task-text_bold.nii.gz").write_text("no image")
    for kind in ("raw", "dico"):
        write(tmp_path, f"task-twice_acq-{kind}")
    return bids.find_runs(tmp_path, "01")


def test_only_named_runs_count(found):
    chosen = selection.choose(found, PATTERNS)
    assert [run.segment for run in chosen.runs] == ["m1", "t1"]
    assert sorted(chosen.segments) == sorted(run.segment for run in found)
    (line,) = selection.told({"01": chosen.ignored, "02": []})
    assert line.startswith("sub-01: 7 runs ignored, not named in segments: task-aborted run 1, ")
    assert "sub-01_task-twice_acq-raw_bold.nii.gz" in line and "\n" not in line


def test_for_pretraining_all_intact_runs_count(found):
    chosen = selection.choose(found, PATTERNS, lambda run: selection.fault(run.path, 20, raw=True))
    assert [run.segment for run in chosen.runs] == ["m1", "rest", "t1"]
    reasons = {run.segment: why for run, why in chosen.ignored}
    assert reasons["aborted"] == "not named in segments, 5 volumes"
    assert "no JSON sidecar" in reasons["bare"] and "dangling link" in reasons["link"]
    assert "not a readable NIfTI" in reasons["text"]
    assert "same task, session and run" in reasons["twice"]


def test_a_named_run_stops_the_plan(found):
    with pytest.raises(UserError, match=r"task-twice.*same task, session and run"):
        selection.choose(found, {"train": ["m*", "twice"], "test": ["t1"]})
    # what is wrong inside it is told by its check, with all that can be wrong
    assert selection.choose(found, {"train": ["aborted"], "test": ["t1"]}).runs


def test_runs_that_a_filter_tells_apart(found):
    """Of two acquisitions under one name either can be used, but not both."""
    patterns = {"train": ["m*", "twice"], "test": ["t1"]}
    chosen = selection.choose(
        found, patterns, left_out=lambda run: "left out" if "acq-raw" in run.path.name else ""
    )
    assert [run.path.name for run in chosen.runs if run.segment == "twice"] == [
        "sub-01_task-twice_acq-dico_bold.nii.gz"
    ]


def test_many_subjects_take_few_lines(found):
    ignored = selection.choose(found, PATTERNS).ignored
    lines = selection.told({f"{k:02d}": ignored for k in range(400)})
    assert len(lines) == 6 and lines[-1] == "395 more subjects: 2765 runs ignored"


def test_left_out_by_a_filter(found):
    chosen = selection.choose(
        found, PATTERNS, left_out=lambda run: "left out" if run.segment == "m1" else ""
    )
    assert [run.segment for run in chosen.runs] == ["t1"]
    assert "left out: task-m1 run 1" in selection.told({"01": chosen.ignored})[0]


def test_raw_runs_without_a_preprocessed_one():
    raw = [("m1", "", 1), ("localizer", "", 1)]
    selection.check_preprocessed("sub-01", raw, [("m1", "", 1), ("rest", "", 1)], PATTERNS)
    with pytest.raises(UserError, match=r"sub-01: task-m1 run 1 without a session of the raw data"):
        selection.check_preprocessed("sub-01", raw, [("localizer", "", 1)], PATTERNS)
    with pytest.raises(UserError, match=r"of ses-1 .*\(there is one without a session\)"):
        selection.check_preprocessed(
            "sub-01", [("m1", "1", 1), ("m1", "2", 1)], [("m1", "", 1)], PATTERNS
        )
    with pytest.raises(UserError, match=r"sub-01: no run is left for pretraining"):
        selection.check_left("sub-01", [])


@pytest.mark.parametrize("ending", ["nii", "nii.gz"])
def test_volumes_of_a_header(tmp_path, ending):
    assert headers.count_volumes(write(tmp_path, "task-x", 17, ending)) == 17


def test_volumes_of_a_dense_series_and_of_one_image(tmp_path):
    dense = write_dense(tmp_path / "x.dtseries.nii", np.ones((7, 5), np.float32), left=3, right=2)
    assert headers.count_volumes(dense) == 7
    nifti.save(tmp_path / "t1w.nii", np.ones((2, 3, 4), np.int16), np.eye(4))
    assert headers.count_volumes(tmp_path / "t1w.nii") == 1
