"""Movies that are decoded, cut and described together are what each would be by itself."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.fixtures_presentations import row, shown_run
from tests.fixtures_settings import words

from boldreel.data import arrays, batches, presentations, tables, video
from boldreel.data.frames import Movies
from boldreel.errors import UserError
from boldreel.stimuli import clips, decode

CFG = words("stimuli", frame_rate=3.0, size=16, clip_duration=1.0)
MOVIES = {"b": 2, "a": 3, "c": 4}  # s


@pytest.fixture(scope="module")
def stimuli(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three movies with annotations next to each, and one that a table for all of them annotates."""
    folder = tmp_path_factory.mktemp("bids") / "stimuli"
    folder.mkdir()
    rng = np.random.default_rng(1)
    every = []
    for name, seconds in MOVIES.items():
        frames = rng.integers(0, 256, (seconds, 2, 2, 3)).repeat(8, 1).repeat(8, 2)
        video.write_mp4(folder / f"{name}.mp4", frames.repeat(6, 0).astype(np.uint8), 6)
        table = pd.DataFrame(
            {
                "onset": np.arange(seconds, dtype=float),
                "duration": 1.0,
                "shot": [f"{name}{k}" for k in range(seconds)],
                "caption": [f"{name} number {k}" for k in range(seconds)],
                "object": name,
            }
        )
        table.to_csv(folder / f"{name}.tsv", sep="\t", index=False)
        every.append(table.assign(movie=f"stimuli/{name}.mp4"))
    pd.concat(every[:2]).to_csv(folder.parent / "all.tsv", sep="\t", index=False)
    return folder


@pytest.fixture
def shown(stimuli: Path, tmp_path: Path) -> Path:
    rows = [row(10.0 * k, 1.0, f"{name}.mp4") for k, name in enumerate(MOVIES)]
    path = tmp_path / "presentations.tsv"
    out = [
        shown_run("task-train1_run-1", rows),
        shown_run("task-train2_run-1", [row(0.0, 1.0, "d.mp4")], excluded="broken"),
    ]
    presentations.write(path, "01", out)
    return path


BATCH = batches.name_of(["train"], ["a", "b", "c"])


def in_batch(stimuli: Path, shown: Path, out: Path, *more: str) -> Path:
    listed = ["--presentations", str(shown), "--rows", "0-2", "--stimuli", str(stimuli)]
    decode.main([*listed, "--output", str(out / BATCH), "--config", CFG, *more])
    return out / BATCH


def one_by_one(stimuli: Path, out: Path, *more: str) -> list[str]:
    for name in MOVIES:
        movie = ["--movie", str(stimuli / f"{name}.mp4"), "--output", str(out / name)]
        decode.main([*movie, "--config", CFG, *more])
    return [str(out / name) for name in MOVIES]


def cut(folders: list[str], out: Path, *more: str) -> pd.DataFrame:
    clips.main(["--stimuli", *folders, "--output", str(out), "--config", CFG, *more])
    return tables.read(out, "clips")


def test_a_batch_is_its_movies(stimuli: Path, shown: Path, tmp_path: Path) -> None:
    folder = in_batch(stimuli, shown, tmp_path)
    alone = one_by_one(stimuli, tmp_path / "alone")
    together, apart = Movies([tmp_path]), Movies([tmp_path / "alone"])
    for name in MOVIES:
        np.testing.assert_array_equal(
            together.frames(name, BATCH)[0], apart.frames(name)[0], strict=True
        )
    shots = tables.read(folder / "shots.tsv", "shots")
    for name in MOVIES:
        own = tables.read(tmp_path / "alone" / name / "shots.tsv", "shots")
        of_movie = shots[shots["movie"] == name].drop(columns="movie").reset_index(drop=True)
        pd.testing.assert_frame_equal(of_movie, own)
    of_batch = cut([str(folder)], tmp_path / "batch.parquet")
    annotations = ["--annotations", *(str(stimuli / f"{name}.tsv") for name in MOVIES)]
    of_each = cut(alone, tmp_path / "each.parquet", *annotations)
    assert set(of_batch.pop("batch")) == {BATCH}
    pd.testing.assert_frame_equal(of_batch, of_each)
    assert of_each["clip"].tolist()[:4] == ["a-0000", "a-0001", "a-0002", "b-0000"]
    assert of_each["caption"].tolist()[3] == "b number 0"
    assert json.loads(of_each["attributes"][3]) == {"object": "b"}
    made = json.loads((folder / "frames.npy.provenance.json").read_text())
    assert {str(stimuli / "a.mp4"), str(stimuli / "a.tsv")} <= set(made["inputs"])


