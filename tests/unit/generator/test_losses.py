"""The losses of clips and of single frames against their formulas."""

from __future__ import annotations

import pytest
import torch
from diffusers import DDPMScheduler

from boldreel.generator.losses import LossOptions, noise_loss, still, video_loss
from boldreel.generator.noise import clip_noise
from boldreel.models.video_unet import Inflation, middle_frame


def _scheduler(prediction: str) -> DDPMScheduler:
    return DDPMScheduler(prediction_type=prediction, beta_schedule="scaled_linear")


def _seeded() -> torch.Generator:
    return torch.Generator().manual_seed(2)


def test_noise_loss_is_zero_for_a_perfect_prediction() -> None:
    scheduler = _scheduler("epsilon")
    clean = torch.randn(4, 3, 4, 2, 2)

    def perfect(noisy: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
        signal = scheduler.alphas_cumprod[steps].reshape(-1, 1, 1, 1, 1)
        return (noisy - signal.sqrt() * clean) / (1 - signal).sqrt()

    losses = noise_loss(perfect, scheduler, clean, 0.9, _seeded(), LossOptions())
    assert losses.shape == (4,) and losses.max() < 1e-4
    plain, heavy = (
        noise_loss(
            lambda x, _: x * 0,
            scheduler,
            clean,
            0.9,
            _seeded(),
            LossOptions(motion_weight=weight),
        )
        for weight in (1.0, 3.0)
    )
    noise = clip_noise((4, 3, 4, 2, 2), 0.9, _seeded())
    assert torch.allclose(plain, noise.square().flatten(1).mean(1), rtol=1e-4)
    apart = (noise - noise.mean(1, keepdim=True)).square().flatten(1).mean(1)
    assert torch.allclose(heavy, plain + 2 * apart, rtol=1e-4)


def test_still_clips_look_alike_and_keep_their_targets() -> None:
    scheduler = _scheduler("epsilon")
    clean, steps = torch.randn(2, 5, 4, 2, 2), torch.tensor([200, 700])
    noise = clip_noise((2, 5, 4, 2, 2), 1.0, torch.Generator().manual_seed(0))
    hidden = still(scheduler, clean, noise, steps, 1.0, torch.Generator())
    noisy = scheduler.add_noise(clean, hidden, steps)
    middle = scheduler.add_noise(clean, noise, steps)[:, 2:3]
    assert torch.allclose(noisy, middle.expand_as(noisy), atol=1e-5)
    signal = scheduler.alphas_cumprod[steps].reshape(-1, 1, 1, 1, 1)
    regained = (noisy - (1 - signal).sqrt() * hidden) / signal.sqrt()
    assert torch.allclose(regained, clean, atol=1e-4)
    assert still(scheduler, clean, noise, steps, 0.0, torch.Generator()) is noise


def test_video_loss_shows_single_frames_at_high_noise() -> None:
    scheduler, clean, seen = _scheduler("v_prediction"), torch.randn(3, 4, 4, 2, 2), []

    def blind(noisy: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
        seen.append((noisy.shape[1], int(steps.min()), int(steps.max())))
        return torch.zeros_like(noisy)

    inflation = Inflation(noise_correlation=1.0, image_above=400)
    losses = video_loss(blind, scheduler, clean, inflation, _seeded(), LossOptions())
    assert losses.shape == (3,)
    (clips, low, high), (pictures, above, last) = seen
    assert (clips, pictures) == (4, 1)
    assert low >= 0 and high <= 400 < above and last <= 999
    seen.clear()
    video_loss(blind, scheduler, clean, Inflation(), _seeded(), LossOptions())
    assert len(seen) == 1 and seen[0][0] == 4
    with pytest.raises(ValueError, match="noise_correlation 1"):
        Inflation(noise_correlation=0.5, image_above=400)


def test_middle_frame_is_the_one_counted_as_zero() -> None:
    clips = torch.arange(6).reshape(1, 6, 1)
    assert middle_frame(clips).flatten().tolist() == [3]
    assert middle_frame(clips[:, :1]).flatten().tolist() == [0]
