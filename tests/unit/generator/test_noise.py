"""Noise of clips, targets and weights against their formulas."""

from __future__ import annotations

import pytest
import torch
from diffusers import DDPMScheduler

from boldreel.errors import UserError
from boldreel.generator.noise import (
    clip_noise,
    spread_timesteps,
    target,
    weights,
)


def _scheduler(prediction: str) -> DDPMScheduler:
    return DDPMScheduler(prediction_type=prediction, beta_schedule="scaled_linear")


@pytest.mark.parametrize("correlation", [0.0, 0.8])
def test_clip_noise_has_unit_variance_and_its_correlation(correlation: float) -> None:
    noise = clip_noise((40, 6, 4, 8, 8), correlation, torch.Generator().manual_seed(0))
    flat = noise.transpose(0, 1).flatten(1)
    assert torch.allclose(torch.cov(flat).diag(), torch.ones(6), atol=0.05)
    off = torch.corrcoef(flat)[~torch.eye(6, dtype=torch.bool)]
    assert torch.allclose(off, torch.full((30,), correlation), atol=0.05)


def test_spread_timesteps_cover_the_range() -> None:
    steps = spread_timesteps(10, (0, 1000), torch.Generator().manual_seed(1))
    assert sorted((steps // 100).tolist()) == list(range(10))
    part = spread_timesteps(50, (401, 1000), torch.Generator().manual_seed(1))
    assert part.min() >= 401 and part.max() <= 999


def test_target_by_prediction_type() -> None:
    clean, noise = torch.randn(2, 3, 4, 2, 2), torch.randn(2, 3, 4, 2, 2)
    steps = torch.tensor([10, 900])
    assert target(_scheduler("epsilon"), clean, noise, steps) is noise
    assert target(_scheduler("sample"), clean, noise, steps) is clean
    scheduler = _scheduler("v_prediction")
    signal = scheduler.alphas_cumprod[steps].reshape(2, 1, 1, 1, 1)
    velocity = signal.sqrt() * noise - (1 - signal).sqrt() * clean
    assert torch.allclose(target(scheduler, clean, noise, steps), velocity, atol=1e-6)
    scheduler.register_to_config(prediction_type="flow")
    with pytest.raises(UserError, match="flow"):
        target(scheduler, clean, noise, steps)


def test_min_snr_weights_mean_the_same_for_all_prediction_types() -> None:
    """An error of the clean latents weighs min(snr, gamma), whatever the network predicts."""
    steps = torch.tensor([1, 300, 990])
    signal = _scheduler("epsilon").alphas_cumprod[steps]
    snr = signal / (1 - signal)
    # one unit of error of x0 seen as an error of what is predicted, squared
    seen = {"epsilon": snr, "sample": torch.ones(3), "v_prediction": 1 / (1 - signal)}
    for prediction, factor in seen.items():
        weighted = weights(_scheduler(prediction), steps, 5.0) * factor
        assert torch.allclose(weighted, snr.clamp(max=5.0), rtol=1e-4), prediction
    assert torch.equal(weights(_scheduler("epsilon"), steps, None), torch.ones(3))
