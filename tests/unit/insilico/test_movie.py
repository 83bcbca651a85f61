from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from tests.fixtures_settings import settings, words

from boldreel.data import video
from boldreel.errors import UserError
from boldreel.insilico import movie, world

FULL = settings("insilico", train_movies=6, test_movies=2, volumes=120, t_r=2.0)


@pytest.fixture(scope="module")
def plan():
    return movie.plan(FULL, 11)


def scenes(plan, split):
    return [shot.scene for name, shots in plan.items() if name.startswith(split) for shot in shots]


def test_training_never_shows_a_held_out_pair(plan):
    assert not any((s.object, s.colour) in world.HELD_OUT for s in scenes(plan, "train"))


def test_a_fifth_of_test_shots_is_held_out(plan):
    test = scenes(plan, "test")
    share = np.mean([(s.object, s.colour) in world.HELD_OUT for s in test])
    assert share == pytest.approx(1 / 5, abs=0.03)


def test_no_test_scene_occurs_in_training_or_twice(plan):
    test, train = scenes(plan, "test"), scenes(plan, "train")
    assert not set(test) & set(train)
    assert len(set(test)) == len(test)


def test_labels_are_balanced(plan):
    train = scenes(plan, "train")
    for label, values in (("background", 6), ("motion", 4), ("size", 2), ("object", 6)):
        counts = Counter(getattr(scene, label) for scene in train)
        assert len(counts) == values
        assert max(counts.values()) - min(counts.values()) <= 0.35 * len(train) / values


def test_shots_fill_the_run_without_gap(plan):
    for shots in plan.values():
        ends = [shot.onset + shot.duration for shot in shots]
        assert ends[-1] == 240.0
        assert [shot.onset for shot in shots] == [0.0, *ends[:-1]]
        assert {shot.duration for shot in shots[:-1]} == {2.0, 4.0, 6.0, 8.0}


def test_more_training_movies_leave_the_test_movies_as_they_are(plan):
    more = movie.plan(replace(FULL, train_movies=9), 11)
    assert more["test01"] == plan["test01"]
    assert movie.plan(FULL, 12)["test01"] != plan["test01"]


def test_too_many_movies_are_refused(monkeypatch):
    monkeypatch.setattr(world, "BACKGROUNDS", ("grass",))
    monkeypatch.setattr(world, "MOTIONS", ("up",))
    with pytest.raises(UserError, match="more shots than the world has"):
        movie.plan(replace(FULL, test_movies=3), 1)


def test_movie_and_annotations_on_disk(tmp_path):
    cfg = {"train_movies": 1, "test_movies": 1, "volumes": 10, "t_r": 1.5, "seed": 3}
    config = words("insilico", **cfg)
    paths = [tmp_path / name / "train01.mp4" for name in ("a", "b")]
    for path in paths:
        movie.main(["--segment", "train01", "--output", str(path), "--config", config])
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert video.probe(paths[0])["duration"] == pytest.approx(15.0, abs=1e-3)
    table = pd.read_csv(paths[0].with_suffix(".tsv"), sep="\t")
    assert table["onset"].iloc[-1] + table["duration"].iloc[-1] == 15.0
    assert [world.Scene.from_caption(text).object for text in table["caption"]] == list(
        table["object"]
    )
    drawn = np.stack(list(movie.frames(movie.plan(settings("insilico", **cfg), 3)["train01"], 3)))
    shown = video.read_frames(paths[0], movie.FRAME_RATE)
    assert shown.shape == drawn.shape == (180, 64, 64, 3)
    error = np.mean((shown.astype(float) - drawn) ** 2)
    assert 10 * np.log10(255**2 / error) > 30
