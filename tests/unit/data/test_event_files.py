"""Events as data sets have them; one clear line for each mistake."""

from pathlib import Path

import pytest

from boldreel.data import event_files
from boldreel.errors import UserError

EVENTS = "onset\tduration\ttrial_type\tstim_file\tstim_onset\n4\t20.5\tmovie\tseg1.mp4\t10\n"


def test_events(tmp_path: Path) -> None:
    path = tmp_path / "e_events.tsv"
    path.write_text(EVENTS + "30\tn/a\tbutton\tn/a\tn/a\n")
    events = event_files.read(path)
    assert events["onset"].tolist() == [4.0, 30.0]
    assert events["movie"].tolist() == ["seg1", None]
    assert events["stim_onset"].tolist() == [10.0, 0.0]
    path.write_text("onset\tduration\tstim_file\n-2\t20\tfolder/seg1.mp4\n")
    events = event_files.read(path)
    assert (events["onset"][0], events["stim_onset"][0], events["movie"][0]) == (-2, 0, "seg1")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("onset\tduration\n1\t2\n", "no column stim_file"),
        ("onset\tduration\tstim_file\n1\t2\ta.mp4\nx\t2\ta.mp4\n", "row 3: onset is x"),
        ("onset\tduration\tstim_file\n1\tn/a\ta.mp4\n", "row 2: duration is n/a"),
        ("onset\tduration\tstim_file\n1\t-2\ta.mp4\n", "row 2: duration is -2"),
        ("onset\tduration\tstim_file\n1\t2\ta.mp4\n", "row 2: stim_file a.mp4 is not in"),
        ("", "not a tab-separated table"),
    ],
)
def test_bad_events(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "e_events.tsv"
    path.write_text(content)
    with pytest.raises(UserError, match=message) as caught:
        event_files.read(path, tmp_path / "stimuli")
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
    """Plan and steps read the same: one film, from 2 s on, for 40 s."""
    path = tmp_path / "e_events.tsv"
    path.write_text(content, encoding="utf-8", newline="")
    assert event_files.stim_files(path) == ["m1.mp4"]
    events = event_files.read(path)
    (shown,) = events[events["stim_file"].notna()].itertuples()
    assert (shown.onset, shown.duration, shown.movie) == (2.0, 40.0, "m1")


def test_rows_of_more_cells_than_columns(tmp_path: Path) -> None:
    path = tmp_path / "e_events.tsv"
    path.write_text("onset\tduration\tstim_file\n2.0\t40.0\tm1.mp4\tx\n")
    for read in (event_files.read, event_files.stim_files):
        with pytest.raises(UserError, match="row 2 has 4 cells, the first line names 3"):
            read(path)


def test_missing_events(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such events file"):
        event_files.read(tmp_path / "e_events.tsv")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("onset\tduration\tstim_file\n0\t2\tb.mp4\n2\t2\tn/a\n4\t2\ta.mp4\n6\t2\tb.mp4\n", 2),
        ("onset\tduration\tstim_file\n0\t2\tn/a\n", 0),
    ],
)
def test_stim_files_are_those_of_the_whole_reading(tmp_path, text, expected):
    path = tmp_path / "sub-01_task-a_events.tsv"
    path.write_text(text)
    assert event_files.stim_files(path) == list(
        event_files.read(path)["stim_file"].dropna().unique()
    )
    assert len(event_files.stim_files(path)) == expected


def test_stim_files_say_what_is_wrong(tmp_path):
    path = tmp_path / "sub-01_task-a_events.tsv"
    with pytest.raises(UserError, match="no such events file"):
        event_files.stim_files(path)
    path.write_text("onset\tduration\n0\t2\n")
    with pytest.raises(UserError, match="no column stim_file"):
        event_files.stim_files(path)


def test_a_million_events(tmp_path: Path) -> None:
    """Read as quickly as they can be, and all of them."""
    path = tmp_path / "events.tsv"
    with path.open("w") as lines:
        lines.write("onset\tduration\tstim_file\n")
        lines.writelines(f"{k}\t1\t{k % 3}.mp4\n" for k in range(1_000_000))
    assert sorted(set(event_files.stim_files(path))) == ["0.mp4", "1.mp4", "2.mp4"]
