"""What runs showed, by their events or by rules; what is shown in two splits."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fixtures_presentations import row, shown_run

from boldreel.data import event_files
from boldreel.errors import UserError
from boldreel.study import overlaps, segments
from boldreel.study import presentations as shown
from boldreel.study.settings import PresentationsSettings, Rule


def candidate(folder: Path, name: str, events: str | None = None, volumes: int = 100):
    """A run of 2 s a volume, with the text of its events."""
    bold = folder / f"sub-01_{name}_bold.nii.gz"
    header = np.zeros(352, np.uint8)
    header[:4] = np.array([348], "<i4").view(np.uint8)
    header[40:56] = np.array([4, 4, 4, 4, volumes, 1, 1, 1], "<i2").view(np.uint8)
    header[70:74] = np.array([16, 32], "<i2").view(np.uint8)
    header[344:348] = np.frombuffer(b"n+1\0", np.uint8)
    with gzip.open(bold, "wb") as image:
        image.write(header.tobytes())
    (folder / f"sub-01_{name}_bold.json").write_text(json.dumps({"RepetitionTime": 2.0}))
    path = None
    if events is not None:
        path = folder / f"sub-01_{name}_events.tsv"
        path.write_text(events.replace(" ", "\t"))
    return shown.Candidate(shown.entities_of("01", bold.name), bold, path)


def times(rows):
    return [(one.stimulus, one.onset, one.duration, one.stimulus_onset) for one in rows]


@pytest.mark.parametrize(
    ("template", "found"),
    [
        ("part{run}.mp4", "part3.mp4"),
        ("seg{run-1}.mkv", "seg2.mkv"),
        ("seg{run+10}.mkv", "seg13.mkv"),
        ("{run:02d}.mp4", "03.mp4"),
        ("{run-1:03d}.mp4", "002.mp4"),
        ("{session}/{task}_{run}.mp4", "a/movie_3.mp4"),
        ("*/{task}.mp4", "*/movie.mp4"),
        ("film.mp4", "film.mp4"),
        ("{clip}.mp4", "c07.mp4"),
        ("{stim_file}", "x.avi"),
    ],
)
def test_templates(tmp_path, template, found):
    events = "onset duration stim_file clip\n5 60 x.avi c07\n"
    run = candidate(tmp_path, "ses-a_task-movie_run-03", events)
    rows = shown.shown_in(run, Rule(stimulus=template))
    assert times(rows) == [(found, 5, 60, 0)]


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{clip}.mp4", "no column clip, which presentations.rules names"),
        ("{task+1}.mp4", "task is 'movie', not a whole number"),
        ("{run:x2q}.mp4", "is not a format"),
    ],
)
def test_templates_that_cannot_be_filled(tmp_path, template, message):
    run = candidate(tmp_path, "task-movie_run-03", "onset duration\n5 60\n")
    with pytest.raises(UserError, match=message) as caught:
        shown.shown_in(run, Rule(stimulus=template))
    assert "\n" not in str(caught.value)


def test_a_cell_that_a_template_needs(tmp_path):
    run = candidate(tmp_path, "task-movie", "onset duration clip\n5 60 n/a\n")
    with pytest.raises(UserError, match=r"row 2: stimulus .* asks for clip"):
        shown.shown_in(run, Rule(stimulus="{clip}.mp4"))


def test_constants_need_no_events(tmp_path):
    rule = Rule(stimulus="film.mp4", onset=10.0, duration=120.0, stimulus_onset=30.0, speed=1.5)
    run = candidate(tmp_path, "task-movie")
    (only,) = shown.shown_in(run, rule)
    assert times([only]) == [("film.mp4", 10, 120, 30)] and only.speed == 1.5
    assert only.stimulus_end == 210 and only.part_known and str(run.path) in only.origin
    rest = Rule(stimulus="film.mp4", onset=10.0, duration="run")
    assert times(shown.shown_in(run, rest)) == [("film.mp4", 10, 190, 0)]
    with pytest.raises(UserError, match=r"no events file; give onset and duration of film\.mp4"):
        shown.shown_in(run, Rule(stimulus="film.mp4"))
    with pytest.raises(UserError, match="duration is n/a"):
        shown.shown_in(run, Rule(stimulus="film.mp4", onset=0.0))
    assert shown.shown_in(run, Rule()) == []


def test_events_that_are_about_something_else(tmp_path):
    """Presses of a button, which are not read."""
    run = candidate(tmp_path, "task-movie", "onset duration trial_type\n5 x button\n")
    rule = Rule(events=False, stimulus="film.mp4", onset=0.0, duration="run")
    assert times(shown.shown_in(run, rule)) == [("film.mp4", 0, 200, 0)]
    assert shown.shown_in(run, Rule(events=False)) == []


def test_columns_of_other_names(tmp_path):
    events = (
        "onset duration start length film since rate\n0 1 5 40 a.mp4 7 2\n60 1 70 20 b.mp4 0 1\n"
    )
    run = candidate(tmp_path, "task-movie", events)
    rule = Rule(
        stimulus="{film}", onset="start", duration="length", stimulus_onset="since", speed="rate"
    )
    rows = shown.shown_in(run, rule)
    assert times(rows) == [("a.mp4", 5, 40, 7), ("b.mp4", 70, 20, 0)]
    assert [one.speed for one in rows] == [2, 1]
    for column in ("onset", "duration", "stimulus_onset", "speed"):
        wrong = Rule(stimulus="film.mp4", **{column: "nothing"})
        with pytest.raises(UserError, match=r"no column nothing, which .* \(found onset, dur"):
            shown.shown_in(run, wrong)


def test_rows_by_their_cells(tmp_path):
    events = "onset duration trial_type stim_file\n0 9 cue x.mp4\n10 50 movie x.mp4\n70 9 2 y.mp4\n"
    run = candidate(tmp_path, "task-movie", events)
    assert len(shown.shown_in(run, Rule(rows={"trial_type": "movie"}))) == 1
    assert len(shown.shown_in(run, Rule(rows={"trial_type": ["movie", 2]}))) == 2
    assert shown.shown_in(run, Rule(rows={"trial_type": "nothing"})) == []
    with pytest.raises(UserError, match="no column condition"):
        shown.shown_in(run, Rule(rows={"condition": "movie"}))


@pytest.mark.parametrize("missing", ["onset", "duration", "stim_file"])
def test_missing_columns(tmp_path, missing):
    names = [name for name in ("onset", "duration", "stim_file") if name != missing]
    run = candidate(tmp_path, "task-movie", " ".join(names) + "\n1 1\n")
    with pytest.raises(UserError, match=f"no column {missing}"):
        shown.shown_in(run, Rule())


def test_the_row_that_heudiconv_leaves(tmp_path):
    """Its template has a line that ends in an empty cell; nothing is shown, unless a rule says what."""
    head = "onset\tduration\ttrial_type\tresponse_time\tstim_file\tTODO -- fill in rows"
    run = candidate(tmp_path, "task-movie", "x")
    for template in (f"{head}\n", f"{head}\n\t\t\t\t\t\n", f"{head}\nn/a\tn/a\tn/a\tn/a\tn/a\t\n"):
        run.events.write_text(template)
        assert shown.shown_in(run, Rule()) == []
        rule = Rule(events=False, stimulus="film.mp4", onset=0.0, duration="run")
        assert times(shown.shown_in(run, rule)) == [("film.mp4", 0, 200, 0)]
    assert event_files.columns(run.events)[-1].startswith("TODO")


def test_parts_of_a_film(tmp_path):
    """By their lengths as listed, whichever runs are there; or by how long the runs last."""
    runs = [candidate(tmp_path, f"task-film_run-{k}", volumes=50 * k) for k in (1, 2, 3)]
    listed = Rule(stimulus="film.mp4", parts=(90.0, 180.0, 250.0))
    for chosen in (runs, runs[1:], runs[2:]):
        parts = shown.Parts()
        rows = [shown.shown_in(run, listed, parts.before(run, listed)) for run in chosen]
        expected = [("film.mp4", 0, 90, 0), ("film.mp4", 0, 180, 90), ("film.mp4", 0, 250, 270)]
        assert [one for each in rows for one in times(each)] == expected[-len(chosen) :]
    lasting = Rule(stimulus="film.mp4", parts="runs")
    parts = shown.Parts()
    rows = [shown.shown_in(run, lasting, parts.before(run, lasting)) for run in runs]
    assert [one for each in rows for one in times(each)] == [
        ("film.mp4", 0, 100, 0),
        ("film.mp4", 0, 200, 100),
        ("film.mp4", 0, 300, 300),
    ]
    with pytest.raises(
        UserError, match="run 1 is missing, and nobody knows where in the film run 2"
    ):
        shown.Parts().before(runs[1], lasting)
    short = Rule(stimulus="film.mp4", parts=(90.0,))
    with pytest.raises(UserError, match="gives the lengths of 1 parts, this is run 2"):
        shown.shown_in(runs[1], short)


@pytest.mark.parametrize("parts", [(), "all", ("long",), 5])
def test_parts_that_are_no_lengths(parts):
    with pytest.raises(UserError, match="give the parts' lengths in s, or runs"):
        Rule(parts=parts)


def test_only_a_part_of_the_run(tmp_path):
    run = candidate(tmp_path, "task-movie", "onset duration stim_file\n0 100 a.mp4\n100 9 b.mp4\n")
    cropped = shown.shown_in(run, Rule(begin=20.0, end=90.0))
    assert times(cropped) == [("a.mp4", 20, 70, 20)]
    with pytest.raises(UserError, match=r"end \(5 s\) is not after begin \(9 s\)"):
        Rule(begin=9.0, end=5.0)


def test_the_first_rule_that_fits(tmp_path):
    run = candidate(tmp_path, "task-movie_run-2")
    one, two = Rule(where={"run": [1, 3]}), Rule(where={"task": "mov*"}, stimulus="x")
    assert shown.rule_of([one, two, Rule(speed=2.0)], run) is two
    assert shown.rule_of([one], run) == Rule()
    with pytest.raises(UserError, match=r"presentations\.rules\[0\]\.where: tsk is no entity"):
        shown.rule_of([Rule(where={"tsk": "x"})], run)


def test_exclusions_need_a_reason():
    with pytest.raises(UserError, match="has no reason; say why it is not used"):
        PresentationsSettings(exclude=({"run": 3},))


# Names of segments


def test_as_few_entities_name_segments_as_are_needed():
    def told(*runs):
        each = []
        for session, run, film in runs:
            entities = {"session": session, "task": "m", "run": run}
            each.append((entities, segments.content([row(0, 9, film)])))
        return segments.naming_entities(each)

    assert told(("a", "1", "x"), ("a", "2", "x")) == ()
    assert told(("a", "1", "x"), ("a", "2", "y")) == ("run",)
    assert told(("a", "1", "x"), ("a", "2", "y"), ("b", "1", "x"), ("b", "2", "y")) == ("run",)
    assert told(("a", "1", "x"), ("b", "1", "y")) == ("session",)
    assert told(("a", "1", "x"), ("a", "2", "y"), ("b", "1", "y")) == ("session", "run")
    jitter = [segments.content([row(0, 9, "x", since)]) for since in (5.0, 5.03)]
    assert jitter[0] == jitter[1]


# What several splits show

SPLITS = ("train", "validation", "test")
PRESENTED = st.builds(
    row,
    onset=st.integers(0, 50),
    duration=st.integers(1, 60),
    stimulus=st.sampled_from(["a.mp4", "b.mp4"]),
    stimulus_onset=st.integers(0, 100),
    speed=st.sampled_from([1.0, 2.0, 0.5]),
    split=st.sampled_from([*SPLITS, ""]),
)


def seconds(rows, split):
    """{(film, tenth of a second)} that rows of a split show, sampled inside each tenth."""
    found = set()
    for one in rows:
        if one.split == split:
            for k in range(2000):
                time = (k + 0.5) / 10
                if one.stimulus_onset + 0.15 < time < one.stimulus_end - 0.15:
                    found.add((one.stimulus, k))
    return found


@given(st.lists(PRESENTED, max_size=8))
@settings(max_examples=150, deadline=None)
def test_after_dropping_no_second_is_in_two_splits_and_nothing_else_is_lost(rows):
    runs = [shown_run(f"task-x_run-{k + 1}", [one], "") for k, one in enumerate(rows)]
    held = overlaps.find(runs)
    kept = [one for run in runs for one in overlaps.without(run.rows, held)]
    before = {split: seconds(rows, split) for split in SPLITS}
    after = {split: seconds(kept, split) for split in SPLITS}
    assert not after["train"] & (after["validation"] | after["test"])
    assert not after["validation"] & after["test"]
    assert after["test"] == before["test"]
    own = {film for film, _ in before["train"] | before["validation"] | before["test"]}
    assert own <= {"a.mp4", "b.mp4"}
    for split, later in (("validation", ["test"]), ("train", ["test", "validation"])):
        gone = before[split] - after[split]
        taken = set().union(*(before[other] for other in later))
        # What is lost is shown by a later split, but for the slack at the edges of what is cut out.
        near = {(film, k + shift) for film, k in taken for shift in range(-4, 5)}
        assert gone <= near
    for one in kept:
        (source,) = [
            each
            for each in rows
            if each.split == one.split
            and each.stimulus == one.stimulus
            and each.onset - 1e-9 <= one.onset
            and one.end <= each.end + 1e-9
            and abs(
                each.stimulus_onset + each.speed * (one.onset - each.onset) - one.stimulus_onset
            )
            < 1e-6
            and each.speed == one.speed
        ][:1]
        assert source.movie == one.movie
    unused = [one for one in rows if not one.split]
    assert [one for one in kept if not one.split] == unused


def test_neighbours_and_excluded_runs_are_no_overlap():
    def conflict(*pairs, **excluded):
        runs = [
            shown_run(f"task-{k}_run-1", [one], "", **(excluded if one.split == "test" else {}))
            for k, one in enumerate(pairs)
        ]
        held = overlaps.find(runs)
        return [overlaps.conflict(run, held) for run in runs]

    train = row(0, 50, "a.mp4", 0, split="train")
    assert conflict(train, row(0, 50, "a.mp4", 50, split="test")) == [None, None]
    assert conflict(train, row(0, 50, "a.mp4", 49.95, split="test")) == [None, None]
    test = row(0, 50, "a.mp4", 40, split="test")
    assert conflict(train, test) == [(train, "test"), None]
    assert conflict(train, test, excluded="asleep") == [None, None]
    assert conflict(train, test._replace(stimulus="b.mp4")) == [None, None]
    assert conflict(train, test._replace(split="validation")) == [(train, "validation"), None]
