"""Training and validation are split by clips, whatever segments they are in."""

from __future__ import annotations

import numpy as np
import pytest

from boldreel.align import data
from boldreel.data import tables
from boldreel.errors import UserError


@pytest.fixture
def mixed(study_writer, tmp_path):
    """Every run of train01 to train03 shows clips of validation, and train04 is trained on."""
    study = study_writer(tmp_path, clips=20, patches=2)
    windows = tables.read(study.windows, "windows")
    late = windows["clip"].str[-4:].astype(int) >= 12
    windows.loc[windows["split"] != "test", "split"] = "train"
    windows.loc[windows["segment"].isin(["train01", "train02", "train03"]) & late, "split"] = (
        "validation"
    )
    tables.write(study.windows, windows, "windows")
    return study


def load(study, *splits):
    return data.load_trials(study.windows, study.series, study.clips, study.features, splits)


def test_segments_may_hold_clips_of_both(mixed):
    everything = load(mixed, "train", "validation")
    training, validation = data.training_and_validation(
        everything, data.validation_clips(mixed.windows)
    )
    for own, split in ((training, "train"), (validation, "validation")):
        expected = load(mixed, split)
        assert own.features.clips == expected.features.clips
        np.testing.assert_array_equal(own.x, expected.x)
        np.testing.assert_array_equal(own.segment, expected.segment)
    assert set(training.segment) & set(validation.segment) == {"train01", "train02", "train03"}


def test_without_validation_the_last_segment_serves(mixed):
    everything = load(mixed, "train", "validation")
    training, validation = data.training_and_validation(everything, set())
    assert set(validation.segment) == {"train04"} and "train04" not in set(training.segment)


def test_two_segments_are_left_for_training(mixed):
    few = load(mixed, "train", "validation")
    few = few.take(few.segment == "train04")
    with pytest.raises(UserError, match="training has train04 with train04 for validation"):
        data.training_and_validation(few, set())
