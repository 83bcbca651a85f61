"""The audit counts what was planted."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from boldreel.data import arrays, tables
from boldreel.windows import audit, build


def test_step(make_study: Callable, tmp_path: Path) -> None:
    study = make_study(clips=20, positions=16)
    clips = tables.read(study.clips, "clips")
    # Plant: a verbatim caption, a near one, an unseen combination, two frames from training.
    clips["caption"] = [f"words {k} of clip {k} only {k}" for k in range(len(clips))]
    test = np.flatnonzero(clips["movie"] == "test1")
    clips.loc[test[4], "caption"] = clips["caption"][0]
    clips.loc[test[5], "caption"] = clips["caption"][1] + " new"
    clips.loc[test[6], "attributes"] = json.dumps({"object": "o0", "colour": "violet"})
    tables.write(study.clips, clips, "clips")
    folders = {name: study.root / "stimuli" / name for name in ("train2", "test1")}
    for name, kind in (("frames", "frames"), ("features/image", "image_features")):
        source, _ = arrays.load(folders["train2"] / f"{name}.npy", kind=kind)
        target, _ = arrays.load(folders["test1"] / f"{name}.npy", kind=kind, mmap=False)
        target[8:10] = source[3:5]
        arrays.save(folders["test1"] / f"{name}.npy", target, kind=kind, frame_rate=1.0)
    out = study.root / "sub-01"
    out.mkdir()
    (out / "choice.json").write_text(json.dumps({"lag": 4.0, "window": 2}))
    build.main(
        ["--choice", str(out / "choice.json"), "--series", *study.series]
        + ["--presentations", study.presentations, "--clips", study.clips]
        + ["--output", str(out / "windows.parquet")]
    )
    audit.main(
        ["--clips", study.clips, "--windows", str(out / "windows.parquet")]
        + ["--stimuli", *(str(path) for path in (study.root / "stimuli").iterdir())]
        + ["--output", str(tmp_path / "audit.json")]
        + ["--config", json.dumps({"combination": ["object", "colour"]})]
    )
    report = json.loads((tmp_path / "audit.json").read_text())
    assert report["splits"]["disjoint"] and report["splits"]["shared_movies"] == []
    assert report["splits"]["test"]["segments"] == ["test1"]
    n = report["splits"]["test"]["clips"]
    assert report["captions"]["verbatim"] == 1 and report["captions"]["near"] == 2
    assert report["captions"]["verbatim_share"] == 1 / n
    assert report["frames"]["near_duplicates"] == 2
    assert report["frames"]["examples"][0] == {
        "test": "test1",
        "test_frame": 8,
        "training": "train2",
        "training_frame": 3,
    }
    pair = report["attributes"]["object+colour"]
    assert list(report["attributes"]) == ["object+colour"]
    assert "test1-0006" in pair["unseen_clips"] and "o0 violet" in pair["combinations"]
    assert pair["seen"] + pair["unseen"] == n
    assert report["cuts"]["test"]["with_cut"] == 2
    assert report["repeats"]["sub-01"] == {
        "test1": 2,
        "train1": 2,
        "train2": 2,
        "train3": 2,
        "train4": 2,
    }


def test_shared_clips_are_told() -> None:
    clips = pd.DataFrame({"clip": ["a", "b"], "movie": ["m", "n"]})
    windows = pd.DataFrame(
        {"clip": ["a", "b", "a"], "segment": ["s", "t", "t"], "shot": ["x", "y", "x"]}
        | {"split": ["train", "test", "test"]}
    )
    report = audit.split_report(windows, clips)
    assert not report["disjoint"]
    assert (report["shared_clips"], report["shared_movies"]) == (["a"], ["m"])
    assert report["shared_segments"] == []


def test_thumbnails_of_odd_sizes() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (3, 37, 9, 3), dtype=np.uint8)
    small = audit.thumbnails(frames)
    assert small.shape == (3, 16 * 9)
    np.testing.assert_allclose(np.linalg.norm(small, axis=1), 1, rtol=1e-5)
    assert np.isfinite(audit.thumbnails(np.full((1, 8, 8, 3), 7, np.uint8))).all()


def looks(rng: np.random.Generator, lengths: dict[str, int]) -> list[audit.Looks]:
    """What made-up movies look like, each in a batch of its own."""
    found = []
    for movie, count in lengths.items():
        image, pixels = (rng.normal(size=(count, 6)).astype(np.float32) for _ in range(2))
        image, pixels = (each / np.linalg.norm(each, axis=1)[:, None] for each in (image, pixels))
        found.append(audit.Looks(image, pixels, np.repeat(movie, count), np.arange(count)))
    return found


def joined(parts: list[audit.Looks]) -> audit.Looks:
    names = ("image", "pixels", "movies", "numbers")
    return audit.Looks(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def test_frames_look_alike_whether_movies_share_folders_or_not() -> None:
    rng = np.random.default_rng(0)
    test, train = looks(rng, {"t1": 30, "t2": 20}), looks(rng, {"a": 40, "b": 25, "c": 30})
    for of_test, of_train in ((test[0], train[1]), (test[1], train[2])):
        for name in ("image", "pixels"):
            getattr(of_test, name)[4:9] = getattr(of_train, name)[10:15]
    alone = audit.frame_report(test, train, 0.99, 0.99)
    together = audit.frame_report([joined(test)], [joined(train[:2]), train[2]], 0.99, 0.99)
    assert alone["near_duplicates"] == together["near_duplicates"] == 10
    assert {**alone, "examples": []} == {**together, "examples": []}
    planted = [
        {"test": movie, "test_frame": 4 + k, "training": other, "training_frame": 10 + k}
        for movie, other in (("t1", "b"), ("t2", "c"))
        for k in range(5)
    ]
    assert alone["examples"] == together["examples"] == planted


def test_movies_of_a_batch_are_found_in_it(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (9, 16, 16, 3), dtype=np.uint8)
    image = rng.normal(size=(9, 4)).astype(np.float32)
    whose = {"b": [0, 4], "a": [4, 5]}
    folder = tmp_path / "train-1"
    arrays.save(folder / "frames.npy", frames, kind="frames", frame_rate=3.0, movies=whose)
    arrays.save(folder / "features/image.npy", image, kind="image_features", movies=whose)
    table = pd.DataFrame({"movie": ["a", "b"], "batch": "train-1"})
    (found,) = audit._looks_of(table, {"train-1": folder})
    np.testing.assert_array_equal(found.image, image[[4, 5, 6, 7, 8, 0, 1, 2, 3]])
    assert found.movies.tolist() == ["a"] * 5 + ["b"] * 4
    assert found.numbers.tolist() == [0, 1, 2, 3, 4, 0, 1, 2, 3]
    (one,) = audit._looks_of(table[table["movie"] == "b"], {"train-1": folder})
    np.testing.assert_array_equal(one.pixels, audit.thumbnails(frames[:4]))


def windows_of(*rows: tuple[str, str, str, float, int], window: int = 2) -> pd.DataFrame:
    """(run, clip, split, onset, first volume) of each window."""
    names = ["run", "clip", "split", "onset", "first_volume"]
    return pd.DataFrame(rows, columns=names).assign(window=window, segment=[row[0] for row in rows])


@pytest.mark.parametrize(
    ("fitted_on", "last", "expected"),
    [
        ("per-run", "b", {"mixed_runs": 0, "shared_fit": False}),
        ("per-run", "a", {"mixed_runs": 1, "shared_fit": True}),
        ("all-runs", "b", {"mixed_runs": 0, "shared_fit": True}),
    ],
)
def test_whether_a_fit_saw_test_and_training(fitted_on, last, expected) -> None:  # type: ignore[no-untyped-def]
    table = pd.DataFrame({"split": ["train", "validation", "test"], "run": ["a", "a", last]})
    found = audit.betas_report({"01": table}, fitted_on)
    assert found == {"fitted_on": fitted_on, **expected}


def test_windows_that_overlap_are_counted() -> None:
    """Volumes 3-4, 4-5, 6-7 and 7-8 of a run, and a run of its own for the last."""
    shown = windows_of(
        ("r1", "a", "train", 0.0, 3),
        ("r1", "b", "test", 2.1, 4),
        ("r1", "c", "validation", 6.0, 6),
        ("r1", "d", "train", 8.3, 7),
        ("r2", "e", "test", 0.0, 3),
    )
    report = audit.overlap_report(shown)
    assert report == {"neighbours": round(1 / 3, 4), "test": 1, "validation": 1}
    assert audit.overlap_report(shown.assign(window=1)) == {
        **{"neighbours": 0.0, "test": 0, "validation": 0}
    }
    # of three volumes also the clip after the next one may share some
    assert audit.overlap_report(shown.assign(window=3))["test"] == 1
    assert audit.overlap_report(shown[shown["run"] == "r2"])["neighbours"] is None


def test_repeats_are_counted_by_clip_over_segments() -> None:
    """A clip of two segments was shown twice, whatever the order of their clips."""
    shown = windows_of(
        *((run, clip, "test", 2.0 * k, k) for run in ("r1", "r2") for k, clip in enumerate("abc")),
        ("r3", "d", "train", 0.0, 0),
    )
    assert audit.repeat_report(shown) == {"r1": 2, "r2": 2, "r3": 1}
