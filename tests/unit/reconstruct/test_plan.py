"""Which clips a shard holds, and which follow each other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boldreel.data import tables
from boldreel.errors import UserError
from boldreel.reconstruct import plan

CLIPS = [f"test01-{i:04d}" for i in range(6)]


@given(count=st.integers(1, 30), jobs=st.integers(1, 8))
def test_shards_are_a_partition(count: int, jobs: int) -> None:
    clips = [f"test01-{i:04d}" for i in range(count)]
    whole = plan.alone(clips[::-1])
    if jobs > count:
        with pytest.raises(UserError, match="take fewer"):
            plan.part(whole, 0, jobs)
        return
    parts = [plan.part(whole, k, jobs) for k in range(jobs)]
    assert sorted(clip for part in parts for chain in part for clip in chain) == clips
    assert [clip for chain in parts[0] for clip in chain] == clips[::jobs]


def test_shards_count_from_zero() -> None:
    with pytest.raises(UserError, match="count from 0"):
        plan.part(plan.alone(CLIPS), 3, 3)


def test_chains_break_where_a_clip_lacks_and_where_a_movie_ends(dataset) -> None:  # type: ignore[no-untyped-def]
    asked = [clip for clip in CLIPS if clip != "test01-0002"][::-1] + ["train01-0000"]
    assert plan.chains(dataset.clips, asked) == [
        CLIPS[:2],
        CLIPS[3:],
        ["train01-0000"],
    ]


def test_chains_break_where_time_does(dataset) -> None:  # type: ignore[no-untyped-def]
    table = tables.read(dataset.clips, "clips")
    table.loc[table["clip"] == "test01-0004", "start"] += 0.5
    tables.write(dataset.clips, table, "clips")
    assert plan.chains(dataset.clips, CLIPS) == [CLIPS[:4], CLIPS[4:5], CLIPS[5:]]
