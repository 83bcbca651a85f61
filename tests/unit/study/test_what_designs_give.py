"""What a design can give, from presentations alone."""

from __future__ import annotations

import json

import pytest
from tests.fixtures_bids import own, write_run
from tests.fixtures_presentations import row

from boldreel.data.presentations import ShownRun
from boldreel.errors import UserError
from boldreel.study import designs


def shown(label: str, *rows, split: str = "train") -> ShownRun:
    told = tuple(each._replace(split=split) for each in rows)
    return ShownRun(f"task-{label}_run-1", f"task-{label}_run-1", {}, None, None, told)


def test_clips_are_those_shown_whole():
    assert designs.clips_of(row(0, 6, "a.mp4"), 2.0) == {("a.mp4", 0), ("a.mp4", 1), ("a.mp4", 2)}
    part = row(10, 5, "a.mp4")._replace(stimulus_onset=3.0)  # 3 to 8 s of the film
    assert designs.clips_of(part, 2.0) == {("a.mp4", 2), ("a.mp4", 3)}
    # a movie that ends between two frames, and one that is too short
    assert designs.clips_of(row(0, 2.99, "a.mp4"), 3.0) == {("a.mp4", 0)}
    assert designs.clips_of(row(0, 2.9, "a.mp4"), 3.0) == set()
    fast = row(0, 4, "a.mp4")._replace(speed=1.5)
    assert len(designs.clips_of(fast, 2.0)) == 3


def test_repeats_are_of_clips_in_different_runs():
    first = shown("x", row(0, 2, "a.mp4"), row(4, 2, "b.mp4"))
    assert not designs.repeated([first], 2.0, "train")
    assert designs.repeated([first, shown("y", row(30, 2, "b.mp4"))], 2.0, "train")
    assert not designs.repeated([first, shown("y", row(30, 2, "b.mp4"))], 2.0, "test")


def test_the_other_subject_is_the_first_who_shares_a_clip():
    clips = {"03": {("a", 1)}, "01": {("b", 1)}, "02": {("a", 1), ("b", 1)}, "04": {("c", 1)}}
    found = {subject: designs.first_sharing(subject, clips) for subject in clips}
    assert found == {"01": "02", "02": "01", "03": "02", "04": None}
    # a new subject changes nobody's, but for those who had none
    later = clips | {"05": {("a", 1), ("b", 1), ("c", 1)}}
    again = {subject: designs.first_sharing(subject, later) for subject in clips}
    assert again == found | {"04": "05"}
    assert designs.shared_by(clips.values(), 2) and not designs.shared_by(clips.values(), 3)


def test_reliability_needs_two_films_twice():
    films = [shown("a", row(0, 60, "a.mp4")), shown("b", row(0, 60, "b.mp4"))]
    with pytest.raises(
        UserError, match=r"roi\.selection is reliability, but sub-01 did not see two"
    ):
        designs.check_reliability("sub-01", [*films, *films[:1]])
    designs.check_reliability("sub-01", [*films, *(one._replace(label="x") for one in films)])
    # the same clips in another order are no repeats of a run
    shuffled = [shown("a", row(100, 60, "a.mp4")), shown("b", row(100, 60, "b.mp4"))]
    with pytest.raises(UserError):
        designs.check_reliability("sub-01", films + shuffled)


def only(tree, subject: str, segment: str, movie: str, seconds: float = 60) -> None:
    """A run's events show this movie for so long."""
    path = tree / f"sub-{subject}" / "func" / f"sub-{subject}_task-{segment}_run-1_events.tsv"
    path.write_text(f"onset\tduration\tstim_file\n0\t{seconds}\t{movie}\n")


def test_movies_shorter_than_a_clip_are_one_line(tree):
    for subject in ("01", "02"):
        only(tree, subject, "probe", "probe.mp4", 2)
    with pytest.raises(
        UserError, match=r"row 2: sub-01 is shown no whole clip of 3 s in test: at most 2 s"
    ):
        own(tree, stimuli={"clip_duration": 3})
    found = own(tree, stimuli={"clip_duration": 2})
    assert not any("whole clip" in line for line in found.left_out())
    only(tree, "01", "film2", "film2.mp4", 1)
    (line,) = [line for line in own(tree).left_out() if "whole clip" in line]
    assert line.startswith("sub-01: 1 of 5 presentations show no whole clip of 2 s")


def test_nothing_repeated_is_said_and_reliability_refused(tree):
    found = own(tree)
    assert not found.repeated("01") and found.repeated("01", "train")
    assert "sub-01, sub-02: no test clip is shown in two runs" in found.left_out()[0]
    write_run(tree, "01", "probe", 2, "probe.mp4")
    again = own(tree)
    assert again.repeated("01") and again.left_out()[0].startswith("sub-02: no test clip")
    with pytest.raises(UserError, match=r"roi\.selection is reliability, but sub-01"):
        own(tree, roi={"selection": "reliability"})
    for subject in ("01", "02"):
        write_run(tree, subject, "film2", 2, "film2.mp4")
    assert own(tree, roi={"selection": "reliability"}).roi.selection == "reliability"


def test_controls_that_a_subject_cannot_have(tree):
    only(tree, "02", "probe", "film4.mp4")
    (tree / "stimuli" / "film4.mp4").write_bytes(b"")
    found = own(tree)
    assert found.controls.other_of("01") is None and found.controls.without_other() == ["01", "02"]
    assert "other" not in found.controls.names() and "other" not in found.controls.names("01")
    assert any(line.endswith("there is no control `other`") for line in found.left_out())
    # a third subject who saw what 02 saw: 01 alone has none
    for segment, repeat in (("film1", 1), ("film2", 1), ("film3", 1), ("probe", 1)):
        write_run(tree, "03", segment, repeat, f"{segment}.mp4")
    only(tree, "03", "probe", "film4.mp4")
    mixed = own(tree)
    assert [mixed.controls.other_of(s) for s in ("01", "02", "03")] == [None, "03", "02"]
    assert "other" in mixed.controls.names() and "other" in mixed.controls.names("02")
    assert "other" not in mixed.controls.names("01") and "other" not in mixed.controls.names(
        "01", "02"
    )
    assert mixed.controls.without_other() == ["01"] and not mixed.shares_test()
    only(tree, "01", "probe", "film4.mp4")
    assert own(tree).shares_test()


def test_excluded_runs_are_in_the_table_and_others_in_lines(tree):
    exclude = [{"subject": "01", "task": "film1", "run": 2, "reason": "slept"}]
    found = own(tree, presentations={"exclude": exclude})
    assert any("slept" in line for line in found.ignored())
    assert not any("slept" in line for line in found.ignored(listed=False))
    assert json.loads(json.dumps([spec.excluded for spec in found.specs("01")])).count("slept") == 1
