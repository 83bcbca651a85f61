"""Intervals cover, p-values are uniform under the null, and corrections are Holm's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boldreel.stats import bootstrap, means, permutation, shifts, trends
from boldreel.stats.correction import holm
from boldreel.stats.inference import Inference
from boldreel.stats.settings import InferenceSettings


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


def of_all(values: list[np.ndarray], draws: int = 50) -> permutation.Permutation:
    """The test of all clips of some runs, whose values are (shifts, clips)."""
    sizes = [value.shape[1] for value in values]
    rows = np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])
    runs = Inference(rows, np.arange(sum(sizes)), InferenceSettings(permutations=draws))
    return runs.test(values, np.ones(sum(sizes), dtype=bool))


@pytest.mark.parametrize("drift", [0.0, 2.0])
def test_p_is_uniform_under_the_null_and_where_both_series_drift(drift):
    """Two independent series of shots in two runs; a trend that both have is no decoding."""
    from scipy.stats import kstest

    rng = np.random.default_rng(4)
    sizes = (60, 48)
    rows = np.split(np.arange(108), [60])
    runs = Inference(rows, np.arange(108), InferenceSettings(permutations=99))
    found, every = [], np.ones(108, dtype=bool)
    for _ in range(300):
        values = []
        for clips in sizes:
            both = [autocorrelated(rng, clips, 4) for _ in range(2)]
            x, y = (one + drift * np.linspace(-1, 1, clips) for one in both)
            i, j = shifts.shifted(clips, shifts.spaced(clips, 4))
            values.append(x[i] * y[j])
        found.append(runs.test(values, every).p)
    assert min(found) > 0 and max(found) <= 1
    assert kstest(found, "uniform").pvalue > 0.01
    assert np.mean(np.array(found) <= 0.05) == pytest.approx(0.05, abs=0.035)


def test_sums_without_trends_are_those_of_residuals():
    """Against least squares run by run, with truths that cannot be scored and others that are not summed."""
    rng = np.random.default_rng(14)
    by, clips = shifts.spaced(30, 2), 30
    known, scored = rng.random((2, clips)) < 0.8
    values = rng.normal(size=(len(by), clips))
    square = np.full((clips, clips), np.nan)
    for k, step in enumerate(by):
        for j in np.flatnonzero(known):
            square[(j + step) % clips, j] = values[k, j]
    basis = np.vander(np.linspace(-1, 1, clips), 4)
    for table in (square.T, square):
        for line in table:
            at = np.flatnonzero(np.isfinite(line))
            line[at] -= basis[at] @ np.linalg.lstsq(basis[at], line[at])[0]
    run = trends.Detrended(by, np.arange(clips), scored, known)
    plain = [
        sum(square[(j + step) % clips, j] for j in np.flatnonzero(known & scored)) for step in by
    ]
    found = run.sums(np.where(known, values, np.nan))
    assert found[0] == pytest.approx(plain[0])
    np.testing.assert_allclose(found / run._scale, plain, atol=1e-9)
    # scaled to equal variance
    many = np.array([run.sums(rng.normal(size=values.shape)) for _ in range(3000)])
    np.testing.assert_allclose(many.std(axis=0), many[:, 0].std(), rtol=0.08)


def test_p_finds_a_signal_and_says_how_many_arrangements():
    rng = np.random.default_rng(5)
    values = [rng.normal(size=(30, 30)) for _ in range(2)]
    for value in values:
        value[0] += 5 * (1 + np.arange(30) % 2)
    found = of_all(values, 2000)
    assert (found.p, found.arrangements) == (pytest.approx(1 / 900), 899)
    found = of_all(values, 200)
    assert found.arrangements == 200 and found.p == pytest.approx(1 / 201)


def test_p_of_equal_arrangements_is_one_and_of_too_few_is_missing():
    assert of_all([np.full((20, 30), 0.1 + 0.2)]) == permutation.Permutation(1.0, 1.0, 1.0, 19)
    for few in (1, 4):
        found = of_all([np.random.default_rng(6).normal(size=(few, 30))])
        assert np.isnan(found.p) and found.reason == permutation.NO_SHIFT


def test_what_rounding_alone_tells_apart_is_a_tie():
    """A few units in the last place of float32, in either direction, leave p at 1; a real step does not."""
    rng = np.random.default_rng(7)
    truth = rng.uniform(0.1, 0.4, 30)
    rounding = 1 + rng.normal(0, 1e-7, (25, 30))
    assert of_all([truth * rounding]).p == 1
    cancelling = np.where(np.arange(30) % 2, truth, -truth) * rounding
    assert of_all([cancelling]).p == 1
    better = truth * rounding
    better[0, ::2] *= 1.01
    assert of_all([better]).p == 1 / 25


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


def test_resampled_interval_of_a_ratio_and_of_too_few_shots():
    rng = np.random.default_rng(8)
    shots = np.repeat(np.arange(20), 2)
    bottom = rng.uniform(1, 3, 40)
    drawn = bootstrap.resample(shots, np.zeros(40), 200, rng)
    low, high = bootstrap.interval(2 * bottom, drawn, bottom)
    assert low == pytest.approx(2) and high == pytest.approx(2)
    few = np.where(shots < 9, 1.0, np.nan)
    assert np.isnan(bootstrap.interval(few, drawn)[0])


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


def series(rng: np.random.Generator, runs: int, each: int, near: float, sets: int) -> np.ndarray:
    """Autoregressive runs (sets, runs * each) of variance 1 and skewed values."""
    from scipy.special import ndtr

    x = rng.normal(size=(sets, runs, each))
    for k in range(1, each):
        x[..., k] = near * x[..., k - 1] + np.sqrt(1 - near**2) * x[..., k]
    return (-np.log(ndtr(-x)) - 1).reshape(sets, -1)


@pytest.mark.parametrize(
    ("runs", "each", "near", "of_run"),
    [
        (1, 60, 0.0, 0.0),
        (1, 60, 0.9, 0.0),
        (2, 20, 0.5, 0.0),
        (3, 6, 0.5, 0.5),
        (15, 2, 0.0, 0.5),
        (30, 1, 0.0, 0.0),
    ],
)
def test_an_interval_covers_and_its_p_is_as_small_as_it_says(runs, each, near, of_run):
    """Few shots a run, autocorrelation, skewed values and runs that differ."""
    rng = np.random.default_rng(11)
    values = series(rng, runs, each, near, 600)
    values += np.repeat(of_run * rng.normal(size=(600, runs)), each, axis=1)
    run, shot = np.repeat(np.arange(runs), each), np.arange(runs * each)
    found = means.studentised(values, run, shot)
    assert found is not None
    low, high = found.interval()
    assert 0.91 <= np.mean((low <= 0) & (high >= 0)) <= 0.985
    # the interval holds what the test does not reject
    np.testing.assert_array_equal((low > 0) | (high < 0), found.p() < 0.05)


@pytest.mark.parametrize(("runs", "each"), [(1, 19), (2, 9), (3, 3), (9, 1)])
def test_too_few_shots_give_neither_interval_nor_p(runs, each):
    run, shot = np.repeat(np.arange(runs), 2 * each), np.repeat(np.arange(runs * each), 2)
    found = means.of_mean(np.random.default_rng(0).normal(size=len(run)), run, shot)
    assert np.isfinite(found.value) and np.isnan([found.ci_low, found.ci_high, found.p]).all()


def test_with_three_runs_an_interval_is_of_run_means():
    """Without skewness it is Student's, whatever the clips within a run are."""
    from scipy.stats import t, ttest_1samp

    level = np.array([-1.0, 0.0, 1.0, 2.0, 3.0])
    values = np.repeat(level, 6) + np.tile([0.3, -0.1, -0.2], 10)
    runs, shots = np.repeat(np.arange(5), 6), np.arange(30) // 2
    found = means.of_mean(values, runs, shots)
    half = t.ppf(0.975, 4) * level.std(ddof=1) / np.sqrt(5)
    assert (found.ci_low, found.ci_high) == (pytest.approx(1 - half), pytest.approx(1 + half))
    assert found.p == pytest.approx(ttest_1samp(level, 0).pvalue)
    # a ratio, and clips without a value, which count nothing
    gaps = np.where(np.arange(30) % 6 == 5, np.nan, values)
    ratio = means.of_mean(gaps * 2, runs, shots, np.full(30, 2.0))
    assert ratio.value == pytest.approx(np.nanmean(gaps))


def test_values_that_are_all_alike_have_no_interval_and_the_p_of_signs():
    runs, shots = np.zeros(60), np.arange(60) // 3
    for value, p in ((0.0, 1.0), (0.3, 2.0**-19)):
        found = means.of_mean(np.full(60, value), runs, shots)
        assert np.isnan(found.ci_low) and found.p == pytest.approx(p)
