"""`boldreel init`: the table of what a data set showed, which a user edits and hands in again."""

from __future__ import annotations

from pathlib import Path

import pytest

from boldreel import command_line
from boldreel.study import init, shown


def written(path: Path) -> list[list[str]]:
    return [line.split("\t") for line in path.read_text().splitlines()]


def test_a_tree_of_which_nothing_is_known(data, tmp_path, monkeypatch, capsys):
    """All that events say, a localizer's events passed over, no split; and a configuration to begin with."""
    data.shows("task-a_run-1", "a.mp4")
    data.shows("task-a_run-2", "b.mp4", 20.0)
    data.run("task-localizer", "onset\tduration\ttrial_type", "0 9 face")
    data.run("task-rest")
    monkeypatch.chdir(tmp_path)
    command_line.main(["init", str(data.root)])
    head, *rows = written(tmp_path / "presentations.tsv")
    at = {name: head.index(name) for name in head}
    got = [
        [row[at[name]] for name in ("run", "stimulus", "stimulus_onset", "split")] for row in rows
    ]
    assert got == [["1", "a.mp4", "0", "n/a"], ["2", "b.mp4", "20", "n/a"]]
    told = capsys.readouterr().out
    assert "2 presentations of 2 movies in 2 runs" in told and "no column stim_file" in told
    assert "tasks of which events name no movie: localizer, rest" in told
    assert f"bids: {data.root}" in (tmp_path / "mine.yaml").read_text()
    with pytest.raises(SystemExit):
        command_line.main(["init", str(data.root)])
    assert "exists already" in capsys.readouterr().err


def test_the_table_of_a_study_gives_the_same_study(data, tmp_path):
    """What init writes for a configuration, handed in as the user's own table, plans the same."""
    for task in ("a", "b", "held", "test"):
        data.shows(f"task-{task}", f"{task}.mp4")
    segments = {"train": ["a", "b"], "validation": ["held"], "test": ["test"]}
    excluded = [{"task": "b", "run": "7", "reason": "late"}]
    first = data.study(segments, exclude=excluded)
    text, (line,) = init.of_study(first)
    assert line == "4 presentations of 4 movies in 4 runs"
    table = tmp_path / "mine.tsv"
    table.write_text(text)
    again = data.study({"train": [], "validation": [], "test": []}, table=str(table))
    assert again.runs == first.runs and again.specs("01") != []
    assert shown.read_table(table).excluded == {}


def test_a_run_that_is_cut_is_cut_by_its_table_too(data, tmp_path):
    """The same stretches of film, under the same names; the table keeps the pause between them."""
    for task in ("a", "b", "held"):
        data.shows(f"task-{task}", f"{task}.mp4")
    segments = {
        "train": ["a", {"task": "b", "time": [0, 100]}],
        "validation": ["held"],
        "test": [{"task": "b", "time": [100, 200]}],
    }
    first = data.study(segments)
    table = tmp_path / "mine.tsv"
    table.write_text(init.of_study(first)[0])
    again = data.study({"train": [], "validation": [], "test": []}, table=str(table))
    labels = [run.label for run in again.runs["01"]]
    assert labels == [run.label for run in first.runs["01"]] and "task-bpart2_run-1" in labels
    rows = [
        [
            (run.label, one[:4], one.split)
            for run in study.presentations.used("01")
            for one in run.rows
        ]
        for study in (first, again)
    ]
    assert rows[0] == rows[1] and len(rows[0]) == 4
