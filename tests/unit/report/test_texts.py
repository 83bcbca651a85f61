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
