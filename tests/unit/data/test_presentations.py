"""Consecutive rows of one film are merged into one presentation; a different playback speed is reported."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fixtures_presentations import shown_by
from tests.unit.windows.test_clock import clips_of

from boldreel.data import presentations
from boldreel.data.presentations import Presentation, ShownRun
from boldreel.errors import UserError
from boldreel.windows import clock

LENGTH = 44.0


def rows(length: float, onset: float = 2.0, speed: float = 1.0) -> str:
    """A film of 44 s in rows of a length (s of film), from an onset on, played at a speed."""
    lines = ["onset\tduration\tstim_file\tstim_onset"]
    starts = np.arange(0, LENGTH - 1e-9, length)
    for start in starts:
        shown = min(length, LENGTH - start) / speed
        lines.append(f"{onset + start / speed:.3f}\t{shown:.3f}\tm.mp4\t{start:.3f}")
    return "\n".join(lines) + "\n"


def clips(path: Path) -> clock.Shown:
    return clock.clip_onsets(clips_of("m", 22, 2.0), shown_by(path))


@pytest.mark.parametrize("length", [3.0, 1.9, 0.5, 0.04, 1 / 30])
def test_rows_of_shots_and_frames_lose_no_clip(tmp_path, length):
    path = tmp_path / "sub-01_task-m_events.tsv"
    path.write_text(rows(length))
    (only,) = shown_by(path)
    assert (only.onset, only.stimulus_onset, only.origin) == (2.0, 0.0, f"{path}: row 2")
    assert only.duration == pytest.approx(LENGTH, abs=2e-3)
    np.testing.assert_allclose(clips(path).onsets, 2.0 + 2 * np.arange(22), atol=1e-6)


def test_what_is_shown_between_goes_on(tmp_path):
    """Presses of a button between the rows, an order that is not that of time, and other films."""
    path = tmp_path / "events.tsv"
    path.write_text(
        "onset\tduration\tstim_file\tstim_onset\n"
        "4\t4\tm.mp4\t4\n0\t4\tm.mp4\t0\n3\t0\tn/a\tn/a\n8\t4\tother.mp4\t8\n12\t4\tm.mp4\t0\n"
    )
    assert [(one.onset, one.duration, one.stimulus_onset) for one in shown_by(path)] == [
        (0, 8, 0),
        (8, 4, 8),
        (12, 4, 0),
    ]


def test_dropped_pictures_and_jitter_lose_no_clip(tmp_path):
    """A row a picture, as a script logs them: every onset off by some ms, every 40th picture not shown."""
    begins = np.delete(np.arange(0, LENGTH, 0.04), np.arange(20, 1100, 40))
    onsets = 2.0 + begins + np.random.default_rng(0).normal(scale=0.004, size=len(begins))
    lines = [f"{o:.4f}\t0.04\tm.mp4\t{b:.2f}" for o, b in zip(onsets, begins, strict=True)]
    path = tmp_path / "events.tsv"
    path.write_text("\n".join(["onset\tduration\tstim_file\tstim_onset", *lines]))
    np.testing.assert_allclose(clips(path).onsets, 2.0 + 2 * np.arange(22), atol=0.1)


@pytest.mark.parametrize(
    "extra",
    [
        [(10, 10, 10)],  # a row twice
        [(0, 40, 0)],  # the whole film beside its shots
        [(8, 4, 8), (18, 4, 18)],  # shots that reach into each other
    ],
)
def test_rows_that_show_the_same_at_the_same_time_are_one(tmp_path, extra):
    """Otherwise a clip inside both would be shown twice, and count twice."""
    path = tmp_path / "events.tsv"
    shown = [(10 * k, 10, 10 * k) for k in range(4)] + extra
    lines = [f"{onset}\t{duration}\tm.mp4\t{begin}" for onset, duration, begin in shown]
    path.write_text("\n".join(["onset\tduration\tstim_file\tstim_onset", *lines]))
    np.testing.assert_allclose(clips(path).onsets, 2.0 * np.arange(20))


def joined_naively(rows: list[Presentation]) -> list[tuple[float, float, float]]:
    """The same, row by row."""
    out: list[list[float]] = []
    for row in rows:
        if out:
            onset, duration, begin = out[-1]
            touches = abs(row.onset - onset - duration) < 0.02
            if touches and abs(row.stimulus_onset - begin - duration) < 0.02:
                out[-1][1] = row.onset + row.duration - onset
                continue
        out.append([row.onset, row.duration, row.stimulus_onset])
    return [(a, b, c) for a, b, c in out]


@given(st.lists(st.tuples(st.sampled_from([1, 2, 5]), st.booleans(), st.sampled_from([0, 0, 7]))))
@settings(max_examples=200, deadline=None)
def test_against_a_loop(steps):
    """Pauses in the run and jumps in the film part what is shown; nothing else does."""
    onset, begin = 0.0, 0.0
    made = []
    for duration, pause, jump in steps:
        onset, begin = onset + pause, begin + jump
        made.append((onset, duration, begin))
        onset, begin = onset + duration, begin + duration
    rows = [Presentation(onset, duration, "m.mp4", begin) for onset, duration, begin in made]
    try:
        found = presentations.join(rows)
    except UserError:  # jumps as even as if the film were played faster: not what this is about
        return
    times = [(one.onset, one.duration, one.stimulus_onset) for one in found]
    assert times == joined_naively(rows)


@pytest.mark.parametrize("speed", [25 / 24, 24 / 25, 1.02])
@pytest.mark.parametrize("length", [4.0, 0.04])
def test_another_speed_than_the_file_has(tmp_path, speed, length):
    """Told where rows and film contradict each other; where the speed is stated, clips come in time."""
    path = tmp_path / "events.tsv"
    text = rows(length, speed=speed)
    path.write_text(text)
    with pytest.raises(UserError, match=r"drift by .* column speed") as error:
        shown_by(path)
    assert f"the film, {speed:.4f}" in str(error.value) and "\n" not in str(error.value)
    first, *lines = text.splitlines()
    stated = [f"{first}\tspeed", *(f"{line}\t{speed:.6f}" for line in lines)]
    path.write_text("\n".join(stated) + "\n")
    shown = clips(path)
    np.testing.assert_allclose(shown.onsets, 2.0 + 2 * np.arange(22) / speed, atol=2e-3)


@pytest.mark.parametrize(
    "begins",
    [
        [0, 10, 20.4, 30],  # one jump
        [0, 20, 40, 60],  # every second part
        [0, 10.02, 20.03, 30.06],  # within half a percent
        [30, 20, 10, 0],  # backwards
        [0, 0, 0, 0],  # the beginning again and again
    ],
)
def test_parts_of_a_film_are_no_other_speed(tmp_path, begins):
    path = tmp_path / "events.tsv"
    lines = [f"{10 * k}\t10\tm.mp4\t{begin}" for k, begin in enumerate(begins)]
    path.write_text("\n".join(["onset\tduration\tstim_file\tstim_onset", *lines]))
    assert len(shown_by(path)) >= 1


def test_parts_that_skip_evenly_are_told_from_another_speed_by_stating_it(tmp_path):
    """5 s of every 6 s, back to back, look like a film played 1.2 times as fast."""
    path = tmp_path / "events.tsv"
    lines = [f"{5 * k}\t5\tm.mp4\t{6 * k}" for k in range(6)]
    path.write_text("\n".join(["onset\tduration\tstim_file\tstim_onset", *lines]))
    with pytest.raises(UserError, match="into a column speed"):
        shown_by(path)
    stated = [f"{line}\t1" for line in lines]
    path.write_text("\n".join(["onset\tduration\tstim_file\tstim_onset\tspeed", *stated]))
    assert len(shown_by(path)) == 6


@pytest.mark.parametrize("speed", ["0", "-1", "fast"])
def test_impossible_speeds(tmp_path, speed):
    path = tmp_path / "events.tsv"
    path.write_text(f"onset\tduration\tstim_file\tspeed\n0\t10\tm.mp4\t{speed}\n")
    with pytest.raises(UserError, match=f"row 2: speed is {speed}; expected seconds of film"):
        shown_by(path)


TEXT = st.text("abcé /._-'", min_size=1).map(str.strip).filter(bool)
TIME = st.floats(-1000, 1e5, allow_nan=False)
ROWS = st.builds(
    Presentation,
    onset=TIME,
    duration=st.floats(0, 1e4),
    stimulus=TEXT.map(lambda text: f"{text}.mp4"),
    stimulus_onset=st.floats(0, 1e5),
    speed=st.floats(0.01, 10),
    part_known=st.just(True),
    origin=st.integers(2, 99).map(lambda line: f"events.tsv: row {line}"),
    movie=TEXT,
    split=st.sampled_from(["train", "validation", "test", ""]),
)
ENTITIES = st.dictionaries(st.sampled_from(list(presentations.ENTITIES)), st.sampled_from("ab1"))


@given(
    st.lists(
        st.tuples(
            st.lists(ROWS, min_size=1, max_size=4),
            ENTITIES,
            st.none() | TIME,
            st.none() | TIME,
            st.sampled_from(["", "starts late; film cut"]),
        ),
        max_size=4,
    )
)
@settings(max_examples=100, deadline=None)
def test_a_table_is_read_as_it_was_written(tmp_path_factory, runs):
    path = tmp_path_factory.mktemp("table") / "presentations.tsv"
    written = [
        ShownRun(f"task-m_run-{k + 1}", "task-f_run-1", entities, begin, end, tuple(rows), why)
        for k, (rows, entities, begin, end, why) in enumerate(runs)
    ]
    presentations.write(path, "01", written)
    assert presentations.read(path) == written


def test_what_nobody_has_said_stays_unsaid(tmp_path):
    """Which part of a movie rows show is asked for where the movie lasts longer than they do."""
    path = tmp_path / "presentations.tsv"
    rows = (
        Presentation(0.0, 9.0, "a.mp4", part_known=False, origin="/data/x_events.tsv: row 2"),
        Presentation(9.0, 9.0, "a.mp4", part_known=True, origin="/data/x_bold.nii.gz"),
        Presentation(18.0, 9.0, "a.mp4"),
    )
    presentations.write(
        path, "01", [ShownRun("task-m_run-1", "task-m_run-1", {}, None, None, rows)]
    )
    (run,) = presentations.read(path)
    assert [row.part_known for row in run.rows] == [False, True, True]
    # Results do not depend on where the data lie; what has no origin is a row of this table.
    assert [row.origin for row in run.rows] == [
        *("x_events.tsv: row 2", "x_bold.nii.gz", f"{path}: row 4"),
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("onset", "start"), "no column onset (found"),
        (("\t7\t", "\tseven\t"), "row 2: onset is seven; expected a time in seconds"),
        (("\t9\t", "\t-9\t"), "row 2: duration is -9"),
        (("\t3\t", "\tnan\t"), "row 2: stimulus_onset is nan"),
    ],
)
def test_tables_that_cannot_be_read(tmp_path, change, message):
    path = tmp_path / "presentations.tsv"
    row = Presentation(7.0, 9.0, "a.mp4", 3.0, movie="a")
    presentations.write(
        path, "01", [ShownRun("task-m_run-1", "task-m_run-1", {}, None, None, (row,))]
    )
    path.write_text(path.read_text().replace(*change, 1))
    with pytest.raises(UserError) as caught:
        presentations.read(path)
    assert message in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(UserError, match="no such table of presentations"):
        presentations.read(tmp_path / "none.tsv")


@given(st.floats(-50, 200), st.floats(-50, 200), st.sampled_from([0.5, 1.0, 1.25]))
def test_the_part_of_a_presentation_between_two_times(begin, end, speed):
    row = Presentation(10.0, 100.0, "m.mp4", 30.0, speed)
    part = row.within(begin, end)
    first, last = max(begin, 10.0), min(end, 110.0)
    if last - first <= 1e-9:
        assert part is None
    else:
        assert (part.onset, part.end) == (first, pytest.approx(last))
        assert part.stimulus_onset == pytest.approx(30 + speed * (first - 10))
        assert part.stimulus_end == pytest.approx(30 + speed * (last - 10))
