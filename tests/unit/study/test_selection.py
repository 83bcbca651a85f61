"""Which runs count: those that segments name; for pretraining all others that are intact."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tests.fixtures_cifti import write_dense

from boldreel.data import bids, bids_inheritance, headers, nifti
from boldreel.errors import UserError
from boldreel.study import selection, shown
from boldreel.study.settings import PresentationsSettings

PATTERNS = {"train": ["m*"], "test": ["t1"]}


def write(root: Path, name: str, volumes: int = 30, ending: str = "nii.gz") -> Path:
    path = root / "sub-01" / "func" / f"sub-01_{name}_bold.{ending}"
    path.parent.mkdir(parents=True, exist_ok=True)
    nifti.save(path, np.ones((2, 3, 2, volumes), np.int16), np.eye(4), t_r=2.0)
    path.with_name(f"sub-01_{name}_bold.json").write_text(json.dumps({"RepetitionTime": 2}))
    return path


def events_of(subject: str, run: bids.Run) -> Path | None:
    path = bids_inheritance.events_of(run.path)
    return path if path.exists() else None


def choose(runs: list[bids.Run], segments, *arguments, **more) -> selection.Selection:
    """What is used of the runs of one subject."""
    study = shown.StudyPresentations(PresentationsSettings(), segments, events_of)
    study.read({"01": runs})
    return selection.choose(study.runs["01"], *arguments, **more)


def names(chosen: selection.Selection) -> list[str]:
    return [one.found.segment for one in chosen.runs]


@pytest.fixture
def found(tmp_path: Path) -> list[bids.Run]:
    """Two movies, rest, an aborted run, one without sidecar, a broken link, two that claim to be one."""
    (tmp_path / "dataset_description.json").write_text("{}")
    for name in ("task-m1", "task-t1", "task-rest", "task-bare"):
        write(tmp_path, name)
    write(tmp_path, "task-aborted", volumes=5)
    for name, movie in (("m1", "m1"), ("t1", "t1"), ("aborted", "m2")):
        text = f"onset\tduration\tstim_file\n0\t9\t{movie}.mp4\n"
        (tmp_path / f"sub-01/func/sub-01_task-{name}_events.tsv").write_text(text)
    (tmp_path / "sub-01/func/sub-01_task-bare_bold.json").unlink()
    (tmp_path / "sub-01/func/sub-01_task-link_bold.nii.gz").symlink_to("nowhere")
    (tmp_path / "sub-01/func/sub-01_task-text_bold.nii.gz").write_text("no image")
    for kind in ("raw", "dico"):
        write(tmp_path, f"task-twice_acq-{kind}")
    return bids.find_runs(tmp_path, "01")


def test_only_named_runs_count(found):
    chosen = choose(found, PATTERNS)
    assert names(chosen) == ["m1", "t1"]
    assert len(chosen.runs) + len(chosen.ignored) == len(found)
    (line,) = selection.told({"01": chosen.ignored, "02": []})
    assert line.startswith("sub-01: 7 runs ignored, not named in segments: task-aborted run 1, ")
    assert "sub-01_task-twice_acq-raw_bold.nii.gz" in line and "\n" not in line


def test_for_pretraining_all_intact_runs_count(found):
    chosen = choose(found, PATTERNS, lambda run: selection.fault(run.path, 20, raw=True))
    assert names(chosen) == ["m1", "rest", "t1"]
    reasons = {run.segment: why for run, why in chosen.ignored}
    assert reasons["aborted"] == "not named in segments, 5 volumes"
    assert "no JSON sidecar" in reasons["bare"] and "dangling link" in reasons["link"]
    assert "not a readable NIfTI" in reasons["text"]
    assert "same task, session and run" in reasons["twice"]


def test_a_named_run_stops_the_plan(found):
    with pytest.raises(UserError, match=r"task-twice.*choose one in presentations\.filter"):
        choose(found, {"train": ["m*", "twice"], "test": ["t1"]})
    with pytest.raises(UserError, match=r"task-rest.*no events file for this run; write its"):
        choose(found, {"train": ["rest"], "test": ["t1"]})
    # its check reports what is wrong inside it, with everything else
    assert names(choose(found, {"train": ["aborted"], "test": ["t1"]})) == ["aborted", "t1"]


def test_a_named_run_that_claims_to_be_another_stops_the_plan(tmp_path):
    (tmp_path / "dataset_description.json").write_text("{}")
    write(tmp_path, "task-m1")
    write(tmp_path, "task-m1", ending="nii")
    with pytest.raises(UserError, match=r"task-m1.*same task, session and run"):
        choose(bids.find_runs(tmp_path, "01"), PATTERNS)


def test_a_named_run_whose_events_show_nothing_stops_the_plan(found):
    events = found[0].path.with_name("sub-01_task-m1_events.tsv")
    events.write_text("onset\tduration\tstim_file\n0\t9\tn/a\n")
    with pytest.raises(
        UserError, match=r"task-m1_events.*no row shows a movie, but `segments` names"
    ):
        choose(found, PATTERNS)


def test_events_of_runs_that_nobody_names_are_not_read(found):
    """A localizer's events have columns of their own, or are broken: that is nobody's business."""
    events = found[0].path.with_name("sub-01_task-rest_events.tsv")
    for text in (
        "onset\tduration\ttrial_type\n0\t9\tface\n",
        "",
        "onset\tduration\tstim_file\nx\n",
    ):
        events.write_text(text)
        assert names(choose(found, PATTERNS)) == ["m1", "t1"]


def test_runs_that_a_filter_tells_apart(found):
    """Of two acquisitions under one name either can be used, but not both."""
    patterns = {"train": ["m*", "twice"], "test": ["t1"]}
    for kind in ("raw", "dico"):
        events = found[0].path.with_name(f"sub-01_task-twice_acq-{kind}_events.tsv")
        events.write_text("onset\tduration\tstim_file\n0\t9\tm2.mp4\n")
    settings = PresentationsSettings(filter={"acquisition": ["dico", ""]})
    study = shown.StudyPresentations(settings, patterns, events_of)
    study.read({"01": found})
    chosen = selection.choose(study.runs["01"])
    assert [one.found.path.name for one in chosen.runs if one.found.segment == "twice"] == [
        "sub-01_task-twice_acq-dico_bold.nii.gz"
    ]


def test_many_subjects_take_few_lines(found):
    ignored = choose(found, PATTERNS).ignored
    lines = selection.told({f"{k:02d}": ignored for k in range(400)})
    assert len(lines) == 6 and lines[-1] == "395 more subjects: 2765 runs ignored"


def test_left_out_by_a_filter(found):
    chosen = choose(found, PATTERNS, left_out=lambda run: "left out" if run.segment == "m1" else "")
    assert names(chosen) == ["t1"]
    assert "left out: task-m1 run 1" in selection.told({"01": chosen.ignored})[0]


def test_raw_runs_without_a_preprocessed_one():
    def named(key):
        return key[0] in ("m1", "t1")

    raw = [("m1", "", 1), ("localizer", "", 1)]
    selection.check_preprocessed("sub-01", raw, [("m1", "", 1), ("rest", "", 1)], named)
    with pytest.raises(UserError, match=r"sub-01: task-m1 run 1 without a session of the raw data"):
        selection.check_preprocessed("sub-01", raw, [("localizer", "", 1)], named)
    with pytest.raises(UserError, match=r"of ses-1 .*\(there is one without a session\)"):
        selection.check_preprocessed(
            "sub-01", [("m1", "1", 1), ("m1", "2", 1)], [("m1", "", 1)], named
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