def test_other_movies_than_were_planned_are_refused(stimuli: Path, shown: Path, tmp_path) -> None:
    with pytest.raises(UserError, match="are not those of batch train-0000000000"):
        decode.listed(shown, "0-2", stimuli, "train-0000000000")
    with pytest.raises(UserError, match="are not those of batch"):
        decode.listed(shown, "0-7", stimuli, BATCH)


def test_a_movie_by_itself_says_nothing_of_batches(stimuli: Path, tmp_path: Path) -> None:
    one_by_one(stimuli, tmp_path)
    _, meta = arrays.load(tmp_path / "a" / "frames.npy", kind="frames")
    assert set(meta) == {"kind", "shape", "dtype", "frame_rate", "source"}
    assert list(tables.read(tmp_path / "a" / "shots.tsv", "shots")) == ["shot", "onset", "duration"]


@pytest.mark.parametrize("together", [True, False])
def test_one_table_annotates_the_movies_that_it_names(
    together: bool, stimuli: Path, shown: Path, tmp_path: Path
) -> None:
    """By their paths; table and folder say so whether movies are in a batch or not."""
    table = ["--annotation-table", str(stimuli.parent / "all.tsv")]
    if together:
        folders = [str(in_batch(stimuli, shown, tmp_path, *table))]
    else:
        folders = one_by_one(stimuli, tmp_path, *table, "--stimuli", str(stimuli))
    shots = pd.concat(tables.read(Path(folder) / "shots.tsv", "shots") for folder in folders)
    assert len(shots[shots["shot"].str.startswith("a-")]) == 3
    with pytest.raises(UserError, match="c: no annotations and no captioning model"):
        cut(folders, tmp_path / "c.parquet", *table)
    every = pd.read_csv(stimuli.parent / "all.tsv", sep="\t")
    more = pd.read_csv(stimuli / "c.tsv", sep="\t").assign(movie="c")
    pd.concat([every, more]).to_csv(tmp_path / "all.tsv", sep="\t", index=False)
    table = ["--annotation-table", str(tmp_path / "all.tsv")]
    if together:
        in_batch(stimuli, shown, tmp_path, *table)
    else:
        one_by_one(stimuli, tmp_path, *table, "--stimuli", str(stimuli))
    found = cut(folders, tmp_path / "c.parquet", *table)
    assert found["caption"].tolist() == [
        f"{name} number {k}" for name in "abc" for k in range(MOVIES[name])
    ]
    assert json.loads(found["attributes"][0]) == {"object": "a"}, "the column movie is no attribute"


def test_a_table_of_anothers_name_stays_with_its_movie(stimuli: Path, tmp_path: Path) -> None:
    """Results name the one movie a, the other f_a; both tables are called a.tsv."""
    other = tmp_path / "f"
    other.mkdir()
    for suffix in ("mp4", "tsv"):
        (other / f"a.{suffix}").write_bytes((stimuli / f"b.{suffix}").read_bytes())
    folders = []
    for name, path in (("a", stimuli / "a.mp4"), ("f_a", other / "a.mp4")):
        folders.append(str(tmp_path / "out" / name))
        decode.main(["--movie", str(path), "--output", folders[-1], "--config", CFG])
    annotations = ["--annotations", str(stimuli / "a.tsv"), str(other / "a.tsv")]
    found = cut(folders, tmp_path / "clips.parquet", *annotations).set_index("clip")
    assert found.loc["a-0000", "caption"] == "a number 0"
    assert found.loc["f_a-0000", "caption"] == "b number 0"
    assert not set(found.loc[found["movie"] == "a", "shot"]) & set(
        found.loc[found["movie"] == "f_a", "shot"]
    )
