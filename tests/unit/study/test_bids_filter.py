"""What fMRIPrep is told to leave out is known while planning."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from boldreel.errors import UserError
from boldreel.study import bids_filter

RUN = Path("sub-01_ses-movie_task-m1_run-02_bold.nii.gz")


@pytest.mark.parametrize(
    ("bold", "kept"),
    [
        ({}, True),
        ({"task": "m1"}, True),
        ({"task": ["m1", "m2"], "session": ["movie"], "run": [2]}, True),
        ({"task": "rest"}, False),
        ({"session": "other"}, False),
        ({"acquisition": "*"}, True),
        ({"acquisition": None}, True),
    ],
)
def test_filters(tmp_path, bold, kept):
    (tmp_path / "filter.json").write_text(json.dumps({"bold": bold, "t1w": {"session": "x"}}))
    wanted = bids_filter.read({"bids_filter": str(tmp_path / "filter.json"), "options": []})
    assert (bids_filter.left_out(wanted, RUN) == "") is kept


def test_the_option_for_a_task():
    wanted = bids_filter.read({"bids_filter": None, "options": ["--fs-no-resume", "-t", "rest"]})
    assert "left out" in bids_filter.left_out(wanted, RUN)
    assert bids_filter.left_out({}, RUN) == ""


def test_what_is_no_filter(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        bids_filter.read({"bids_filter": str(tmp_path / "none.json"), "options": []})
    (tmp_path / "filter.json").write_text("[]")
    with pytest.raises(UserError, match="not a BIDS filter"):
        bids_filter.read({"bids_filter": str(tmp_path / "filter.json"), "options": []})
