"""Which runs, stretches of runs and presentations belong to which split."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fixtures_presentations import row

from boldreel.errors import UserError
from boldreel.study import presentations, selectors

ENTITIES = {"subject": "01", "session": "a", "task": "movie", "run": "3"}
NAMES = ["movie", "movie_run-3", "task-movie_run-3", "ses-a_task-movie_run-3", "movierun3"]
ROWS = (row(10, 100, "films/one.mp4"), row(110, 90, "films/two.mp4", 30))
GUARD = 20.0


def assign(segments, rows=ROWS, guard=GUARD, entities=ENTITIES):
    return selectors.assign(selectors.parse(segments), NAMES, entities, rows, guard)


def splits(segments, **more):
    """(named, splits of the rows) of a run that is not cut."""
    named, (stretch,) = assign(segments, **more)
    assert (stretch.begin, stretch.end) == (None, None)
    assert [one._replace(split="") for one in stretch.rows] == list(ROWS)
    return named, [one.split for one in stretch.rows]


@pytest.mark.parametrize(
    "entry",
    [
        *("movie", "mov*", "movie_run-3", "movie_run-[1-3]", "ses-a_task-movie_run-3", "movierun3"),
        {"task": "movie"},
        {"task": "movie", "run": 3},
        {"task": "movie", "run": "03"},
        {"task": ["other", "movie"], "run": [1, 2, 3]},
        {"ses": "ses-a"},
        {"sub": "sub-01", "session": "*"},
        {"acquisition": ""},
        {"acq": None},
    ],
)
def test_whole_runs(entry):
    assert splits({"train": [entry]}) == (True, ["train", "train"])


@pytest.mark.parametrize(
    "entry",
    [
        *("film*", "movie_run-1", "ses-b_task-movie_run-3", "Movie"),
        {"task": "movie", "run": [1, 2]},
        {"run": 30},
        {"session": "b"},
        {"subject": "02"},
        {"acquisition": "dico"},
    ],
)
def test_other_runs(entry):
    assert splits({"train": [entry]}) == (False, ["", ""])


def test_validation_is_taken_out_of_training():
    segments = {"train": ["mov*"], "validation": [{"run": 3}], "test": ["other"]}
    assert splits(segments) == (True, ["validation", "validation"])


def test_presentations_by_their_movie():
    by_name = {"train": ["movie"], "test": [{"stimulus": "nothing*"}]}
    assert splits(by_name) == (True, ["train", "train"])
    for pattern in ("two", "films/t*", ["x", "films/two.mp4"]):
        segments = {"validation": [{"stimulus": "one"}], "test": [{"stimulus": pattern}]}
        assert splits(segments) == (True, ["validation", "test"])
    only = {"test": [{"run": 3, "stimulus": "*one*"}]}
    assert splits(only) == (True, ["test", ""])
    assert splits({"test": [{"run": 4, "stimulus": "*one*"}]}) == (False, ["", ""])


@pytest.mark.parametrize("other", ["train", "validation"])
def test_the_test_shares_nothing(other):
    for segments in (
        {"test": ["movie"], other: [{"run": 3}]},
        {"test": [{"stimulus": "two"}], other: ["movie_run-3"]},
    ):
        with pytest.raises(UserError, match=f"matched by segments.test and by segments.{other}"):
            assign(segments)


def test_stretches_keep_a_guard():
    """Two stretches that meet lose 20 s each; two that are 30 s apart 5 s each."""
    segments = {"train": [{"time": [0, 100]}], "test": [{"time": [100, 200]}]}
    named, (train, test) = assign(segments)
    assert named and (train.begin, train.end, test.begin, test.end) == (0, 80, 120, 200)
    assert [one.split for one in (*train.rows, *test.rows)] == ["train", "test"]
    (only,) = train.rows
    assert (only.onset, only.end, only.stimulus_onset) == (10, 80, 0)
    (only,) = test.rows
    assert (only.onset, only.end, only.stimulus_onset) == (120, 200, 40)
    apart = {"train": [{"time": [0, 90]}], "test": [{"time": [120, 200]}]}
    _, (train, test) = assign(apart)
    assert (train.end, test.begin) == (85, 125)


def test_stretches_of_one_split_need_no_guard():
    segments = {"train": [{"time": [0, 100]}, {"time": [100, 200]}]}
    _, (first, second) = assign(segments)
    assert (first.end, second.begin) == (100, 100)


@given(
    borders=st.lists(st.integers(0, 2000), min_size=4, max_size=8, unique=True).map(sorted),
    guard=st.floats(20, 100),
)
def test_the_guard_is_kept_whatever_the_stretches(borders, guard):
    """Stretches of different splits are at least two guards apart, and every one is inside its own time."""
    names = ["train", "test", "validation"]
    asked: dict[str, list] = {name: [] for name in names}
    times = list(zip(borders[::2], borders[1::2], strict=False))
    for k, time in enumerate(times):
        asked[names[k % 3]].append({"time": list(time)})
    try:
        _, stretches = assign(asked, (row(0, 2000, "m.mp4"),), guard)
    except UserError as error:
        assert "after a guard" in str(error)
        return
    for stretch, (begin, end) in zip(stretches, times, strict=True):
        assert begin <= stretch.begin < stretch.end <= end
    for before, after in itertools.pairwise(stretches):
        assert after.begin - before.end >= 2 * guard - 1e-9
        for one in before.rows:
            assert one.end <= after.begin - 2 * guard + 1e-9


@pytest.mark.parametrize(
    ("segments", "message"),
    [
        ({"train": [{"time": [0, 100]}], "test": [{"time": [90, 200]}]}, "overlap; make them"),
        ({"train": ["movie"], "test": [{"time": [90, 200]}]}, "with a time and as a whole"),
        ({"train": [{"time": [0, 50]}], "test": [{"time": [50, 85]}]}, "make it longer"),
        ({"train": [{"time": [50, 20]}]}, "rising"),
        ({"train": [{"time": 5}]}, "rising"),
        ({"train": [{"time": [-1, 5]}]}, "rising"),
        ({"train": [{"tsk": "movie"}]}, "segments.train: tsk is no entity of a run"),
        ({"train": [3]}, "neither a pattern nor conditions"),
        ({"train": [{}]}, "neither a pattern nor conditions"),
    ],
)
def test_what_cannot_be(segments, message):
    with pytest.raises(UserError, match=message) as caught:
        assign(segments)
    assert "\n" not in str(caught.value)


def test_a_table_of_ones_own_has_the_last_word():
    rows = (ROWS[0]._replace(split="test"), ROWS[1])
    named, (stretch,) = assign({"train": ["movie"]}, rows)
    assert named and [one.split for one in stretch.rows] == ["test", ""]


def of_table(*rows):
    """The stretches of a run of which the user's own table gives the splits."""
    return assign({"train": []}, [one._replace(split=split) for split, one in rows])[1]


