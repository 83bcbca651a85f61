"""Runs, events and sidecars of a BIDS tree; one clear line for each mistake."""

import json
import os
import time
from pathlib import Path

import pytest

from boldreel.data import bids, bids_inheritance, bids_names, files
from boldreel.errors import UserError


def tree(root: Path, *names: str) -> Path:
    (root / "dataset_description.json").write_text("{}")
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def test_runs_by_segment_and_repeat(tmp_path: Path) -> None:
    func = "sub-01/func/sub-01_task-"
    tree(
        tmp_path,
        *(f"{func}seg{s}_run-0{r}_bold.nii.gz" for s in (10, 2) for r in (2, 1)),
        f"{func}rest_bold.nii",
        f"{func}seg2_run-01_sbref.nii.gz",
        f"{func}seg2_run-01_bold.json",
        f"{func}seg2_run-01_part-phase_bold.nii.gz",
    )
    runs = bids.find_runs(tmp_path, "sub-01")
    labels = ["rest_run-1", "seg2_run-1", "seg2_run-2", "seg10_run-1", "seg10_run-2"]
    assert [run.label for run in runs] == [f"task-{label}" for label in labels]
    assert runs[1].events.name == "sub-01_task-seg2_run-01_events.tsv"
    assert bids.find_runs(tmp_path, "01") == runs
    assert bids_names.parse_label(runs[3].path) == ("seg10", 1)


def test_repeats_count_through_sessions(tmp_path: Path) -> None:
    names = [f"sub-01/ses-{s}/func/sub-01_ses-{s}_task-a_run-1_bold.nii" for s in ("1", "2")]
    runs = bids.find_runs(tree(tmp_path, *names), "01")
    assert [(run.session, run.repeat) for run in runs] == [("1", 1), ("2", 2)]


