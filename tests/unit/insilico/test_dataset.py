from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from boldreel.errors import UserError
from boldreel.insilico import dataset


def test_files_that_bids_wants(cfg, tmp_path):
    config = json.dumps(asdict(cfg))
    dataset.main(["--bids", str(tmp_path), "--subjects", "01", "rest01", "--config", config])
    description = json.loads((tmp_path / "dataset_description.json").read_text())
    assert description["DatasetType"] == "raw"
    assert description["BIDSVersion"].count(".") == 2
    assert description["Name"]
    assert (tmp_path / "README").stat().st_size > 150
    lines = (tmp_path / "participants.tsv").read_text().splitlines()
    assert lines == ["participant_id\tcohort", "sub-01\tmovie", "sub-rest01\trest"]
    columns = json.loads((tmp_path / "task-test01_events.json").read_text())
    assert {"trial_type", "stim_file", "stim_onset"} <= set(columns)


def test_a_label_twice_is_refused(cfg):
    with pytest.raises(UserError, match="twice"):
        dataset.files(cfg, ["01", "01"])
