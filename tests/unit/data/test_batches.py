"""Movies that share folders: names, rows, and the arrays that hold them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from boldreel.data import arrays, batches, frames, tables
from boldreel.data.features import FeatureFolders
from boldreel.errors import UserError


@pytest.mark.parametrize("rows", [[0], [3, 4, 5], [0, 2, 3, 9], list(range(200))])
def test_rows_survive_a_command_line(rows):
    word = batches.as_ranges(rows)
    assert batches.rows_in(word) == rows
    assert len(batches.as_ranges(range(200))) == len("0-199")


@pytest.mark.parametrize("word", ["", "a", "1-x", "-1", "1--2", "1,"])
def test_other_words_are_refused(word):
    with pytest.raises(UserError, match="write whole numbers"):
        batches.rows_in(word)


def test_a_name_follows_from_the_movies_and_fits_the_pattern_of_its_splits():
    name = batches.name_of(["train", "test"], ["a", "b"])
    assert name == batches.name_of(["train", "test"], ["a", "b"])
    assert name != batches.name_of(["train", "test"], ["a", "c"])
    assert batches.among(name, [name]) and batches.among(name, [batches.pattern(["train", "test"])])
    assert not batches.among(name, [batches.pattern(["train"]), "train"])
    # A movie by itself is named by its own name alone.
    assert batches.among("film1", ["film1"]) and not batches.among("film1", ["film2"])


def test_movies_of_batches_and_of_movies_by_themselves():
    table = pd.DataFrame({"movie": ["a", "a", "b"], "batch": ["train-1", "train-1", "test-2"]})
    assert batches.movies_of(table, ["train-*"]) == {"a"}
    assert batches.movies_of(table.drop(columns="batch"), ["b"]) == {"b"}


@pytest.mark.parametrize("cuts", [[], [1], [2, 2, 5]])
def test_an_array_that_grows_is_the_array_that_is_saved(tmp_path, cuts):
    whole = np.random.default_rng(0).integers(0, 255, (7, 4, 4, 3), dtype=np.uint8)
    arrays.save(tmp_path / "one.npy", whole, kind="frames", frame_rate=3.0)
    meta: dict[str, float] = {}
    with arrays.growing(tmp_path / "two.npy", kind="frames", meta=meta) as append:
        for part in np.split(whole, cuts):
            append(part)
        meta["frame_rate"] = 3.0
    for suffix in (".npy", ".json"):
        one, two = (tmp_path / f"{name}{suffix}" for name in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()


def test_an_array_grows_whole_or_not_at_all(tmp_path):
    meta = {"frame_rate": 3.0}
    path = tmp_path / "frames.npy"
    with (
        pytest.raises(UserError, match="all parts of an array have one shape"),
        arrays.growing(path, kind="frames", meta=meta) as append,
    ):
        append(np.zeros((1, 4, 4, 3), np.uint8))
        append(np.zeros((1, 5, 4, 3), np.uint8))
    with (
        pytest.raises(UserError, match="nothing to write"),
        arrays.growing(path, kind="frames", meta=meta),
    ):
        pass
    with (
        pytest.raises(UserError, match="frame_rate"),
        arrays.growing(path, kind="frames", meta={}) as append,
    ):
        append(np.zeros((1, 4, 4, 3), np.uint8))
    assert list(tmp_path.iterdir()) == []


def stored(folder: Path, lengths: dict[str, int]) -> np.ndarray:
    """Frames of these movies in one folder, each frame the grey of its number."""
    shown = np.arange(sum(lengths.values()), dtype=np.uint8)
    values = np.broadcast_to(shown[:, None, None, None], (len(shown), 4, 4, 3))
    whose = batches.counted(lengths)
    arrays.save(folder / "frames.npy", values, kind="frames", frame_rate=3.0, movies=whose)
    return values


def test_frames_of_a_movie_are_its_part_of_the_batch(tmp_path):
    stored(tmp_path / "train-1", {"a": 4, "b": 6})
    stored(tmp_path / "test-2", {"c": 5})
    decoded = frames.Movies([tmp_path])
    for movie, batch, first, count in (
        *(("a", "train-1", 0, 4), ("b", "train-1", 4, 6)),
        ("c", "test-2", 0, 5),
    ):
        found, rate = decoded.frames(movie, batch)
        assert found[:, 0, 0, 0].tolist() == list(range(first, first + count)) and rate == 3.0
    with pytest.raises(UserError, match="'c' is not in this batch"):
        decoded.frames("c", "train-1")
    table = pd.DataFrame(
        {
            "movie": ["b", "c"],
            "batch": ["train-1", "test-2"],
            "first_frame": [2, 0],
            "n_frames": [3, 3],
        }
    )
    cut = frames.cut_clips(table, [tmp_path], 3, (4, 4))
    assert cut[..., 0, 0, 0].tolist() == [[6, 7, 8], [0, 1, 2]]


def test_files_are_opened_once_for_all_movies(tmp_path):
    """A thousand movies of a batch must not need a thousand descriptors."""
    lengths = {f"m{k:04d}": 1 for k in range(200)}
    stored(tmp_path / "train-1", lengths)
    decoded = frames.Movies([tmp_path])
    held = [decoded.frames(movie, "train-1")[0] for movie in lengths]
    assert len({id(each.base if each.base is not None else each) for each in held}) < 3


def test_features_of_a_movie_are_its_rows_of_the_batch(tmp_path):
    folder = tmp_path / "train-1" / "features"
    rng = np.random.default_rng(0)
    image = rng.normal(size=(10, 3)).astype(np.float32)
    text = rng.normal(size=(5, 3)).astype(np.float32)
    by_frame, by_clip = batches.counted({"a": 4, "b": 6}), batches.counted({"a": 2, "b": 3})
    arrays.save(folder / "image.npy", image, kind="image_features", movies=by_frame)
    arrays.save(folder / "text.npy", text, kind="text_features", movies=by_clip)
    rows = pd.DataFrame({"movie": ["b"] * 3, "batch": ["train-1"] * 3, "index": range(3)})
    rows = rows.assign(first_frame=[0, 2, 4], n_frames=2)
    found = FeatureFolders([folder]).of_movie(rows, "image", "text", "image_variants")
    np.testing.assert_array_equal(found["image"], image[4:])
    np.testing.assert_array_equal(found["text"], text[2:])
    assert set(found) == {"image", "text"}
    with pytest.raises(UserError, match="do not fit the 2 clips"):
        FeatureFolders([folder]).of_movie(rows[:2], "text")
    with pytest.raises(UserError, match="give train-1/features"):
        FeatureFolders([]).of_movie(rows, "text")


def clips_of(lengths: dict[str, int], batch: str) -> pd.DataFrame:
    """Clips of two frames of these movies."""
    rows = [
        {
            "clip": f"{movie}-{k:04d}",
            "movie": movie,
            "index": k,
            "start": k * 2 / 3,
            "duration": 2 / 3,
            "first_frame": 2 * k,
            "n_frames": 2,
            "shot": movie,
            "cuts": 0,
            "caption": "a cup",
            "attributes": "{}",
            "batch": batch,
        }
        for movie, count in lengths.items()
        for k in range(count // 2)
    ]
    return pd.DataFrame(rows)


def test_methods_and_scores_read_the_frames_of_batches(tmp_path):
    from boldreel.evaluate.clips import mean_frame

    lengths = {"a": 4, "b": 6}
    values = stored(tmp_path / "train-1", lengths)
    table = clips_of(lengths, "train-1")
    tables.write(tmp_path / "clips.parquet", table, "clips")
    found = frames.load_clips(tmp_path / "clips.parquet", tmp_path, ["b"])
    assert list(found.views) == ["b-0000", "b-0001", "b-0002"]
    np.testing.assert_array_equal(found.take(["b-0001"])[0], values[6:8])
    of_b = mean_frame(table[table["movie"] == "b"], [tmp_path], (4, 4))
    assert of_b[0, 0, 0] == round(np.mean([4, 5, 6, 7, 8, 9]))
