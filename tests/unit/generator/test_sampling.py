"""Sampling: guidance, seeds and what a clip's result may depend on."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from boldreel.base_models import diffusion
from boldreel.errors import UserError
from boldreel.generator.noise import clip_noise
from boldreel.generator.sampling import (
    Continuation,
    clip_generator,
    denoise,
    guided,
    predict,
    sample,
    to_pixels,
)
from boldreel.models.video_unet import Inflation, VideoUNet

CLIPS = ["test01-0000", "test01-0001", "test02-0000"]


@pytest.fixture
def network(unet) -> VideoUNet:  # type: ignore[no-untyped-def]
    """An inflated network with noise that frames share."""
    return VideoUNet(unet, Inflation(noise_correlation=0.5)).eval()


def _draw(
    network: VideoUNet,
    folder: Path,
    clips: list[str],
    condition: torch.Tensor,
    scheduler: str = "DPMSolverMultistep",
    guidance: float = 3.0,
    guided_share: float = 1.0,
) -> torch.Tensor:
    return sample(
        network,
        diffusion.load_scheduler(folder, scheduler),
        condition,
        torch.full((7, 12), 0.1),
        [clip_generator(11, clip) for clip in clips],
        frames=3,
        size=(4, 4),
        steps=4,
        guidance=guidance,
        guided_share=guided_share,
    )


def test_generators_depend_on_seed_clip_and_sample() -> None:
    drawn = [
        torch.randn(4, generator=clip_generator(*key))
        for key in [(1, "a"), (2, "a"), (1, "b"), (1, "a", 1)]
    ]
    assert torch.equal(drawn[0], torch.randn(4, generator=clip_generator(1, "a")))
    assert torch.cdist(torch.stack(drawn), torch.stack(drawn)).add(torch.eye(4)).min() > 0.1


def test_guidance_equals_two_passes(network: VideoUNet) -> None:
    torch.manual_seed(5)
    latents, condition = torch.randn(2, 3, 4, 4, 4), torch.randn(2, 7, 12)
    negative = torch.randn(2, 7, 12)
    with torch.no_grad():
        once = predict(network, latents, 400, torch.cat((condition, negative)), 12.5)
        with_c, with_n = (network(latents, 400, c) for c in (condition, negative))
        unguided = predict(network, latents, 400, condition, 1.0)
    assert torch.allclose(once, with_n + 12.5 * (with_c - with_n), atol=1e-4)
    assert torch.allclose(unguided, guided(with_c, with_n, 1.0), atol=1e-5)


@pytest.mark.parametrize(
    "scheduler", ["DPMSolverMultistep", "DDIMScheduler", "PNDM", "EulerDiscrete"]
)
def test_a_clip_does_not_depend_on_its_batch(
    network: VideoUNet, base_folder: Path, scheduler: str
) -> None:
    torch.manual_seed(6)
    condition = torch.randn(3, 7, 12)
    together = _draw(network, base_folder, CLIPS, condition, scheduler)
    turned = _draw(network, base_folder, CLIPS[::-1], condition.flip(0), scheduler)
    assert torch.isfinite(together).all()
    assert torch.allclose(turned.flip(0), together, atol=1e-4)
    for i, clip in enumerate(CLIPS):
        alone = _draw(network, base_folder, [clip], condition[i : i + 1], scheduler)
        assert torch.allclose(alone[0], together[i], atol=1e-4)
    again = _draw(network, base_folder, CLIPS, condition, scheduler)
    assert torch.equal(again, together)


def test_denoise_gives_every_state(network: VideoUNet, base_folder: Path) -> None:
    condition = torch.randn(2, 7, 12)
    pndm = {"skip_prk_steps": True, "steps_offset": 1}
    noise = [clip_noise((3, 4, 4, 4), 0.5, clip_generator(11, clip)) for clip in CLIPS[:2]]
    states = list(
        denoise(
            network,
            diffusion.load_scheduler(base_folder, "PNDM", pndm),
            torch.stack(noise),
            condition,
            torch.full((2, 7, 12), 0.1),
            steps=4,
            guidance=3.0,
        )
    )
    assert len(states) == 5  # the first of four steps is made twice
    assert all(not torch.equal(a, b) for a, b in pairwise(states))
    whole = sample(
        network,
        diffusion.load_scheduler(base_folder, "PNDM", pndm),
        condition,
        torch.full((7, 12), 0.1),
        [clip_generator(11, clip) for clip in CLIPS[:2]],
        frames=3,
        size=(4, 4),
        steps=4,
        guidance=3.0,
    )
    assert torch.equal(whole, states[-1])


def test_guided_share(network: VideoUNet, base_folder: Path) -> None:
    torch.manual_seed(7)
    condition = torch.randn(1, 7, 12)

    def draw(guidance: float, share: float) -> torch.Tensor:
        return _draw(network, base_folder, CLIPS[:1], condition, "DDIM", guidance, share)

    assert torch.equal(draw(3.0, 0.0), draw(1.0, 1.0))
    assert not torch.equal(draw(3.0, 0.5), draw(1.0, 1.0))
    assert not torch.equal(draw(3.0, 0.5), draw(3.0, 1.0))


@pytest.mark.parametrize("scheduler", ["DPMSolverMultistep", "DDIM", "PNDM", "UniPCMultistep"])
def test_clips_begin_as_one_frame(unet, base_folder: Path, scheduler: str) -> None:  # type: ignore[no-untyped-def]
    inflation = Inflation(noise_correlation=1.0, image_above=400)
    network, seen = VideoUNet(unet, inflation).eval(), []
    network.register_forward_pre_hook(lambda _, args: seen.append((args[0].shape[1], int(args[1]))))
    condition = torch.randn(2, 7, 12)
    drawn = _draw(network, base_folder, CLIPS[:2], condition, scheduler)
    assert drawn.shape == (2, 3, 4, 4, 4)
    assert {frames for frames, t in seen if t > 400} == {1}
    assert {frames for frames, t in seen if t <= 400} == {3}
    # temporal layers that start at zero leave all frames alike
    assert torch.allclose(drawn[:, 0], drawn[:, 2], atol=1e-4)


SCHEDULERS = ["DPMSolverMultistep", "DDIM", "PNDM", "EulerDiscrete", "UniPCMultistep"]


def _go_on(  # type: ignore[no-untyped-def]
    network: VideoUNet, folder: Path, scheduler: str, before: Continuation | None, steps: int = 10
) -> torch.Tensor:
    torch.manual_seed(9)
    return sample(
        network,
        diffusion.load_scheduler(folder, scheduler),
        torch.randn(2, 7, 12),
        torch.full((7, 12), 0.1),
        [clip_generator(11, clip) for clip in CLIPS[:2]],
        frames=3,
        size=(4, 4),
        steps=steps,
        guidance=2.0,
        guided_share=0.5,
        before=before,
    )


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("image_above", [None, 400])
def test_frames_that_look_at_none_before_them_are_not_changed(
    unet,  # type: ignore[no-untyped-def]
    base_folder: Path,
    scheduler: str,
    image_above: int | None,
) -> None:
    """From noise alone, and without attention to other frames, a clip that goes on is as any other."""
    inflation = Inflation("own", noise_correlation=1.0, image_above=image_above)
    network = VideoUNet(unet, inflation).eval()
    alone = _go_on(network, base_folder, scheduler, None)
    before = Continuation(torch.randn(2, 2, 4, 4, 4))
    assert torch.allclose(_go_on(network, base_folder, scheduler, before), alone, atol=1e-4)


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_a_clip_goes_on_from_its_own_clip_before(unet, base_folder: Path, scheduler: str) -> None:  # type: ignore[no-untyped-def]
    network = VideoUNet(unet, Inflation(noise_correlation=1.0)).eval()
    torch.manual_seed(10)
    tails = torch.randn(2, 2, 4, 4, 4)
    first = _go_on(network, base_folder, scheduler, Continuation(tails))
    tails[1] += 1
    second = _go_on(network, base_folder, scheduler, Continuation(tails))
    assert torch.allclose(first[0], second[0], atol=1e-4)
    assert not torch.allclose(first[1], second[1], atol=1e-2)


@pytest.mark.parametrize("scheduler", [name for name in SCHEDULERS if name != "PNDM"])
def test_fewer_steps_leave_more_of_the_last_frame(
    unet,  # type: ignore[no-untyped-def]
    base_folder: Path,
    scheduler: str,
) -> None:
    network = VideoUNet(unet, Inflation(noise_correlation=1.0, image_above=400)).eval()
    torch.manual_seed(11)
    tails = torch.randn(2, 2, 4, 4, 4)
    apart = []
    for strength in (0.1, 0.5, 1.0):
        drawn = _go_on(network, base_folder, scheduler, Continuation(tails, strength))
        assert torch.isfinite(drawn).all() and drawn.shape == (2, 3, 4, 4, 4)
        apart.append(float((drawn - tails[:, -1:]).square().mean()))
    assert apart[0] < apart[1] < apart[2]


@pytest.mark.parametrize("scheduler", ["PNDM", "HeunDiscrete"])
def test_schedulers_that_cannot_begin_midway_are_refused(
    network: VideoUNet, base_folder: Path, scheduler: str
) -> None:
    before = Continuation(torch.zeros(2, 1, 4, 4, 4), 0.5)
    with pytest.raises(UserError, match="cannot begin midway"):
        _go_on(network, base_folder, scheduler, before)


def test_the_network_is_called_with_the_frames_before(unet, base_folder: Path) -> None:  # type: ignore[no-untyped-def]
    inflation = Inflation(noise_correlation=1.0, image_above=400)
    network, seen = VideoUNet(unet, inflation).eval(), []
    network.register_forward_pre_hook(
        lambda _, args: seen.append((int(args[1]), args[0].shape[1], args[3]))
    )
    _go_on(network, base_folder, "DDIM", Continuation(torch.randn(2, 2, 4, 4, 4), 0.8))
    assert len(seen) == 8 and max(t for t, *_ in seen) <= 801
    assert {call[1:] for call in seen if call[0] > 400} == {(1, 0)}
    assert {call[1:] for call in seen if call[0] <= 400} == {(5, 2)}


def test_same_condition_other_clip_is_another_sample(network: VideoUNet, base_folder: Path) -> None:
    condition = torch.zeros(1, 7, 12)
    first, second = (_draw(network, base_folder, [clip], condition) for clip in CLIPS[:2])
    assert not torch.allclose(first, second, atol=1e-2)


def test_stochastic_schedulers_are_refused_with_shared_noise(
    network: VideoUNet, base_folder: Path
) -> None:
    with pytest.raises(UserError, match="deterministic"):
        _draw(network, base_folder, CLIPS[:1], torch.zeros(1, 7, 12), "EulerAncestralDiscrete")


def test_unknown_scheduler(base_folder: Path) -> None:
    for name in ("NoSuch", "AutoencoderKL"):
        with pytest.raises(UserError, match=name):
            diffusion.load_scheduler(base_folder, name)


def test_pixels(base_folder: Path) -> None:
    vae = diffusion.load_vae(base_folder)
    latents = torch.randn(2, 3, 4, 4, 4)
    pixels = to_pixels(vae, latents, batch=4)
    assert pixels.shape == (2, 3, 8, 8, 3) and pixels.dtype == np.uint8
    one = to_pixels(vae, latents[1:, 2:])
    assert np.abs(one[0, 0].astype(int) - pixels[1, 2]).max() <= 1
