"""What is written as a reconstruction is what is read, from one folder or several shards."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from boldreel.data import arrays, tables, video
from boldreel.data.reconstruction_writer import write
from boldreel.data.reconstructions import Reconstruction
from boldreel.errors import UserError


def frames(count: int, seed: int = 0, side: int = 16) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, 4, side, side, 3), dtype=np.uint8)


def written(folder: Path, clips: list[str], made: np.ndarray, **more) -> Path:  # type: ignore[no-untyped-def]
    about = {"inputs": [], "config": {"steps": 3}, "seed": 7, "started": 0.0}
    write(folder, clips, made, 2.0, **about, **more)
    return folder


def test_shards_are_read_as_one_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    made = frames(11)
    for k in range(11):
        written(tmp_path / f"shard-{k}", [f"c{k}"], made[k : k + 1])
    found = Reconstruction([tmp_path])
    assert found.names == [f"c{k}" for k in range(11)]
    assert found.shape == (4, 16, 16, 3) and found.frame_rate == 2.0
    assert np.array_equal(found.frames(["c10", "c2"]), made[[10, 2]])
    assert np.array_equal(found["c9"], made[9]) and "c9" in found and "d" not in found
    assert Reconstruction([tmp_path / "shard-3"]).names == ["c3"]
    with pytest.raises(UserError, match="clip d is not there"):
        found.frames(["c1", "d"])


def test_the_folder_holds_videos_samples_movies_tables_and_provenance(tmp_path: Path) -> None:
    made = frames(2)
    samples = np.stack([made, frames(2, seed=1)], axis=1)
    table = pd.DataFrame({"clip": ["a"], "category": ["ball"], "probability": [0.5]})
    folder = written(
        tmp_path / "out",
        ["a", "b"],
        made,
        sampling={"steps": 3},
        samples=samples,
        movies=iter([("a", np.concatenate(list(made)))]),
        extra_tables={"more/categories.tsv": (table, "categories")},
    )
    _, meta = arrays.load(folder / "frames.npy", kind="reconstruction")
    assert list(meta)[3:] == ["clips", "frame_rate", "seed", "steps"] and meta["seed"] == 7
    assert np.array_equal(arrays.load(folder / "samples.npy", kind="samples")[0], samples)
    names = {f"{clip}{end}.mp4" for clip in "ab" for end in ("", "_sample-1")}
    assert {path.name for path in (folder / "video").iterdir()} == names
    assert len(video.read_frames(folder / "movie" / "a.mp4", 2.0)) == 8
    assert len(tables.read(folder / "more" / "categories.tsv", "categories")) == 1
    assert json.loads((folder / "provenance.json").read_text())["seed"] == 7


def test_what_does_not_belong_together_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no shard-"):
        Reconstruction([tmp_path])
    written(tmp_path / "a" / "shard-0", ["c"], frames(1))
    written(tmp_path / "a" / "shard-1", ["c"], frames(1))
    with pytest.raises(UserError, match="clip c is in two shards"):
        Reconstruction([tmp_path / "a"])
    written(tmp_path / "a" / "shard-1", ["d"], frames(1, side=32))
    with pytest.raises(UserError, match="one configuration"):
        Reconstruction([tmp_path / "a"])
    with pytest.raises(ValueError, match="for 2 clips"):
        written(tmp_path / "b", ["a", "b"], frames(1))
    assert not (tmp_path / "b").exists()
