"""Predictors of hidden patches that need no network."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from boldreel.pretrain import predictors


def test_correlation_over_hidden_positions() -> None:
    rng = np.random.default_rng(0)
    truth, guess = rng.standard_normal((2, 3, 40))
    hidden = rng.random((3, 40)) < 0.6
    got = predictors.masked_correlation(truth, guess, hidden)
    expected = [np.corrcoef(t[h], g[h])[0, 1] for t, g, h in zip(truth, guess, hidden, strict=True)]
    np.testing.assert_allclose(got, expected, atol=1e-10)
    assert predictors.masked_correlation(truth, np.full((3, 40), 2.0), hidden).tolist() == [0] * 3


def test_nearest_visible_patch() -> None:
    positions = pd.DataFrame(
        {
            "patch": np.repeat([0, 1, 2], 2),
            "x": [0, 0, 10, 10, 14, np.nan],
            "y": 0.0,
            "z": 0.0,
        }
    )
    predictor = predictors.NearestVisible(predictors.patch_centres(positions))
    x = np.array([[1.0, 3.0, 8.0, 8.0, 5.0, 0.0]])
    visible = np.array([[True, True, False, False, True, False]])
    assert predictor.predict(x, visible)[0, 2:4].tolist() == [5, 5]
    visible[0, 4] = False
    assert predictor.predict(x, visible)[0, 2:4].tolist() == [2, 2]
    assert predictor.predict(x, np.zeros((1, 6), bool)).tolist() == [[0] * 6]


def test_gaussian_is_the_conditional_mean() -> None:
    rng = np.random.default_rng(1)
    mixing = rng.standard_normal((4, 4))
    training = rng.standard_normal((20000, 4)) @ mixing + 3
    x = rng.standard_normal((1, 4)) @ mixing + 3
    visible = np.array([[True, True, False, False]])
    got = predictors.Gaussian.diagonal(training).predict(x, visible)[0]
    covariance = mixing.T @ mixing
    expected = 3 + covariance[2:, :2] @ np.linalg.solve(covariance[:2, :2], x[0, :2] - 3)
    np.testing.assert_allclose(got[2:], expected, atol=0.1)


def test_components_see_what_all_positions_share() -> None:
    rng = np.random.default_rng(2)
    waves = rng.standard_normal((2, 30))
    training = rng.standard_normal((500, 2)) @ waves + 0.3 * rng.standard_normal((500, 30))
    predictor = predictors.Gaussian.components(training, 2)
    sample = np.cov(training.T, bias=True)
    np.testing.assert_allclose(predictor.covariance, sample, atol=0.05)
    assert np.trace(predictor.covariance) == pytest.approx(np.trace(sample))
    x = rng.standard_normal((20, 2)) @ waves
    visible = np.broadcast_to(np.arange(30) < 15, x.shape)
    got = predictor.predict(x, visible)
    assert predictors.masked_correlation(x, got, ~visible).min() > 0.98


def test_patch_mean_and_hidden_positions() -> None:
    assert predictors.PatchMean(np.array([[1.0, 3], [3, 5]])).predict(
        np.zeros((2, 2)), np.ones((2, 2), bool)
    ).tolist() == [[2, 4], [2, 4]]
    present = np.array([[True, True, False, True]])
    hidden = predictors.hidden_positions(np.array([[0, 1]]), present)
    assert hidden.tolist() == [[False, False, False, True]]
    assert predictors.masked_correlation(np.zeros((1, 4)), np.zeros((1, 4)), hidden) == (
        pytest.approx(0)
    )
