"""Trials of clips that come back in other segments, and of runs that show several splits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from boldreel.align import data, linear
from boldreel.data import tables
from boldreel.data.features import ClipFeatures
from boldreel.errors import UserError

# Three runs of a segment each; c1 and c3 come back, in another order.
SHOWN = {"r1": ["c0", "c1", "c2", "c3"], "r2": ["c4", "c3", "c5", "c1"], "r3": ["c6", "c7", "c8"]}


def features(names: list[str]) -> ClipFeatures:
    values = np.eye(len(names), 4, dtype=np.float32)
    empty = np.zeros((len(names), 1, 2), np.float32)
    return ClipFeatures(
        clips=names,
        captions=names,
        shots=names,
        image=values,
        text=values,
        condition=empty,
        motion=np.zeros((len(names), 1), np.float32),
        attributes=[{} for _ in names],
    )


def trials() -> data.Trials:
    rows = [(segment, clip, k) for segment, clips in SHOWN.items() for k, clip in enumerate(clips)]
    names = list(dict.fromkeys(clip for _, clip, _ in rows))
    return data.Trials(
        x=np.arange(len(rows), dtype=np.float32)[:, None, None],
        clip=np.array([names.index(clip) for _, clip, _ in rows]),
        segment=np.array([segment for segment, _, _ in rows]),
        features=features(names),
        repeat=np.ones(len(rows), int),
        onset=np.array([3.0 * k for _, _, k in rows]),
        run=np.array([segment for segment, _, _ in rows]),
        times=np.array([[3.0 * k + 4] for _, _, k in rows]),
        duration=np.full(len(names), 3.0),
    )


def test_no_clip_is_in_two_folds() -> None:
    """Penalties are chosen on clips that the fit has not seen, whatever runs repeat them."""
    made = trials()
    assert linear.folds(made).tolist() == ["r1"] * 4 + ["r2", "r1", "r2", "r1"] + ["r3"] * 3
    # of another subject who saw the same clips in other segments too
    other = made.take(np.ones(len(made.clip), bool))
    other = data.Trials(
        other.x,
        other.clip,
        np.char.replace(other.segment, "r", "q"),
        other.features,
        other.repeat,
        other.onset,
        other.run,
        other.times,
        other.duration,
    )
    both = data.pooled([made, other], [np.array([True])] * 2)
    found = linear.folds(both)
    assert found[: len(made.clip)].tolist() == found[len(made.clip) :].tolist()


def test_repeats_are_averaged_by_clip() -> None:
    made = trials()
    row = made.features.clips.index("c3")
    assert made.averaged()[row].item() == (3 + 5) / 2 and made.segments[row] == "r1"
    assert made.onsets[row] == 9.0


def test_showings_are_averaged_where_the_same_clips_came_before() -> None:
    """Only repeats of a segment are one row; c1 and c3 come back behind other clips."""
    made = trials()
    again = replace(made, x=made.x + 100, run=np.char.add(made.run, "-again"))
    both = replace(
        again,
        **{
            name: np.concatenate([getattr(one, name) for one in (made, again)])
            for name in ("x", "clip", "segment", "repeat", "onset", "run", "times")
        },
    )
    found = both.by_context()
    assert len(found.clip) == len(made.clip) and found.clip.tolist() == sorted(made.clip)
    for x, run, onset in zip(found.x[:, 0, 0], found.run, found.onset, strict=True):
        (row,) = np.flatnonzero((made.run == run) & (made.onset == onset))
        assert x == made.x[row, 0, 0] + 50
    by_clip = both.by_clip()
    assert by_clip.clip.tolist() == list(range(9))
    np.testing.assert_array_equal(by_clip.x, both.averaged())
    np.testing.assert_array_equal(by_clip.onset, both.onsets)


def test_a_clip_twice_in_a_run_is_two_rows() -> None:
    made = trials()
    twice = replace(made, clip=np.where(made.onset == 6, made.clip[0], made.clip))
    found = twice.by_context()
    rows = found.clip == made.clip[0]
    assert list(zip(found.run[rows], found.onset[rows], strict=True)) == [
        ("r1", 0.0),
        ("r1", 6.0),
        ("r2", 6.0),
        ("r3", 6.0),
    ]


def test_validation_alternates_with_training_within_runs(tmp_path: Path) -> None:
    table = pd.DataFrame(
        [
            {"clip": clip, "segment": segment, "run": segment, "repeat": 1, "onset": 3.0 * k}
            | {"first_volume": k, "window": 1, "lag": 5.0, "shot": clip}
            | {"split": "validation" if clip in ("c1", "c6") else "train"}
            for segment, clips in SHOWN.items()
            for k, clip in enumerate(clips)
        ]
    )
    tables.write(tmp_path / "windows.parquet", table, "windows")
    held_out = data.validation_clips(tmp_path / "windows.parquet")
    assert held_out == {"c1", "c6"}
    training, validation = data.training_and_validation(trials(), held_out)
    assert set(validation.features.clips) == held_out and len(validation.clip) == 3
    assert not held_out & set(training.features.clips) and len(training.clip) == 8


def test_without_validation_the_clips_of_the_last_segment_are_held_out() -> None:
    training, validation = data.training_and_validation(trials(), set())
    assert set(validation.features.clips) == {"c6", "c7", "c8"} and len(training.clip) == 8
    with pytest.raises(UserError, match="two training segments next to the validation"):
        data.training_and_validation(trials(), {f"c{k}" for k in (1, *range(3, 9))})


def test_clips_that_every_run_shows_are_split_by_clip() -> None:
    """Three runs of the same clips: no run can be left out, but clips can."""
    rows = [(f"r{run}", f"c{k}") for run in range(3) for k in range(8)]
    names = [f"c{k}" for k in range(8)]
    made = data.Trials(
        x=np.zeros((24, 1, 1), np.float32),
        clip=np.array([names.index(clip) for _, clip in rows]),
        segment=np.array([segment for segment, _ in rows]),
        features=features(names),
        repeat=np.ones(24, int),
        onset=np.tile(3.0 * np.arange(8), 3),
        run=np.array([segment for segment, _ in rows]),
        times=np.tile(3.0 * np.arange(8) + 4, 3)[:, None],
        duration=np.full(8, 3.0),
    )
    training, validation = data.training_and_validation(made, {"c6", "c7"})
    assert set(validation.features.clips) == {"c6", "c7"} and len(training.clip) == 18
    found = linear.folds(training)
    assert len(set(found)) > 1
    assert all(len(set(found[training.clip == clip])) == 1 for clip in set(training.clip))


def test_a_guard_keeps_a_lone_segments_quarters_apart() -> None:
    """A film of one run: what is left out takes 20 s on each side with it; whole segments need no guard."""
    names = [f"c{k:02d}" for k in range(80)]
    film = data.Trials(
        x=np.zeros((80, 1, 1), np.float32),
        clip=np.arange(80),
        segment=np.array(["s"] * 80),
        features=features(names),
        repeat=np.ones(80, int),
        onset=3.0 * np.arange(80),
        run=np.array(["s"] * 80),
        times=3.0 * np.arange(80)[:, None],
        duration=np.full(80, 3.0),
    )
    quarters = linear.folds(film)
    out = linear.with_guard(film, quarters == 1)
    assert np.flatnonzero(out).tolist() == list(range(14, 46))
    assert linear.split(trials())[-1][1].sum() == 3
