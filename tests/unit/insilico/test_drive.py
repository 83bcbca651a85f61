from __future__ import annotations

import json

import numpy as np
import pytest

from boldreel.errors import UserError
from boldreel.insilico import drive, features, movie


def test_drive_of_two_movies(tmp_path):
    cfg = {"train_movies": 1, "test_movies": 1, "volumes": 10, "t_r": 2.0, "seed": 3}
    movies = [tmp_path / f"{name}.mp4" for name in ("train01", "test01")]
    for path in movies:
        movie.main(["--segment", path.stem, "--output", str(path), "--config", json.dumps(cfg)])
    tables = [str(path.with_suffix(".tsv")) for path in movies]
    common = ["--movies", *map(str, movies), "--output", str(tmp_path / "drive")]
    with pytest.raises(UserError, match="test01"):
        drive.main([*common, "--annotations", tables[0]])
    drive.main([*common, "--annotations", *tables, "--config", json.dumps(cfg)])
    courses = drive.load(tmp_path / "drive")
    assert set(courses) == {"train01", "test01"}
    assert courses["test01"].shape == (len(features.block_of_feature()), 40)
    together = np.concatenate(list(courses.values()), axis=1)
    assert np.abs(together.mean(1)).max() < 1e-3
    spread = together.std(1)
    assert np.allclose(spread[spread > 0], 1, atol=1e-3)
    sidecar = json.loads((tmp_path / "drive" / "train01.json").read_text())
    assert sum(sidecar["blocks"].values()) == len(together)


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(UserError, match="no drive"):
        drive.load(tmp_path)
