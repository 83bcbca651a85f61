"""Intervals cover, p-values are uniform under the null, and corrections are Holm's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boldreel.stats import bootstrap, permutation, shifts
from boldreel.stats.correction import holm


@settings(max_examples=100)
@given(clips=st.integers(1, 300), apart=st.integers(1, 40), most=st.integers(1, 60))
def test_shifts_keep_their_distance(clips, apart, most):
    by = shifts.spaced(clips, apart, most)
    assert by[0] == 0 and len(by) <= most
    ring = np.append(by, clips)
    if len(by) > 1:
        assert np.diff(ring).min() >= apart


def test_shifted_pairs_every_truth_once():
    i, j = shifts.shifted(10, np.array([0, 5]))
    assert (i[0] == j[0]).all() and (i[1] == (j[1] + 5) % 10).all()
    assert sorted(i[1]) == list(range(10))


def test_longest_run_of_a_shot():
    assert shifts.longest(["a", "a", "b", "a", "a", "a"]) == 3
    assert shifts.longest([]) == 0


def autocorrelated(rng: np.random.Generator, clips: int, length: int) -> np.ndarray:
    """A series that is constant inside shots of `length`, and somewhat alike in neighbours."""
    steps = rng.normal(size=-(-clips // length))
    return np.repeat(steps + 0.7 * np.roll(steps, 1), length)[:clips]


def null_p(rng: np.random.Generator, draws: int) -> float:
    """p of a product statistic of two independent autocorrelated series in two runs."""
    values = []
    for clips in (60, 48):
        x, y = autocorrelated(rng, clips, 4), autocorrelated(rng, clips, 4)
        i, j = shifts.shifted(clips, shifts.spaced(clips, 4))
        values.append(x[i] * y[j])
    return permutation.permutation(values, draws, rng).p


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
    values = [np.array([10.0, *rng.normal(size=29)])[:, None] for _ in range(2)]
    found = permutation.permutation(values, 2000, rng)
    assert (found.p, found.arrangements) == (pytest.approx(1 / 900), 899)
    found = permutation.permutation(values, 200, rng)
    assert found.arrangements == 200 and 1 / 201 <= found.p < 0.05


def test_p_of_equal_arrangements_is_one_and_of_none_is_missing():
    rng = np.random.default_rng(6)
    equal = permutation.permutation([np.full((20, 3), 0.1 + 0.2)], 50, rng)
    assert equal == permutation.Permutation(1.0, 1.0, 1.0, 19)
    assert np.isnan(permutation.permutation([np.ones((1, 4))], 50, rng).p)
    assert np.isnan(permutation.permutation([], 50, rng).p)


def test_what_rounding_alone_tells_apart_is_a_tie():
    """A few units in the last place of float32, in either direction, leave p at 1; a real step does not."""
    rng = np.random.default_rng(7)
    truth = rng.uniform(0.1, 0.4, 30)
    rounding = 1 + rng.normal(0, 1e-7, (25, 30))
    assert permutation.permutation([truth * rounding], 50, rng).p == 1
    cancelling = np.where(np.arange(30) % 2, truth, -truth) * rounding
    assert permutation.permutation([cancelling], 50, rng).p == 1
    better = truth * rounding
    better[0] *= 1.001
    assert permutation.permutation([better], 50, rng).p == 1 / 25


def test_the_margin_tells_a_close_call_from_a_clear_one():
    others = np.linspace(-1, 1, 399)
    clear, close = (permutation.among(x, others, 1.0) for x in (5.0, 0.95))
    assert clear.p_low == clear.p == clear.p_high == 1 / 400
    assert close.p_low == 1 / 400 < close.p == pytest.approx(11 / 400)
    step = permutation.MARGIN * others.std()
    assert close.p_high == (1 + (others >= 0.95 - step).sum()) / 400


def test_equal_values_by_two_ways_do_not_differ():
    values = np.array([0.3, 2e4, -1.0, 0.0, np.nan])
    np.testing.assert_array_equal(
        permutation.apart(values * (1 + 1e-7), values), [0, 0, 0, 0, np.nan]
    )
    assert permutation.apart(np.array([0.3001]), np.array([0.3]))[0] == pytest.approx(1e-4)


def test_interval_over_shots_covers():
    rng = np.random.default_rng(7)
    hits = wide = narrow = 0
    for _ in range(150):
        lengths = rng.integers(1, 5, 50)
        shots = np.repeat(np.arange(50), lengths)
        effect = rng.normal(0.3, 1, 50)
        values = effect[shots] + rng.normal(0, 0.3, len(shots))
        one = np.zeros(len(shots))
        low, high = bootstrap.interval(values, bootstrap.resample(shots, one, 200, rng))
        hits += low <= 0.3 <= high
        wide += high - low
        alone = np.arange(len(shots))
        low, high = bootstrap.interval(values, bootstrap.resample(alone, one, 200, rng))
        narrow += high - low
    assert 0.87 <= hits / 150 <= 0.99
    assert wide > 1.2 * narrow  # clips as independent would give too narrow an interval


def test_interval_of_a_ratio_and_of_too_few_shots():
    rng = np.random.default_rng(8)
    shots = np.repeat(np.arange(20), 2)
    bottom = rng.uniform(1, 3, 40)
    drawn = bootstrap.resample(shots, np.zeros(40), 200, rng)
    low, high = bootstrap.interval(2 * bottom, drawn, bottom)
    assert low == pytest.approx(2) and high == pytest.approx(2)
    few = np.where(shots < 9, 1.0, np.nan)
    assert np.isnan(bootstrap.interval(few, drawn)[0])


@pytest.mark.parametrize(
    ("runs", "each", "told"),
    [(1, 60, True), (1, 10, True), (3, 6, True), (1, 8, False), (15, 2, False), (30, 1, False)],
)
def test_an_interval_covers_or_is_not_given(runs, each, told):
    """Resampling within runs sees (m - 1) / m of the variance of m shots, and nothing of a single one."""
    rng = np.random.default_rng(11)
    of, shots = np.repeat(np.arange(runs), each), np.arange(runs * each)
    drawn = bootstrap.resample(shots, of, 1000, rng)
    found = np.array([bootstrap.interval(rng.normal(size=runs * each), drawn) for _ in range(400)])
    if told:
        assert 0.86 <= np.mean((found[:, 0] <= 0) & (found[:, 1] >= 0)) <= 0.98
    else:
        assert np.isnan(found).all()


def test_runs_that_are_drawn_too_must_be_five():
    rng = np.random.default_rng(12)
    for runs, told in ((4, False), (30, True)):
        of = np.repeat(np.arange(runs), 60 // runs)
        shots = np.arange(len(of)) // (1 if runs < 5 else 2)
        drawn = bootstrap.resample(shots, of, 300, rng, runs=True)
        low, high = bootstrap.interval(rng.normal(size=len(of)), drawn)
        assert (high > low) if told else np.isnan(low)


def test_bootstrap_keeps_each_run_whole():
    shots = np.array(["a", "a", "b", "c", "d", "d"])
    runs = np.array([1, 1, 1, 2, 2, 2])
    drawn = bootstrap.resample(shots, runs, 50, np.random.default_rng(9))
    assert drawn.weights.shape == (50, 4)
    first = np.unique(drawn.member[runs == 1])
    assert (drawn.weights[:, first].sum(axis=1) == 2).all()


def test_holm():
    found = holm(np.array([0.01, 0.04, np.nan, 0.03]))
    np.testing.assert_allclose(found, [0.03, 0.06, np.nan, 0.06])


def test_thinned_pairings_keep_the_right_one_and_their_spacing():
    assert shifts.thinned(200, 40).tolist() == list(range(0, 200, 5))
    assert shifts.thinned(3, 40).tolist() == [0, 1, 2]
    assert shifts.thinned(7, 1).tolist() == [0]


def test_paired_p_is_the_share_of_all_signings():
    """Against a naive count over all signings, the identity among them."""
    import itertools

    rng = np.random.default_rng(8)
    sums = rng.normal(0.4, 1, 7)
    signs = permutation.random_signs(7, 5000, rng)
    assert len(np.unique(signs, axis=0)) == 2**7 - 1
    naive = [
        abs(np.dot(s, sums)) >= abs(sums.sum()) - 1e-12
        for s in itertools.product((1, -1), repeat=7)
    ]
    assert permutation.paired_p(sums, signs) == pytest.approx(np.mean(naive))
    assert np.isnan(permutation.paired_p(sums[:1], signs[:, :1]))


def test_paired_p_is_uniform_under_the_null_and_finds_a_difference():
    from scipy.stats import kstest

    rng = np.random.default_rng(9)
    signs = permutation.random_signs(40, 499, rng)
    assert signs.shape == (499, 40)
    found = [
        permutation.paired_p(rng.normal(0, rng.uniform(0.5, 3, 40)), signs) for _ in range(400)
    ]
    assert min(found) > 0 and kstest(found, "uniform").pvalue > 0.01
    assert permutation.paired_p(rng.normal(0.8, 1, 40), signs) == 1 / 500


def test_intervals_over_runs_are_those_of_run_means():
    """Where shots of a run are all alike, only drawing runs moves the mean."""
    rng = np.random.default_rng(10)
    runs = np.repeat(np.arange(8), 12)
    shots = np.arange(96) // 2
    level = rng.normal(size=8)
    values = level[runs]
    spread = {}
    for both in (False, True):
        drawn = bootstrap.resample(shots, runs, 4000, rng, both)
        low, high = bootstrap.interval(values, drawn)
        spread[both] = high - low
        assert drawn.weights.sum(axis=1).min() == drawn.weights.sum(axis=1).max() == 48
    assert spread[False] == pytest.approx(0, abs=1e-6)
    naive = level[rng.integers(8, size=(4000, 8))].mean(axis=1)
    low, high = np.quantile(naive, [0.025, 0.975])
    assert spread[True] == pytest.approx(high - low, rel=0.08)
