"""Sentences of the page that rest on the run's own numbers and settings."""

import pandas as pd
import pytest

from boldreel.report import texts
from boldreel.report.settings import PageSettings


def test_an_encoder_that_kept_its_ridge_start_is_said_to_be_ridge():
    kept = pd.DataFrame({"epoch": [0, 1, 2], "val_bound": [1.0, 1.2, 1.1]})
    better = pd.DataFrame({"epoch": [0, 1, 2], "val_bound": [1.0, 0.8, 0.9]})
    said = texts.beyond_linear({"01": better, "02": kept, "03": kept})
    assert "sub-02, sub-03 is its linear path alone" in said
    assert "sub-01 (epoch 1) lowered the loss" in said


def test_nothing_is_said_of_a_history_without_a_bound():
    assert texts.beyond_linear({"01": pd.DataFrame({"epoch": [0], "loss": [1.0]})}) == ""


def masked_scores(model: float, linear: float, areas: float = 0.3) -> pd.DataFrame:
    rows = [
        ("masked_patch_correlation", "model", model),
        ("masked_patch_correlation", "linear", linear),
        ("masked_patch_correlation", "nearest_visible_patch", 0.1),
        ("masked_area_correlation", "model", areas),
        ("masked_area_correlation", "linear", 0.3),
    ]
    table = pd.DataFrame(rows, columns=["metric", "condition", "value"])
    return table.assign(ci_low=table["value"] - 0.02, ci_high=table["value"] + 0.02, n=240)


def test_pretraining_below_a_simple_predictor_is_called_a_failure():
    said = texts.masked("rest", masked_scores(0.05, 0.19))
    assert "<b>This pretraining failed</b>" in said
    assert "patches hidden: the best linear predictor, the nearest visible patch)" in said
    assert "<b>0.050</b> <small>[0.030, 0.070]</small>" in said
    only_areas = texts.masked("rest", masked_scores(0.2, 0.19, areas=0.25))
    assert "(whole areas hidden: the best linear predictor)" in only_areas


def test_pretraining_that_adds_nothing_and_something():
    nothing = texts.masked("rest", masked_scores(0.36, 0.36))
    assert "adds nothing to the best linear predictor" in nothing and "failed" not in nothing
    assert "adds up to 0.040 to the best" in texts.masked("rest", masked_scores(0.4, 0.36))


@pytest.mark.parametrize(
    ("made", "words"),
    [
        ({"engine": "embedded"}, "which is not fMRIPrep"),
        ({"engine": "fmriprep-docker", "fmriprep": "25.2.7"}, "preprocessed by fMRIPrep 25.2.7"),
        ({"engine": "derivatives"}, "as another program had preprocessed them"),
        ({"cohort": "hcp", "atlas": "hcp-mmp"}, "atlas hcp-mmp"),
        ({"cohort": "hcp"}, "on the cohort “hcp”"),
        ({"repeats": "average"}, "averaged over all repeats"),
        ({"repeats": 1}, "were taken from one repeat"),
        ({"repeats": 3}, "averaged over 3 of their repeats"),
    ],
)
def test_methods_follow_the_run(made, words):
    assert words in texts.methods({"01": {"lag": 4.0, "window": 3}}, {}, PageSettings(**made))


def test_only_the_engine_that_ran_is_named():
    for engine in ("fmriprep-apptainer", "derivatives"):
        assert "own engine" not in texts.methods({}, {}, PageSettings(engine=engine))
