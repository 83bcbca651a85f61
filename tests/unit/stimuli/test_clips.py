"""From a movie and its annotations to frames, shots and clips, through the steps themselves."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.fixtures_settings import words

from boldreel.data import arrays, tables, video
from boldreel.errors import UserError
from boldreel.stimuli import annotation_table, captions, clips, decode

CFG = words("stimuli", frame_rate=3.0, size=32, clip_duration=2.0)
DETECT = words("stimuli", frame_rate=3.0, size=32, shots="detect")


@pytest.fixture(scope="module")
def stimuli(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A movie of 12.5 s at 6 frames per second: shots of 3, 5 and 4.5 s, with annotations."""
    folder = tmp_path_factory.mktemp("bids")
    rng = np.random.default_rng(3)
    stills = rng.integers(0, 256, (3, 4, 4, 3)).repeat(12, 1).repeat(12, 2).astype(np.uint8)
    frames = np.concatenate(
        [np.repeat(still[None], n, 0) for still, n in zip(stills, (18, 30, 27), strict=True)]
    )
    video.write_mp4(folder / "m1.mp4", frames, 6)
    table = pd.DataFrame(
        {
            "onset": [0.0, 3.0, 8.0],
            "duration": [3.0, 5.0, 4.5],
            "shot": ["x", "y", "z"],
            "caption": ["a red ball", "a blue cup", "a blue cup"],
            "object": ["ball", "cup", None],
            "age": [1, 2, 3],
        }
    )
    table.to_csv(folder / "m1.tsv", sep="\t", index=False, na_rep="n/a")
    return folder


def run(stimuli: Path, out: Path, cfg: str = CFG) -> pd.DataFrame:
    decode.main(["--movie", str(stimuli / "m1.mp4"), "--output", str(out / "m1"), "--config", cfg])
    clips.main(
        ["--stimuli", str(out / "m1"), "--annotations", str(stimuli / "m1.tsv")]
        + ["--output", str(out / "clips.parquet"), "--config", cfg]
    )
    return tables.read(out / "clips.parquet", "clips")


def test_steps(stimuli: Path, tmp_path: Path) -> None:
    found = run(stimuli, tmp_path)
    frames, meta = arrays.load(tmp_path / "m1" / "frames.npy", kind="frames")
    assert frames.shape == (38, 32, 32, 3) and meta["frame_rate"] == 3.0
    assert found["clip"].tolist() == [f"m1-{k:04d}" for k in range(6)]
    assert found["first_frame"].tolist() == [0, 6, 12, 18, 24, 30]
    assert set(found["n_frames"]) == {6}
    # Clip 1 (2 to 4 s) holds the cut at 3 s and belongs to what is shown at 3 s; the cut at 8 s lies
    # between clips.
    assert found["cuts"].tolist() == [0, 1, 0, 0, 0, 0]
    assert found["shot"].tolist() == [f"m1-s00{k}" for k in (0, 1, 1, 1, 2, 2)]
    assert found["caption"][1] == "a red ball Then a blue cup"
    assert found["caption"][5] == "a blue cup"
    assert json.loads(found["attributes"][0]) == {"object": "ball", "age": 1}
    assert json.loads(found["attributes"][5]) == {"age": 3}


def test_detected_shots_are_the_annotated_ones(stimuli: Path, tmp_path: Path) -> None:
    run(stimuli, tmp_path / "a")
    run(stimuli, tmp_path / "d", DETECT)
    one, other = (tables.read(tmp_path / n / "m1" / "shots.tsv", "shots") for n in ("a", "d"))
    np.testing.assert_allclose(one["onset"], other["onset"], atol=1e-6)
    np.testing.assert_allclose(one["duration"], other["duration"], atol=0.1)


def test_no_annotations_and_no_captioner(stimuli: Path, tmp_path: Path) -> None:
    run(stimuli, tmp_path)
    arguments = ["--stimuli", str(tmp_path / "m1"), "--output", str(tmp_path / "c.parquet")]
    with pytest.raises(UserError, match=r"m1: no annotations .* set models\.caption"):
        clips.main([*arguments, "--config", CFG])


def test_clip_durations(tmp_path: Path) -> None:
    shots = pd.DataFrame({"shot": ["s0", "s1"], "onset": [0.0, 4.0], "duration": [4.0, 6.0]})
    rows = clips.cut_movie("m", 30, 3.0, shots, 1.49)
    assert [row["first_frame"] for row in rows[:4]] == [0, 4, 9, 13]
    assert all(row["n_frames"] == 4 for row in rows)
    assert rows[-1]["first_frame"] + 4 <= 30
    with pytest.raises(UserError, match="shorter than one clip"):
        clips.cut_movie("m", 5, 3.0, shots, 2.0)
    with pytest.raises(UserError, match="holds no frame"):
        clips.cut_movie("m", 5, 3.0, shots, 0.1)


def test_bad_annotations(tmp_path: Path) -> None:
    path = tmp_path / "m.tsv"
    path.write_text("onset\tduration\tshot\tcaption\n0\t5\ta\tx\n3\t5\tb\ty\n")
    with pytest.raises(UserError, match=r"the row at 0\.0 s ends at 5\.0 s"):
        annotation_table.read(path)
    path.write_text("onset\tduration\tshot\tcaption\n")
    with pytest.raises(UserError, match="no rows"):
        annotation_table.read(path)
    path.write_text("onset\tduration\tshot\n0\t5\ta\n")
    with pytest.raises(UserError, match="caption"):
        annotation_table.read(path)


def test_rows_of_one_shot_are_one_shot(tmp_path: Path) -> None:
    path = tmp_path / "m.tsv"
    path.write_text("onset\tduration\tshot\tcaption\n0\t2\ta\tx\n2\t2\ta\tx\n4\t2\tb\ty\n")
    assert annotation_table.shots(annotation_table.read(path)) == [(0.0, 4.0), (4.0, 2.0)]


def test_key_frames_are_the_middle_of_each_part() -> None:
    row = {"first_frame": 6, "n_frames": 6}
    assert captions.key_frames(row, 3.0, np.array([0.0])) == [9]
    assert captions.key_frames(row, 3.0, np.array([0.0, 3.0])) == [7, 10]


def test_unknown_source_of_shots(stimuli: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"stimuli\.shots is 'guess'"):
        run(stimuli, tmp_path, words("stimuli", shots="guess"))
