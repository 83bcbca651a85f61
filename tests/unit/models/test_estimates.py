"""Estimates say how far they can be followed: by simulation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from boldreel.models.estimates import Code, Reliability, doubted


def test_a_code_whitens_and_goes_back() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(400, 3)) @ rng.normal(size=(3, 8)) + rng.normal(size=8)
    code = Code.of(values, 1.0, 8, 0.9999)
    scores = code.scores(torch.from_numpy(values).float())
    assert scores.shape == (400, 3)  # no more than there is
    np.testing.assert_allclose(np.cov(scores.numpy().T, ddof=0), np.eye(3), atol=1e-3)
    np.testing.assert_allclose(code.values(scores).numpy(), values, atol=1e-4)
    sure = code.known(torch.tensor([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]]))
    assert torch.allclose(sure[0], torch.ones(8)) and not sure[1].any()


def test_units_decide_what_counts() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(size=(500, 2)) * [10.0, 1.0]
    assert abs(Code.of(values, 1.0, 1, 1.0).encode[1]) < 0.05 * abs(
        Code.of(values, np.array([100.0, 1.0]), 1, 1.0).encode[1]
    )


def test_the_truth_is_expected_at_a_doubted_estimate() -> None:
    """In every range of reliability: slope one, and a residual variance of one minus the reliability."""
    generator = torch.Generator().manual_seed(0)
    true = torch.randn(40_000, 2, generator=generator)
    estimate, reliability = doubted([true], generator, exact=0.2, absent=0.2).unbind(1)
    for low, high in ((0.1, 0.3), (0.4, 0.6), (0.8, 0.95)):
        where = (reliability > low) & (reliability < high)
        z, e, r = true[where], estimate[where], reliability[where]
        assert float((z * e).mean() / (e * e).mean()) == pytest.approx(1, abs=0.05)
        assert float((z - e).square().mean()) == pytest.approx(float(1 - r.mean()), abs=0.03)
    assert torch.equal(estimate[reliability == 1], true[reliability == 1])
    assert not estimate[reliability == 0].any()
    assert float((reliability == 0).float().mean()) == pytest.approx(0.2, abs=0.01)


def test_more_showings_are_more_reliable_by_what_their_noise_says() -> None:
    """Calibrated on means of two showings, estimates of means of ten are right, too."""
    rng = np.random.default_rng(2)
    gain, bias, noise = (
        0.6,
        0.3,
        1.5,
    )  # of a decoder: shrinkage, its own error, noise of one showing

    def predict(z: np.ndarray, showings: int) -> np.ndarray:
        own = bias * rng.normal(size=z.shape)
        return gain * z + own + rng.normal(size=z.shape) * np.sqrt(noise / showings) + 0.2

    z = rng.normal(size=(20_000, 1))
    fitted = Reliability.of(predict(z, 2), z, np.array([noise]), 2)
    z = rng.normal(size=(20_000, 1))
    for showings in (1, 2, 10):
        told = fitted(
            torch.from_numpy(predict(z, showings)).float(), torch.full((len(z),), float(showings))
        )
        estimate, reliability = told.unbind(1)
        truth = gain**2 / (gain**2 + bias**2 + noise / showings)
        assert float(reliability.mean()) == pytest.approx(truth, abs=0.02)
        slope = np.polyfit(estimate[:, 0].numpy(), z[:, 0], 1)[0]
        assert slope == pytest.approx(1, abs=0.05)


def test_predictions_that_know_nothing_give_nothing() -> None:
    rng = np.random.default_rng(3)
    z = rng.normal(size=(2_000, 1))
    wrong = Reliability.of(-z + rng.normal(size=z.shape), z, np.zeros(1), 1)
    told = wrong(torch.randn(5, 1), torch.ones(5))
    assert not told[:, 1].any() and float(told[:, 0].abs().max()) < 0.1
    perfect = Reliability.of(z, z, np.zeros(1), 1)
    assert float(perfect(torch.zeros(1, 1), torch.ones(1))[0, 1]) == pytest.approx(0.98)


def test_clips_shown_once_and_often_are_calibrated_together() -> None:
    """The variance of predictions over clips holds the mean of 1/n, not one over the mean of n."""
    rng = np.random.default_rng(5)
    noise, counts = 2.0, np.repeat([1, 10], 20_000)
    z = rng.normal(size=(len(counts), 1))
    predicted = 0.5 * z + rng.normal(size=z.shape) * np.sqrt(noise / counts)[:, None]
    fitted = Reliability.of(predicted, z, np.array([noise]), 1 / np.mean(1 / counts))
    truth = 0.25 / (0.25 + noise / 10)
    told = fitted(torch.zeros(1, 1), torch.tensor([10.0]))
    assert float(told[0, 1, 0]) == pytest.approx(truth, abs=0.03)