def test_a_table_cuts_a_film_as_times_do():
    """The same stretches of film as from `time`, with the guard; the run's end belongs to the last one."""
    film = (row(0, 100, "f.mp4"), row(100, 100, "f.mp4", 100))
    train, test = of_table(("train", film[0]), ("test", film[1]))
    times = {"train": [{"time": [0, 100]}], "test": [{"time": [100, 200]}]}
    _, named = assign(times, (row(0, 200, "f.mp4"),))
    assert [(one.begin, one.end) for one in (train, test)] == [(0, 80), (120, None)]
    assert [one.rows for one in (train, test)] == [one.rows for one in named]
    # a pause counts for the guard, and what comes after a film belongs to it
    train, test = of_table(("train", film[0]), ("test", row(170, 100, "f.mp4", 100)))
    assert (train.end, test.begin) == (115, 155)
    assert [one.rows[0].duration for one in (train, test)] == [100, 100]
    # what has no split is not used
    train, test = of_table(
        ("train", film[0]), ("", row(100, 20, "x.mp4")), ("test", row(120, 80, "f.mp4", 120))
    )
    assert (train.end, test.begin) == (90, 130) and len(train.rows + test.rows) == 2


def test_a_table_with_clips_of_several_splits_does_not_cut():
    """As with `stimulus`: other films, or one film from its start again."""
    for second in (row(100, 50, "b.mp4"), row(100, 50, "a.mp4", 10)):
        (whole,) = of_table(("train", row(0, 50, "a.mp4")), ("test", second))
        assert (whole.begin, whole.end) == (None, None) and len(whole.rows) == 2


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (
            row(100, 30, "f.mp4", 100),
            r"t\.tsv: row 2: movie: 10 s are left .* \(test\) .*make it longer",
        ),
        (row(90, 90, "f.mp4", 100), "overlap; make them exclusive"),
    ],
)
def test_a_film_that_cannot_be_cut(second, message):
    first = row(0, 100, "f.mp4")._replace(origin="t.tsv: row 2")
    with pytest.raises(UserError, match=message):
        of_table(("train", first), ("test", second))


@pytest.mark.parametrize(("pattern", "task"), [("t*", "m1"), ("s*", "m1"), ("*-*", "m1")])
def test_a_pattern_is_about_the_task_unless_it_says_otherwise(pattern, task):
    """Every run has a name that begins with "task-" or "ses-"; that alone is no match."""
    run = presentations.Candidate({"subject": "01", "session": "a", "task": task}, Path("x"))
    assert not selectors.Selector(pattern, {}).matches_run(run.names, run.entities)
    assert selectors.Selector("ses-a_task-*", {}).matches_run(run.names, run.entities)
    assert selectors.Selector("task-m*", {}).matches_run(run.names, run.entities)
