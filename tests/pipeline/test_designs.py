"""Designs of published data sets, from preprocessed runs with known responses to the page."""

from __future__ import annotations

import json

import pytest
from tests import fixtures_designs

from boldreel.data import tables
from boldreel.windows import response

from .small_studies import Done, finished
from .workflow import copy_of_repository

pytestmark = [pytest.mark.pipeline, pytest.mark.datasets]


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> Done:
    root = tmp_path_factory.mktemp("clips")
    data = fixtures_designs.short_clips(root / "data")
    asked = {
        "segments": {
            "train": [{"task": "train"}],
            "validation": [{"task": "train", "stimulus": "val.mp4"}],
            "test": [{"task": "test"}],
        },
        "stimuli": {"clip_duration": 3},
        "reconstruct": {"controls": ["mean", "other"], "continuous": None},
    }
    return finished(copy_of_repository(root / "work"), data, "clips", asked)


@pytest.fixture(scope="module")
def film(tmp_path_factory) -> Done:
    root = tmp_path_factory.mktemp("film")
    data = fixtures_designs.film_in_parts(root / "data")
    exclude = [{"subject": "01", "run": 7, "task": "movie", "reason": "starts late"}]
    asked = {
        "segments": {
            "train": ["movie_run-[1-4]", "movie_run-7"],
            "validation": ["movie_run-5"],
            "test": ["movie_run-6"],
        },
        "presentations": {"exclude": exclude},
        "reconstruct": {"controls": ["mean", "other"], "continuous": None},
    }
    return finished(copy_of_repository(root / "work"), data, "film", asked)


def signal_is_found_where_it_is(done: Done, duration: float) -> None:
    """The known lag and clips above chance for subject 01, and nothing for subject 02."""
    choice = done.choice("01")
    assert choice["source"] == "sweep"
    assert choice["lag_estimate"] == pytest.approx(response.peak_time(duration), abs=1.0)
    found, none = done.retrieval("01"), done.retrieval("02")
    assert found["value"] > 0.75 and found["p"] < 0.05 and found["permutations"] >= 20
    assert none["value"] < 0.65 and none["p"] > 0.05


def test_short_clips_in_random_order(clips):
    signal_is_found_where_it_is(clips, 3.0)
    ceiling = tables.read(clips.results / "sub-01" / "noise_ceiling.parquet", "noise_ceiling")
    of = ceiling.groupby("split")
    # as it was simulated, but for the series' cleaning and the volumes between clips
    assert of["ceiling_single"].median()["test"] > 0.5 and set(of.groups) == {"test", "train"}
    assert of["repeats"].max().to_dict() == {"test": 3, "train": 2}
    repeats = tables.read(clips.results / "sub-01" / "align" / "repeats.tsv", "repeats")
    model = repeats[(repeats["condition"] == "model") & (repeats["metric"] == "two_way_text")]
    assert model["repeats"].tolist() == [1, 2, 3]
    audit = json.loads((clips.results / "audit.json").read_text())
    assert audit["splits"]["disjoint"] and set(audit["repeats"]["sub-01"].values()) == {2, 3}
    overlap = audit["overlap"]["sub-01"]
    assert overlap["test"] == 0
    window = clips.choice("01")["window"]
    # clips come on every 4 s, two volumes apart, for training and for validation alike
    assert (overlap["neighbours"] > 0) == (overlap["validation"] > 0) == (window > 1)


def test_a_control_that_nobody_can_have_is_left_out(clips):
    line = (
        "sub-01, sub-02: nobody else saw one of the same test clips, so there is no control `other`"
    )
    assert line in clips.log and "rule reconstruct_other" not in clips.log
    assert "Nobody else saw one of the test clips of sub-01, sub-02" in clips.page
    scores = tables.read(clips.results / "sub-01" / "scores.tsv", "metrics")
    assert "mean_fmri" in set(scores["condition"])
    assert "other_subject" not in set(scores["condition"])


def test_a_film_that_was_seen_once(film):
    signal_is_found_where_it_is(film, 2.0)
    ceiling = tables.read(film.results / "sub-01" / "noise_ceiling.parquet", "noise_ceiling")
    assert not len(ceiling)
    assert "sub-01, sub-02: no test clip is shown in two runs" in film.log
    page = film.page
    assert "No clip was shown to sub-01, sub-02 in two runs, so there is no noise ceiling." in page
    assert "and no curve of repeats." in page and "of clips that were shown once" in page
    assert "No test clip was shown to sub-01, sub-02 in two runs" in film.log, "in the terminal too"
    assert "No figure" not in page
    scores = tables.read(film.results / "sub-01" / "scores.tsv", "metrics")
    assert "other_subject" in set(scores["condition"])


def test_runs_that_were_not_used_are_listed(film):
    assert "<td>sub-01</td><td>task-movie_run-7</td><td>starts late</td>" in film.page
    assert (
        "sub-01: 1 run ignored, not named in segments, 5 volumes: task-aborted run 1" in film.page
    )


def test_single_trial_betas(tmp_path):
    """A trial is a window of one volume; the page says that one fit saw test and training."""
    asked = {
        "bold": {"betas": "all-runs"},
        "segments": {
            "train": [{"task": "train"}],
            "validation": [{"task": "train", "stimulus": "val.mp4"}],
            "test": [{"task": "test"}],
        },
        "roi": {"detrend_order": -1},
        "windows": {"lag": 0, "window": 1, "lags": [0], "windows": [1]},
        "stimuli": {"clip_duration": 3},
        "reconstruct": {"controls": ["mean", "other"], "continuous": None},
    }
    data = fixtures_designs.single_trials(tmp_path / "data")
    done = finished(copy_of_repository(tmp_path / "work"), data, "betas", asked)
    for subject in ("01", "02"):
        windows = tables.read(done.results / f"sub-{subject}" / "windows.parquet", "windows")
        assert set(windows["window"]) == {1} and len(windows) == 2 * 60 + 3 * 30
        assert (windows["first_volume"] * 3 == windows["onset"]).all()
    found, none = done.retrieval("01"), done.retrieval("02")
    assert found["value"] > 0.75 and found["p"] < 0.05
    assert none["value"] < 0.65 and none["p"] > 0.05
    assert json.loads((done.results / "audit.json").read_text())["betas"]["shared_fit"]
    assert "test and training trials shared a fit" in done.page
    assert "bold.betas is all-runs" in done.log
