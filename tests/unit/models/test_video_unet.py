"""The inflated network at initialisation, its frames and its gradients."""

from __future__ import annotations

import copy

import pytest
import torch
from diffusers import UNet2DConditionModel

from boldreel.models.video_attention import MODES
from boldreel.models.video_unet import Inflation, VideoUNet

Frames = tuple[torch.Tensor, torch.Tensor]


def _inputs(clips: int, frames: int) -> Frames:
    torch.manual_seed(3)
    return torch.randn(clips, frames, 4, 4, 4), torch.randn(clips, 7, 12)


def _stir(network: VideoUNet) -> VideoUNet:
    """Temporal layers that do something."""
    torch.manual_seed(4)
    for name, parameter in network.named_parameters():
        if "attn_temp.to_out" in name or "ff_temp.net.2" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    return network


@pytest.mark.parametrize("mode", MODES)
def test_single_frame_equals_the_image_network(unet: UNet2DConditionModel, mode: str) -> None:
    sample, condition = _inputs(2, 1)
    timesteps = torch.tensor([7, 801])
    with torch.no_grad():
        expected = unet(sample[:, 0], timesteps, encoder_hidden_states=condition).sample
        video = VideoUNet(unet, Inflation(mode))(sample, timesteps, condition)
    assert torch.allclose(video[:, 0], expected, atol=1e-5)


@pytest.mark.parametrize("mode", MODES)
def test_identical_frames_equal_the_image_network(unet: UNet2DConditionModel, mode: str) -> None:
    sample, condition = _inputs(2, 1)
    timesteps = torch.tensor([7, 801])
    with torch.no_grad():
        expected = unet(sample[:, 0], timesteps, encoder_hidden_states=condition).sample
        network = VideoUNet(unet, Inflation(mode))
        video = network(sample.expand(-1, 4, -1, -1, -1), timesteps, condition)
    for i in range(4):
        assert torch.allclose(video[:, i], expected, atol=1e-5)


@pytest.mark.parametrize("frames", [1, 4])
def test_a_network_like_stable_diffusion_2_is_inflated_alike(frames: int) -> None:
    """Linear projections, as many heads as each width asks for, attention in full precision."""
    torch.manual_seed(2)
    unet = UNet2DConditionModel(
        sample_size=4,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        block_out_channels=(16, 32),
        layers_per_block=1,
        norm_num_groups=8,
        cross_attention_dim=12,
        attention_head_dim=(2, 4),
        use_linear_projection=True,
        upcast_attention=True,
    ).eval()
    sample, condition = _inputs(2, 1)
    with torch.no_grad():
        expected = unet(sample[:, 0], 300, encoder_hidden_states=condition).sample
        video = VideoUNet(unet)(sample.expand(-1, frames, -1, -1, -1), 300, condition)
    for i in range(frames):
        assert torch.allclose(video[:, i], expected, atol=1e-5)


def test_own_frames_alone_equal_the_image_network_frame_by_frame(unet) -> None:  # type: ignore[no-untyped-def]
    sample, condition = _inputs(2, 3)
    with torch.no_grad():
        expected = unet(
            sample.flatten(0, 1), 300, encoder_hidden_states=condition.repeat_interleave(3, 0)
        ).sample
        video = VideoUNet(unet, Inflation("own"))(sample, 300, condition)
    assert torch.allclose(video.flatten(0, 1), expected, atol=1e-5)


@pytest.mark.parametrize("mode", ["previous-two", "first-previous", "own-previous", "own"])
def test_at_the_zero_start_later_frames_do_not_affect_earlier(unet, mode: str) -> None:  # type: ignore[no-untyped-def]
    network = VideoUNet(unet, Inflation(mode))
    sample, condition = _inputs(1, 5)
    changed = sample.clone()
    changed[:, 3] += 1
    with torch.no_grad():
        before, after = (network(x, 500, condition) for x in (sample, changed))
    assert torch.equal(before[:, :3], after[:, :3])
    assert not torch.allclose(before[:, 3], after[:, 3])


@pytest.mark.parametrize("frames", [1, 2, 7])
def test_any_number_of_frames(unet, frames: int) -> None:  # type: ignore[no-untyped-def]
    network = _stir(VideoUNet(unet))
    sample, condition = _inputs(2, frames)
    with torch.no_grad():
        both = network(sample, 500, condition)
        alone = network(sample[1:], 500, condition[1:])
    assert both.shape == sample.shape
    assert torch.allclose(both[1:], alone, atol=1e-5)


def test_frame_position_breaks_the_tie_of_identical_frames(unet) -> None:  # type: ignore[no-untyped-def]
    sample, condition = _inputs(1, 1)
    same = sample.expand(-1, 4, -1, -1, -1)
    with torch.no_grad():
        for positions, differ in (("sinusoidal", True), ("none", False)):
            network = _stir(VideoUNet(copy.deepcopy(unet), Inflation("own", positions)))
            out = network(same, 500, condition)
            assert bool((out[:, 0] - out[:, 3]).abs().max() > 1e-4) == differ


@pytest.mark.parametrize("groups", [["self", "cross", "temporal"], ["temporal"]])
def test_gradient_reaches_what_is_trained_and_nothing_else(unet, groups: list[str]) -> None:  # type: ignore[no-untyped-def]
    network = _stir(VideoUNet(unet))
    chosen = network.train_only(groups)
    assert list(chosen) == groups and all(chosen.values())
    sample, condition = _inputs(2, 3)
    network(sample, 500, condition).square().mean().backward()
    trained = {name for names in chosen.values() for name in names}
    for name, parameter in network.named_parameters():
        if name in trained:
            assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name
        else:
            assert parameter.grad is None and not parameter.requires_grad, name
    listed = network.describe_trainable(chosen)
    total = sum(p.numel() for p in network.parameters() if p.requires_grad)
    assert f"{total:,d} of" in listed and "mid_block" in listed


def test_unknown_group_is_refused(unet) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match="spatial"):
        VideoUNet(unet).train_only(["spatial"])


def test_a_copy_is_independent(unet) -> None:  # type: ignore[no-untyped-def]
    network = _stir(VideoUNet(unet))
    twin = copy.deepcopy(network)
    sample, condition = _inputs(1, 3)
    with torch.no_grad():
        expected = network(sample, 500, condition)
        for parameter in network.parameters():
            parameter.zero_()
        network(*_inputs(1, 2)[:1], 500, condition)
        assert torch.allclose(twin(sample, 500, condition), expected, atol=1e-6)


def test_fixed_condition_gives_the_same_and_forgets(unet) -> None:  # type: ignore[no-untyped-def]
    network = VideoUNet(unet)
    sample, condition = _inputs(2, 3)
    with torch.no_grad():
        expected = network(sample, 500, condition)
        with network.fixed_condition():
            for _ in range(2):
                assert torch.equal(network(sample, 500, condition), expected)
        changed = network(sample, 500, condition + 1)
    assert not torch.allclose(changed, expected)
