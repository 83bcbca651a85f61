"""Clips with their latents and conditions."""

from __future__ import annotations

import numpy as np
import pytest

from boldreel.data import arrays, batches, tables
from boldreel.errors import UserError
from boldreel.generator.clip_latents import load_conditions, load_material


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


def test_mean_and_variance_are_those_of_all_conditions_at_once(dataset) -> None:  # type: ignore[no-untyped-def]
    """Though no more than one is in memory."""
    movies = ["train01", "train02"]
    material = load_material(
        dataset.clips, [dataset.latents(m) for m in movies], [dataset.features(m) for m in movies]
    )
    every = np.stack(material.conditions)
    rows = [0, 3, 4, 9]
    assert np.array_equal(material.mean_condition(rows), every[rows].mean(axis=0))
    assert material.condition_variance() == float(every.var(axis=0).mean())


def test_movies_of_a_batch_are_the_same_material(dataset, tmp_path) -> None:  # type: ignore[no-untyped-def]
    movies = ["train02", "train01"]
    alone = load_material(
        dataset.clips, [dataset.latents(m) for m in movies], [dataset.features(m) for m in movies]
    )
    stored = [arrays.load(dataset.latents(m), kind="latents")[0] for m in movies]
    whose = batches.counted({m: len(part) for m, part in zip(movies, stored, strict=True)})
    joined, latents = np.concatenate(stored), tmp_path / "latents" / "train-1.npy"
    arrays.save(latents, joined, kind="latents", frame_rate=1.5, movies=whose)
    features = tmp_path / "stimuli" / "train-1" / "features"
    conditions = [
        arrays.load(dataset.features(m) / "condition.npy", kind="condition")[0] for m in movies
    ]
    whose = batches.counted({m: len(part) for m, part in zip(movies, conditions, strict=True)})
    joined = np.concatenate(conditions)
    arrays.save(features / "condition.npy", joined, kind="condition", movies=whose)
    table = tables.read(dataset.clips, "clips")
    table["batch"] = ["train-1" if movie in movies else "test-2" for movie in table["movie"]]
    tables.write(dataset.clips, table, "clips")
    together = load_material(dataset.clips, [latents], [features])
    assert together.clips == alone.clips and together.movies == alone.movies
    for row in range(len(alone)):
        assert all(map(np.array_equal, together.draw([row]), alone.draw([row])))
