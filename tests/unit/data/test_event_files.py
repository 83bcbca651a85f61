"""Events as data sets have them; one clear line for each mistake."""

from pathlib import Path

import pytest
from tests.fixtures_presentations import shown_by

from boldreel.data import event_files
from boldreel.errors import UserError

EVENTS = "onset\tduration\ttrial_type\tstim_file\tstim_onset\n4\t20.5\tmovie\tseg1.mp4\t10\n"


def test_events(tmp_path: Path) -> None:
    path = tmp_path / "e_events.tsv"
    path.write_text(EVENTS + "30\tn/a\tbutton\tn/a\tn/a\n")
    assert event_files.columns(path) == EVENTS.splitlines()[0].split("\t")
    (first, cells), (second, button) = event_files.rows(path)
    assert (first, second) == (2, 3)
    assert cells["onset"] == "4" and button["duration"] == button["stim_file"] == ""
    (shown,) = shown_by(path)
    assert (shown.onset, shown.duration, shown.stimulus_onset) == (4.0, 20.5, 10.0)
    assert (shown.stimulus, shown.movie, shown.part_known) == ("seg1.mp4", "seg1", True)
    path.write_text("onset\tduration\tstim_file\n-2\t20\tfolder/seg1.mp4\n")
    (shown,) = shown_by(path)
    assert (shown.onset, shown.stimulus_onset, shown.movie) == (-2, 0, "seg1")
    assert not shown.part_known


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("onset\tduration\n1\t2\n", "no column stim_file"),
        ("onset\tduration\tstim_file\n1\t2\ta.mp4\nx\t2\ta.mp4\n", "row 3: onset is x"),
        ("onset\tduration\tstim_file\n1\tn/a\ta.mp4\n", "row 2: duration is n/a"),
        ("onset\tduration\tstim_file\nn/a\t1\ta.mp4\n", "row 2: onset is n/a"),
        ("onset\tduration\tstim_file\n1\t-2\ta.mp4\n", "row 2: duration is -2"),
        ("onset\tduration\tstim_file\n1\tinf\ta.mp4\n", "row 2: duration is inf"),
        ("", "not a tab-separated table"),
    ],
)
def test_bad_events(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "e_events.tsv"
    path.write_text(content)
    with pytest.raises(UserError, match=message) as caught:
        shown_by(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        " onset\t duration \tstim_file\n 2.0\t40.0 \t m1.mp4 \n",  # aligned by hand
        "onset\tduration\tstim_file\n2.0\t40.0\tm1.mp4\t\n",  # a tab behind each row, as E-Prime
        "onset\tduration\trating\tstim_file\n2.0\t40.0\t46.0\tm1.mp4\t\t\n",
        "onset\tduration\tstim_file\t\n2.0\t40.0\tm1.mp4\t\n",
        "\ufeffonset\tduration\tstim_file\r\n2.0\t40.0\tm1.mp4\r\n",  # a spreadsheet's mark
        *(
            f"onset\tduration\tstim_file\n0\t2\t{nothing}\n\n2.0\t40.0\tm1.mp4\n50\t{nothing}\t\n"
            for nothing in ("n/a", "NA", "N/A", "nan", "None", "-", "")
        ),
    ],
)
def test_tables_as_others_write_them(tmp_path: Path, content: str) -> None:
    """One film, from 2 s on, for 40 s."""
    path = tmp_path / "e_events.tsv"
    path.write_text(content, encoding="utf-8", newline="")
    (shown,) = shown_by(path)
    assert (shown.onset, shown.duration, shown.movie) == (2.0, 40.0, "m1")


def test_rows_of_more_cells_than_columns(tmp_path: Path) -> None:
    path = tmp_path / "e_events.tsv"
    path.write_text("onset\tduration\tstim_file\n2.0\t40.0\tm1.mp4\tx\n")
    with pytest.raises(UserError, match="row 2 has 4 cells, the first line names 3"):
        list(event_files.rows(path))


def test_missing_events(tmp_path: Path) -> None:
    for read in (event_files.columns, lambda path: list(event_files.rows(path))):
        with pytest.raises(UserError, match="no such events file"):
            read(tmp_path / "e_events.tsv")


def test_rows_that_name_no_movie_show_nothing(tmp_path: Path) -> None:
    path = tmp_path / "sub-01_task-a_events.tsv"
    head = "onset\tduration\tstim_file\n"
    path.write_text(head + "0\t2\tb.mp4\n2\t2\tn/a\n4\t2\ta.mp4\n6\t2\tb.mp4\n")
    assert [one.stimulus for one in shown_by(path)] == ["b.mp4", "a.mp4", "b.mp4"]
    path.write_text(head + "0\t2\tn/a\n")
    assert shown_by(path) == []


def test_two_hundred_thousand_events(tmp_path: Path) -> None:
    """All of them are read, and none is joined with another film's."""
    path = tmp_path / "sub-01_task-a_events.tsv"
    with path.open("w") as lines:
        lines.write("onset\tduration\tstim_file\n")
        lines.writelines(f"{k}\t1\t{k % 3}.mp4\n" for k in range(200_000))
    assert len(shown_by(path)) == 200_000
