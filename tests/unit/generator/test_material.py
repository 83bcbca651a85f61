"""Clips with their latents and conditions."""

from __future__ import annotations

import numpy as np
import pytest

from boldreel.data import arrays
from boldreel.errors import UserError
from boldreel.generator.material import load_conditions, load_material


def test_draws_latents_and_conditions_of_clips(dataset) -> None:  # type: ignore[no-untyped-def]
    movies = ["train01", "train02"]
    material = load_material(
        dataset.clips, [dataset.latents(m) for m in movies], [dataset.features(m) for m in movies]
    )
    assert len(material) == 12 and material.frame_rate == 1.5
    row = material.rows_of(["train02-0004"])[0]
    latents, condition = material.draw([row])
    stored, _ = arrays.load(dataset.latents("train02"), kind="latents")
    features, _ = arrays.load(dataset.features("train02") / "condition.npy", kind="condition")
    assert np.array_equal(latents[0], stored[12:15].astype(np.float32))
    assert np.array_equal(condition[0], features[4])
    with pytest.raises(UserError, match="test01-0000"):
        material.rows_of(["test01-0000"])


def test_refuses_what_does_not_fit(dataset) -> None:  # type: ignore[no-untyped-def]
    latents, features = dataset.latents("train01"), dataset.features("train01")
    short = np.zeros((10, 4, 4, 4), np.float16)
    arrays.save(latents, short, kind="latents", frame_rate=1.5)
    with pytest.raises(UserError, match="10 frames"):
        load_material(dataset.clips, [latents], [features])
    few = np.zeros((5, 7, 12), np.float32)
    arrays.save(features / "condition.npy", few, kind="condition")
    with pytest.raises(UserError, match="5 rows do not fit the 6 clips"):
        load_conditions(dataset.clips, [features])
