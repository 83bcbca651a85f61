"""Regression, identification, alignment and the fit of the response's peak, each against the plain way."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from boldreel.stats import shifts
from boldreel.windows import alignment, response, ridge


@pytest.fixture
def data() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(responses, features, groups): 60 rows, features a linear map of responses plus noise."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((60, 200)).astype(np.float32) + 1
    y = x @ rng.standard_normal((200, 5)) / 14 + rng.standard_normal((60, 5)) + 3
    return x, y, np.repeat(["a", "b", "c", "d"], 15)


def test_predict_is_ridge_regression(data: tuple) -> None:
    x, y, groups = data
    fit, held = np.arange(45), np.arange(45, 60)
    found = ridge.predict(ridge.gram(x), y, fit, held, groups, np.array([0.5]))
    scale = ((x[fit] - x[fit].mean(0)) ** 2).sum(axis=1).mean()
    plain = Ridge(alpha=0.5 * scale).fit(x[fit], y[fit]).predict(x[held])
    np.testing.assert_allclose(found, plain, atol=1e-3)


def test_penalty_is_chosen_on_other_segments(data: tuple) -> None:
    x, y, groups = data
    fit, held = np.arange(45), np.arange(45, 60)
    alphas = np.logspace(-3, 3, 7)
    noise = np.random.default_rng(1).standard_normal(y.shape)
    shrunk = ridge.predict(ridge.gram(x), noise, fit, held, groups, alphas)
    free = ridge.predict(ridge.gram(x), noise, fit, held, groups, alphas[:1])
    assert shrunk.std(axis=0).mean() < 0.5 * free.std(axis=0).mean()
    single = ridge.predict(ridge.gram(x), y, fit, held, np.repeat("a", 60), alphas)
    assert np.isfinite(single).all()


def test_no_responses_predict_the_mean(data: tuple) -> None:
    _, y, groups = data
    found = ridge.predict(np.zeros((60, 60)), y, np.arange(45), np.arange(45, 60), groups, [1.0])
    np.testing.assert_allclose(found, np.tile(y[:45].mean(0), (15, 1)))


def test_two_way_against_a_loop() -> None:
    rng = np.random.default_rng(2)
    alike = np.round(rng.standard_normal((12, 12)), 1)
    shots, target = np.repeat(np.arange(6), 2), rng.permutation(12)
    wins = [
        (alike[i, target[i]] > alike[i, j]) + 0.5 * (alike[i, target[i]] == alike[i, j])
        for i in range(12)
        for j in range(12)
        if shots[j] != shots[target[i]]
    ]
    assert ridge.two_way(alike, target, shots) == pytest.approx(np.mean(wins))
    assert ridge.two_way(np.eye(12), np.arange(12), shots) == 1.0


def shifts_of(groups: np.ndarray, apart: int, draws: int, seed: int) -> np.ndarray:
    members = [np.flatnonzero(groups == name) for name in np.unique(groups)]
    by = [shifts.spaced(len(rows), apart) for rows in members]
    return shifts.orders(members, by, draws, np.random.default_rng(seed))


def test_alignment_against_a_loop_and_its_null() -> None:
    rng = np.random.default_rng(4)
    groups = np.repeat([0, 1, 2], 20)
    y = rng.standard_normal((60, 8))
    noise = rng.standard_normal((60, 300))
    signal = y @ rng.standard_normal((8, 300))
    kernels = [ridge.gram(noise), ridge.gram(noise + 0.2 * signal)]
    found = alignment.alignment(kernels, y, groups)
    pairs = [(i, j) for i in range(60) for j in range(i) if groups[i] != groups[j]]
    g = np.array([kernels[1][i, j] for i, j in pairs])
    f = np.array([y[i] @ y[j] for i, j in pairs])
    plain = (g @ f) / np.sqrt((g**2).mean()) / np.linalg.norm(f)
    assert found[1] == pytest.approx(plain, rel=1e-4)
    assert abs(found[0]) < 4 < found[1]
    orders = shifts_of(groups, 4, 99, seed=0)
    assert alignment.permutation_p(kernels, y, groups, orders).p == pytest.approx(0.01)
    assert alignment.permutation_p(kernels[:1], y, groups, orders).p > 0.02
    none = alignment.permutation_p(kernels, y, groups, orders[:0])
    assert np.isnan(none.p) and none.arrangements == 0 and "circular shift" in none.reason


@pytest.mark.parametrize("duration", [0.5, 2.0, 6.0])
@pytest.mark.parametrize("delay", [-1.5, 0.0, 2.0])
def test_peak_of_a_known_response(duration: float, delay: float) -> None:
    lags = np.arange(0, 14, 2.0) + 0.7
    clean = response.clip_response(lags - delay, duration) ** 2
    peak = response.peak_time(duration) + delay
    found = response.estimate_peak(lags, clean + 0.02, duration, latest=13.0)
    assert abs(found - peak) < 0.3


def test_resemblance_of_shots_is_taken_out() -> None:
    """Clips that share features with the next ones score early too; the estimate does not move."""
    alike = np.array([1.0, 0.6, 0.3, 0.1])
    lags = np.arange(0, 14, 2.0) + 1
    steps = 2.0 * np.arange(-3, 4)
    weights = np.concatenate([alike[:0:-1], alike])
    blurred = (response.clip_response(lags[:, None] - steps, 2.0) * weights).sum(axis=1) ** 2
    assert abs(response.estimate_peak(lags, blurred, 2.0, alike) - response.peak_time(2.0)) < 0.15


def test_resemblance() -> None:
    rng = np.random.default_rng(5)
    y = np.repeat(rng.standard_normal((300, 20)), 2, axis=0)
    y -= y.mean(axis=0)
    movies, index = np.repeat(["a", "b"], 300), np.tile(np.arange(300), 2)
    np.testing.assert_allclose(response.resemblance(y, movies, index, 3), [1, 0.5, 0, 0], atol=0.06)


def test_shape_of_the_response() -> None:
    assert response.double_gamma(np.array([-1.0, 0.0])).tolist() == [0, 0]
    assert response.peak_time(0.1) == pytest.approx(5.05, abs=0.06)
    assert response.peak_time(2.0) == pytest.approx(6.06, abs=0.06)
    assert response.clip_response(np.array([response.peak_time(2.0)]), 2.0)[0] == pytest.approx(
        1, abs=1e-3
    )


def test_responses_alike_in_all_clips_align_with_nothing() -> None:
    """Each order of the features then gives the same sum but for rounding, which must not decide p."""
    groups = np.repeat([0, 1, 2], 20)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        y = rng.standard_normal((60, 8))
        orders = shifts_of(groups, 2, 99, seed)
        found = alignment.permutation_p([np.full((60, 60), 3.0)], y - y.mean(0), groups, orders)
        assert found.p == 1
