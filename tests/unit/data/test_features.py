"""Targets of the alignment."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from boldreel.data import arrays
from boldreel.data.features import load_features, merged_groups
from boldreel.errors import UserError


def test_order_is_the_one_asked_for(study: Any) -> None:
    wanted = ["test02-0003", "train01-0000", "test02-0001"]
    got = load_features(study.clips, study.features, wanted)
    assert got.clips == wanted
    folder = study.root / "stimuli" / "test02" / "features"
    text, _ = arrays.load(folder / "text.npy", kind="text_features")
    frames, _ = arrays.load(folder / "image.npy", kind="image_features")
    np.testing.assert_array_equal(got.text[2], text[1])
    mean = frames[6:8].mean(0)
    np.testing.assert_allclose(got.image[0], mean / np.linalg.norm(mean), rtol=1e-5)


def test_clips_of_a_shot_or_caption_belong_together() -> None:
    groups = merged_groups(["s1", "s1", "s2", "s3"], ["a", "b", "b", "c"])
    assert groups[0] == groups[1] == groups[2] != groups[3]


def test_missing_movie_and_unknown_clip(study: Any) -> None:
    with pytest.raises(UserError, match="no folder for movie test02"):
        load_features(study.clips, study.features[:-1], ["test02-0003"])
    with pytest.raises(UserError, match="no clip 'film-0001'"):
        load_features(study.clips, study.features, ["film-0001"])
