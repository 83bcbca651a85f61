"""Every repeat counts once, whatever number of them is averaged."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boldreel.data.responses import Responses
from boldreel.probe import averages


def _trials(clips: int, shown: int, seed: int) -> Responses:
    """Trials in random order, whose value is 100 times the clip's number plus the repeat's."""
    order = np.random.default_rng(seed).permutation(clips * shown)
    clip, repeat = np.divmod(order, shown)
    return Responses(
        x=(100.0 * clip + repeat).astype(np.float32)[:, None, None],
        clips=[f"c{k:02d}" for k in clip],
        repeats=repeat,
        shots=[f"s{k:02d}" for k in clip],
        segments=["test"] * len(order),
        onsets=2.0 * clip,
        runs=["run"] * len(order),
        times=2.0 * clip[:, None],
    )


@given(st.integers(1, 5), st.integers(1, 12), st.integers(1, 12), st.integers(0, 9))
def test_sets_of_repeats_are_disjoint_and_in_order(
    clips: int, shown: int, n: int, seed: int
) -> None:
    names, rows = averages.rows_by_clip(_trials(clips, shown, seed))
    assert names == [f"c{k:02d}" for k in range(clips)]
    parts = averages.averages(_trials(clips, shown, seed).x, rows, n)
    assert len(parts) == shown // n
    for k, part in enumerate(parts):
        expected = 100 * np.arange(clips) + np.arange(k * n, (k + 1) * n).mean()
        np.testing.assert_allclose(part[:, 0, 0], expected)


@pytest.mark.parametrize(
    ("shown", "expected"), [(1, [1]), (2, [1, 2]), (6, [1, 2, 5, 6]), (10, [1, 2, 5, 10])]
)
def test_the_last_number_is_all_repeats(shown: int, expected: list[int]) -> None:
    _, rows = averages.rows_by_clip(_trials(2, shown, 0))
    assert averages.counts(rows) == expected


def test_a_clip_with_fewer_repeats_bounds_all() -> None:
    rows = [np.arange(10), np.arange(10, 13)]
    assert averages.counts(rows) == [1, 2, 3]
    assert [len(part) for part in averages.averages(np.zeros((13, 1, 1)), rows, 2)] == [2]
