"""Areas where nothing visual is expected: other places, cleaned in the same way."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tests.fixtures_settings import settings as chosen
from tests.fixtures_settings import words as words_of

from boldreel.data import arrays, tables
from boldreel.errors import UserError
from boldreel.roi import control, series, template


@pytest.fixture(scope="module")
def places(tmp_path_factory, with_grid):
    path = tmp_path_factory.mktemp("control") / "control.parquet"
    template.main(["--control", "--output", str(path), "--config", with_grid])
    return path


def test_no_place_of_the_control_is_a_position(places, positions):
    ours, theirs = (tables.read(path, "positions") for path in (positions, places))
    assert set(theirs["group"]) == {"control"}
    cells = [
        set(map(tuple, t.loc[t["i"] >= 0, ["i", "j", "k"]].to_numpy())) for t in (ours, theirs)
    ]
    assert len(cells[1]) > 100 and not cells[0] & cells[1]


def test_series_are_cleaned_as_those_of_visual_areas(preprocessed, places, tmp_path):
    path = preprocessed()
    about = words_of("roi", confounds="motion6")
    words = ["--positions", str(places), "--config", about]
    control.main([*words, "--bold", str(path), "--output", str(tmp_path / "control")])
    series.main([*words, "--bold", str(path), "--output", str(tmp_path / "one.npy")])
    found, meta = arrays.load(tmp_path / "control" / "task-train01_run-2.npy", kind="series")
    expected, _ = arrays.load(tmp_path / "one.npy", kind="series")
    assert np.array_equal(found, expected) and meta["regressors"] == 10
    assert (tmp_path / "control" / "provenance.json").exists()


def test_stretches_of_a_run_are_cut_as_those_of_visual_areas(preprocessed, places, tmp_path):
    path = preprocessed()
    words = ["--positions", str(places), "--config", words_of("roi")]
    parts = [["task-train01part1_run-2", 0.0, 50.0], ["task-train01part2_run-2", 70.0, None]]
    given = ["--bold", str(path), str(path), "--stretches", json.dumps(parts)]
    control.main([*words, *given, "--output", str(tmp_path / "control")])
    for label, begin, end in parts:
        one = tmp_path / "one.npy"
        limits = ["--label", label, "--begin", str(begin), *(["--end", str(end)] if end else [])]
        series.main([*words, "--bold", str(path), *limits, "--output", str(one)])
        found, meta = arrays.load(tmp_path / "control" / f"{label}.npy", kind="series")
        expected, about = arrays.load(one, kind="series")
        assert np.array_equal(found, expected) and len(found) == 25
        assert meta["start_time"] == about["start_time"] and meta["run"] == label


def test_runs_that_do_not_cover_them_end_in_a_line_that_says_how_to_go_on(
    preprocessed, places, tmp_path
):
    frame = tables.read(places, "positions")
    cells = tuple(frame.loc[frame["i"] >= 0, ["i", "j", "k"]].to_numpy().T)

    def empty(values):
        values[cells] = 0

    words = ["--positions", str(places), "--bold", str(preprocessed(empty))]
    words += ["--config", words_of("roi")]
    with pytest.raises(UserError, match=r"roi.control: \[\]"):
        control.main([*words, "--output", str(tmp_path / "control")])
    assert not (tmp_path / "control").exists()


def test_named_atlases_have_a_control_and_a_group_is_not_both():
    assert chosen("roi").control_groups == ("control",)
    assert chosen("roi", atlas="hcp-mmp").control_groups == ("somatomotor",)
    assert chosen("roi", atlas="own.dlabel.nii").control_groups == ()
    assert chosen("roi", control=[]).control_groups == ()
    with pytest.raises(UserError, match=r"'motion' is in roi\.groups and roi\.control"):
        chosen("roi", control=["motion"])
