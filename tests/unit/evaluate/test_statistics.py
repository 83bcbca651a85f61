"""Intervals cover, p-values are uniform under the null, and corrections are Holm's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boldreel.evaluate import statistics


@settings(max_examples=100)
@given(clips=st.integers(1, 300), apart=st.integers(1, 40), most=st.integers(1, 60))
def test_shifts_keep_their_distance(clips, apart, most):
    by = statistics.shifts(clips, apart, most)
    assert by[0] == 0 and len(by) <= most
    ring = np.append(by, clips)
    if len(by) > 1:
        assert np.diff(ring).min() >= apart


def test_shifted_pairs_every_truth_once():
    i, j = statistics.shifted(10, np.array([0, 5]))
    assert (i[0] == j[0]).all() and (i[1] == (j[1] + 5) % 10).all()
    assert sorted(i[1]) == list(range(10))


def test_longest_run_of_a_shot():
    assert statistics.longest(["a", "a", "b", "a", "a", "a"]) == 3
    assert statistics.longest([]) == 0


def autocorrelated(rng: np.random.Generator, clips: int, length: int) -> np.ndarray:
    """A series that is constant inside shots of `length`, and somewhat alike in neighbours."""
    steps = rng.normal(size=-(-clips // length))
    return np.repeat(steps + 0.7 * np.roll(steps, 1), length)[:clips]


def null_p(rng: np.random.Generator, draws: int) -> float:
    """p of a product statistic of two independent autocorrelated series in two runs."""
    sums = []
    for clips in (60, 48):
        x, y = autocorrelated(rng, clips, 4), autocorrelated(rng, clips, 4)
        i, j = statistics.shifted(clips, statistics.shifts(clips, 4))
        sums.append((x[i] * y[j]).sum(axis=1))
    return statistics.permutation_p(sums, draws, rng)[0]


@pytest.mark.parametrize("draws", [99, 5000])
def test_p_is_uniform_under_the_null(draws):
    from scipy.stats import kstest

    rng = np.random.default_rng(4)
    found = np.array([null_p(rng, draws) for _ in range(400)])
    assert found.min() > 0 and found.max() <= 1
    assert kstest(found, "uniform").pvalue > 0.01
    assert (found <= 0.05).mean() == pytest.approx(0.05, abs=0.035)


def test_p_finds_a_signal_and_says_how_many_arrangements():
    rng = np.random.default_rng(5)
    sums = [np.array([10.0, *rng.normal(size=29)]) for _ in range(2)]
    p, arrangements = statistics.permutation_p(sums, 2000, rng)
    assert (p, arrangements) == (pytest.approx(1 / 900), 899)
    p, arrangements = statistics.permutation_p(sums, 200, rng)
    assert arrangements == 200 and 1 / 201 <= p < 0.05


def test_p_of_equal_arrangements_is_one_and_of_none_is_missing():
    rng = np.random.default_rng(6)
    assert statistics.permutation_p([np.full(20, 0.1 + 0.2)], 50, rng) == (1.0, 19)
    assert np.isnan(statistics.permutation_p([np.array([1.0])], 50, rng)[0])
    assert np.isnan(statistics.permutation_p([], 50, rng)[0])


def test_interval_over_shots_covers():
    rng = np.random.default_rng(7)
    hits = wide = narrow = 0
    for _ in range(150):
        lengths = rng.integers(1, 5, 50)
        shots = np.repeat(np.arange(50), lengths)
        effect = rng.normal(0.3, 1, 50)
        values = effect[shots] + rng.normal(0, 0.3, len(shots))
        one = np.zeros(len(shots))
        weights, member = statistics.bootstrap_weights(shots, one, 200, rng)
        low, high = statistics.interval(values, weights, member)
        hits += low <= 0.3 <= high
        wide += high - low
        alone = np.arange(len(shots))
        weights, member = statistics.bootstrap_weights(alone, one, 200, rng)
        low, high = statistics.interval(values, weights, member)
        narrow += high - low
    assert 0.87 <= hits / 150 <= 0.99
    assert wide > 1.2 * narrow  # clips as independent would give too narrow an interval


def test_interval_of_a_ratio_and_of_too_few_shots():
    rng = np.random.default_rng(8)
    shots = np.repeat(np.arange(20), 2)
    bottom = rng.uniform(1, 3, 40)
    weights, member = statistics.bootstrap_weights(shots, np.zeros(40), 200, rng)
    low, high = statistics.interval(2 * bottom, weights, member, bottom)
    assert low == pytest.approx(2) and high == pytest.approx(2)
    few = np.where(shots < 2, 1.0, np.nan)
    assert np.isnan(statistics.interval(few, weights, member)[0])


def test_bootstrap_keeps_each_run_whole():
    shots = np.array(["a", "a", "b", "c", "d", "d"])
    runs = np.array([1, 1, 1, 2, 2, 2])
    weights, member = statistics.bootstrap_weights(shots, runs, 50, np.random.default_rng(9))
    assert weights.shape == (50, 4)
    first = np.unique(member[runs == 1])
    assert (weights[:, first].sum(axis=1) == 2).all()


def test_holm():
    found = statistics.holm(np.array([0.01, 0.04, np.nan, 0.03]))
    np.testing.assert_allclose(found, [0.03, 0.06, np.nan, 0.06])


def test_thinned_pairings_keep_the_right_one_and_their_spacing():
    assert statistics.thinned(200, 40).tolist() == list(range(0, 200, 5))
    assert statistics.thinned(3, 40).tolist() == [0, 1, 2]
    assert statistics.thinned(7, 1).tolist() == [0]


def test_paired_p_is_the_share_of_all_signings():
    """Against a naive count over all signings, the identity among them."""
    import itertools

    rng = np.random.default_rng(8)
    sums = rng.normal(0.4, 1, 7)
    signs = statistics.random_signs(7, 5000, rng)
    assert len(np.unique(signs, axis=0)) == 2**7 - 1
    naive = [
        abs(np.dot(s, sums)) >= abs(sums.sum()) - 1e-12
        for s in itertools.product((1, -1), repeat=7)
    ]
    assert statistics.paired_p(sums, signs) == pytest.approx(np.mean(naive))
    assert np.isnan(statistics.paired_p(sums[:1], signs[:, :1]))


def test_paired_p_is_uniform_under_the_null_and_finds_a_difference():
    from scipy.stats import kstest

    rng = np.random.default_rng(9)
    signs = statistics.random_signs(40, 499, rng)
    assert signs.shape == (499, 40)
    found = [statistics.paired_p(rng.normal(0, rng.uniform(0.5, 3, 40)), signs) for _ in range(400)]
    assert min(found) > 0 and kstest(found, "uniform").pvalue > 0.01
    assert statistics.paired_p(rng.normal(0.8, 1, 40), signs) == 1 / 500


def test_intervals_over_runs_are_those_of_run_means():
    """Where shots of a run are all alike, only drawing runs moves the mean."""
    rng = np.random.default_rng(10)
    runs = np.repeat(np.arange(8), 12)
    shots = np.arange(96) // 2
    level = rng.normal(size=8)
    values = level[runs]
    spread = {}
    for both in (False, True):
        weights, member = statistics.bootstrap_weights(shots, runs, 4000, rng, both)
        low, high = statistics.interval(values, weights, member)
        spread[both] = high - low
        assert weights.sum(axis=1).min() == weights.sum(axis=1).max() == 48
    assert spread[False] == pytest.approx(0, abs=1e-6)
    naive = level[rng.integers(8, size=(4000, 8))].mean(axis=1)
    low, high = np.quantile(naive, [0.025, 0.975])
    assert spread[True] == pytest.approx(high - low, rel=0.08)
