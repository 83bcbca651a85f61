"""Sentences of the page that rest on a training's own numbers."""

import pandas as pd

from boldreel.report import texts


def test_an_encoder_that_kept_its_ridge_start_is_said_to_be_ridge():
    kept = pd.DataFrame({"epoch": [0, 1, 2], "val_bound": [1.0, 1.2, 1.1]})
    better = pd.DataFrame({"epoch": [0, 1, 2], "val_bound": [1.0, 0.8, 0.9]})
    said = texts.beyond_ridge({"01": better, "02": kept, "03": kept})
    assert "sub-02, sub-03 is its ridge start" in said
    assert "sub-01 (epoch 1) lowered the loss" in said


def test_nothing_is_said_of_a_history_without_a_bound():
    assert texts.beyond_ridge({"01": pd.DataFrame({"epoch": [0], "loss": [1.0]})}) == ""