def test_what_is_missing_or_twice(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such BIDS directory"):
        bids.find_runs(tmp_path / "none", "01")
    func = "sub-01/func/sub-01_task-a_run-1"
    tree(tmp_path, "sub-02/func/readme", f"{func}_bold.nii", f"{func}_bold.nii.gz")
    with pytest.raises(UserError, match="no subject sub-03"):
        bids.find_runs(tmp_path, "03")
    with pytest.raises(UserError, match="sub-02: no func"):
        bids.find_runs(tmp_path, "02")
    (tmp_path / "sub-01/func/sub-01_task-b_run-x_bold.nii").touch()
    first, second, third = bids.find_runs(tmp_path, "01")
    assert first.fault == second.fault and "same task, session and run" in first.fault
    assert third.segment == "b" and "run-x is no run number" in third.fault
    assert bids.run_keys(tmp_path, "01") == set()


def test_events_inherit(tmp_path: Path) -> None:
    """The nearest file that applies, of several the one that says most; next to the run before all."""
    name = "sub-01/ses-1/func/sub-01_ses-1_task-a_run-2"
    tree(tmp_path, f"{name}_bold.nii.gz", "task-b_events.tsv", "task-a_run-1_events.tsv")
    bold = tmp_path / f"{name}_bold.nii.gz"
    beside = tmp_path / f"{name}_events.tsv"
    assert bids_inheritance.events_of(bold) == beside and not beside.exists()
    for further in ("task-a", "task-a_run-2", "sub-01/sub-01_task-a", "sub-01/ses-1/sub-01_ses-1"):
        path = tmp_path / f"{further}_events.tsv"
        path.touch()
        assert bids_inheritance.events_of(bold) == path
    beside.touch()
    assert bids_inheritance.events_of(bold) == beside
    preprocessed = Path("x/sub-01_ses-1_task-a_run-2_space-fsLR_den-91k_bold.dtseries.nii")
    assert bids.raw_name(preprocessed, tmp_path) == bold


def test_a_sidecar_with_a_mark(tmp_path: Path) -> None:
    (tmp_path / "x_bold.json").write_text('{"RepetitionTime": 2}', encoding="utf-8-sig")
    assert bids_inheritance.read_sidecar(tmp_path / "x_bold.json") == {"RepetitionTime": 2}


def test_sidecars_inherit(tmp_path: Path) -> None:
    name = "sub-01/func/sub-01_task-a_run-1_bold"
    tree(tmp_path, f"{name}.nii.gz", "task-b_bold.json")
    with pytest.raises(UserError, match="no JSON sidecar"):
        bids_inheritance.read_sidecar(tmp_path / f"{name}.nii.gz")
    (tmp_path / "task-a_bold.json").write_text(json.dumps({"RepetitionTime": 2, "TaskName": "a"}))
    assert bids_inheritance.read_sidecar(tmp_path / f"{name}.nii.gz")["RepetitionTime"] == 2
    (tmp_path / f"{name}.json").write_text(json.dumps({"RepetitionTime": 1.5}))
    assert bids_inheritance.read_sidecar(tmp_path / f"{name}.nii.gz") == {
        "RepetitionTime": 1.5,
        "TaskName": "a",
    }
    (tmp_path / f"{name}.json").write_text("{")
    with pytest.raises(UserError, match="not valid JSON"):
        bids_inheritance.read_sidecar(tmp_path / f"{name}.json")


def test_zeros_in_front_of_an_index_do_not_matter(tmp_path: Path) -> None:
    """run-01 inherits from run-1, as BIDS' index is a number; labels are text: ses-01 is not ses-1."""
    bold = tmp_path / "sub-01/ses-01/func/sub-01_ses-01_task-a_run-01_bold.nii.gz"
    tree(tmp_path, str(bold.relative_to(tmp_path)), "task-a_run-1_events.tsv")
    (tmp_path / "task-a_run-1_bold.json").write_text(json.dumps({"RepetitionTime": 1.1}))
    (tmp_path / "ses-1_task-a_run-1_bold.json").write_text(json.dumps({"RepetitionTime": 9}))
    (tmp_path / "task-a_run-10_bold.json").write_text(json.dumps({"RepetitionTime": 9}))
    assert bids_inheritance.read_sidecar(bold) == {"RepetitionTime": 1.1}
    assert bids_inheritance.events_of(bold) == tmp_path / "task-a_run-1_events.tsv"


def test_a_folder_that_changed_is_read_again(tmp_path: Path) -> None:
    """Whether what was remembered of it is old or from this moment."""
    bold = tmp_path / "sub-01/func/sub-01_task-a_bold.nii.gz"
    tree(tmp_path, str(bold.relative_to(tmp_path)), "task-a_events.tsv")
    for ago in (3600, 0):
        run = bold.with_name(f"sub-01_task-a_acq-{ago}_bold.nii.gz")
        then = time.time() - ago
        os.utime(tmp_path, (then, then))
        assert bids_inheritance.events_of(run) == tmp_path / "task-a_events.tsv"
        further = tmp_path / f"task-a_acq-{ago}_events.tsv"
        further.touch()
        assert bids_inheritance.events_of(run) == further


def test_a_plus_joins_labels(tmp_path: Path) -> None:
    """Half of such a value is another value (BIDS 1.11), in sidecars, events and keys of runs."""
    func = "sub-01/func/sub-01_task-a_acq-6p"
    tree(tmp_path, f"{func}_bold.nii.gz", f"{func}+s2_bold.nii.gz", "task-a_acq-6p_events.tsv")
    (tmp_path / "acq-6p_bold.json").write_text(json.dumps({"RepetitionTime": 9}))
    (tmp_path / "sub-01/sub-01_task-a_bold.json").write_text(json.dumps({"EchoTime": 0.03}))
    second, first = bids.find_runs(tmp_path, "01")
    assert (first.fault, second.fault) == ("", "")
    assert second.key == ("a", "", 1, "acq-6p+s2")
    assert bids_inheritance.read_sidecar(first.path) == {"RepetitionTime": 9, "EchoTime": 0.03}
    assert bids_inheritance.read_sidecar(second.path) == {"EchoTime": 0.03}
    assert first.events == tmp_path / "task-a_acq-6p_events.tsv"
    assert not second.events.exists()


def test_repeats_are_counted_through_sessions(tmp_path):
    """And events are paired with runs by what their names state, whatever the count."""
    func = "sub-01/ses-{0}/func/sub-01_ses-{0}_task-a"
    for session in ("x", "y"):
        stem = tmp_path / func.format(session)
        stem.parent.mkdir(parents=True)
        for ending in ("_bold.nii", "_events.tsv"):
            stem.with_name(stem.name + ending).write_text("")
    runs = bids.find_runs(tmp_path, "01")
    assert [(run.segment, run.repeat) for run in runs] == [("a", 1), ("a", 2)]
    events = bids.find_events(tmp_path, "01")
    assert [events[bids_names.run_key(run.path)] for run in runs] == [run.events for run in runs]
    assert bids.has_bold(tmp_path, "01") and not bids.has_bold(tmp_path, "02")


def test_links_that_lead_nowhere_and_dates_to_come(tmp_path: Path) -> None:
    """Of a data set under git-annex without its content, and of a machine whose clock is wrong."""
    path = tmp_path / "movie.mp4"
    files.check_source(path)  # who misses it says so
    path.symlink_to("../.git/annex/objects/x")
    with pytest.raises(UserError, match=r"a dangling link .*annex/objects/x"):
        files.check_source(path)
    path.unlink()
    path.touch()
    files.check_source(path)
    now = path.stat().st_mtime
    files.check_source(path, now - 30)
    with pytest.raises(UserError, match=r"dated 2\.0 hours in the future"):
        files.check_source(path, now - 7200)


def test_hidden_files_are_none_of_the_data_set(tmp_path: Path) -> None:
    """What a killed step left next to a run, or another system next to its files."""
    func = tmp_path / "sub-01" / "func"
    func.mkdir(parents=True)
    stem = "sub-01_task-movie_run-1"
    (func / f"{stem}_bold.nii").touch()
    (func / f"{stem}_events.tsv").touch()
    (func / f"{stem}_bold.json").write_text('{"RepetitionTime": 2}')
    for before in (".0123abcd.", "._"):
        (func / f"{before}{stem}_bold.nii").touch()
        (func / f"{before}{stem}_events.tsv").touch()
        (func / f"{before}{stem}_bold.json").write_text("half of it")
    (run,) = bids.find_runs(tmp_path, "01")
    assert run.path.name == f"{stem}_bold.nii"
    assert list(bids.find_events(tmp_path, "01").values()) == [run.events]
    assert bids_inheritance.read_sidecar(run.path) == {"RepetitionTime": 2}


def test_echoes_are_one_run(tmp_path: Path) -> None:
    func = "sub-01/func/sub-01_task-a_run-{}_echo-{}_bold.nii.gz"
    tree(tmp_path, *(func.format(run, echo) for run in ("01", "2") for echo in (10, 1, 2)))
    runs = bids.find_runs(tmp_path, "01")
    assert [(run.segment, run.repeat, run.fault) for run in runs] == [("a", 1, ""), ("a", 2, "")]
    assert [parsed(run.path) for run in runs] == ["1", "1"]
    assert [list(map(parsed, run.echoes)) for run in runs] == [["2", "10"]] * 2
    assert runs[0].events.name == "sub-01_task-a_run-01_echo-1_events.tsv"
    (tmp_path / "sub-01/func/sub-01_task-a_run-1_events.tsv").touch()
    assert bids.find_events(tmp_path, "01") == {bids_names.run_key(runs[0].path): runs[0].events}
    (tmp_path / "dataset_description.json").write_text("{}")
    (tmp_path / "task-a_events.tsv").touch()
    assert runs[1].events.name == "task-a_events.tsv"
    tree(tmp_path, func.format(2, 1).removesuffix(".gz"))
    faults = [run.fault for run in bids.find_runs(tmp_path, "01") if run.repeat == 2]
    assert len(faults) == 4 and all("same task, session and run" in fault for fault in faults)


def parsed(path: Path) -> str:
    return bids_names.parse_entities(path.name)["echo"]


def test_the_magnitude_of_a_complex_image_is_the_run(tmp_path: Path) -> None:
    func = "sub-01/func/sub-01_task-a"
    tree(tmp_path, *(f"{func}_part-{part}_bold.nii" for part in ("mag", "phase", "real", "imag")))
    tree(tmp_path, f"{func}_events.tsv", "dataset_description.json")
    (run,) = bids.find_runs(tmp_path, "01")
    assert "part-mag" in run.path.name and run.fault == ""
    assert run.events == tmp_path / f"{func}_events.tsv"
    assert bids.find_events(tmp_path, "01") == {bids_names.run_key(run.path): run.events}


def test_runs_of_other_entities_are_other_runs(tmp_path: Path) -> None:
    func = "sub-01/func/sub-01_task-a"
    tree(tmp_path, *(f"{func}_{kind}_run-01_bold.nii" for kind in ("acq-x", "acq-y", "dir-AP")))
    runs = bids.find_runs(tmp_path, "01")
    assert {run.fault for run in runs} == {""}
    assert {(run.segment, run.repeat) for run in runs} == {("a", 1)}
    assert bids.run_keys(tmp_path, "01") == {
        ("a", "", 1, "acq-x"),
        ("a", "", 1, "acq-y"),
        ("a", "", 1, "dir-AP"),
    }
    faults = bids_names.same_label(runs)
    assert len(faults) == 3 and "apart from acq-x, acq-y" in faults[runs[0].path]
    assert bids_names.same_label(runs[:1]) == {}
    assert bids_names.run_key(Path("s_task-a_run-01_bold.nii")) == bids_names.run_key(
        Path("task-a_run-1_x.tsv")
    )


def test_pairs_of_two_trees() -> None:
    """Entities may be left out where no further run could be meant."""
    assert bids_names.pair([("a", "1", 1)], [("a", "", 1)]) == {("a", "1", 1): ("a", "", 1)}
    assert bids_names.pair([("a", "1", 1), ("a", "2", 1)], [("a", "", 1)]) == {}
    assert bids_names.pair([("a", "1", 1)], [("a", "2", 1), ("a", "", 2)]) == {}
    assert bids_names.pair([("a", "", 1, "dir-AP")], [("a", "", 1)]) == {
        ("a", "", 1, "dir-AP"): ("a", "", 1)
    }
    assert bids_names.pair([("a", "", 1, "dir-AP")], [("a", "", 1, "dir-PA")]) == {}
    exact = [("a", "1", 1), ("a", "", 1)]
    assert bids_names.pair(exact, exact) == {key: key for key in exact}


def test_a_chosen_version_counts_as_if_there_were_no_other(tmp_path: Path) -> None:
    """Two sessions, each with two versions of a run: of the chosen ones these are two repeats."""
    stems = [
        f"sub-01/ses-{session}/func/sub-01_ses-{session}_task-a_acq-{kind}_bold.nii.gz"
        for session in (1, 2)
        for kind in ("raw", "dico")
    ]
    runs = bids.find_runs(tree(tmp_path, *stems), "01")
    assert len(bids_names.same_label(runs)) == 4
    again = bids_names.recounted([run for run in runs if "acq-dico" in run.path.name])
    assert [(run.segment, run.repeat, run.fault) for run in again] == [("a", 1, ""), ("a", 2, "")]
    assert bids_names.recounted(runs) == runs and bids_names.same_label(again) == {}
