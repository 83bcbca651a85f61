"""The published network: names, sizes, quirks, and its checkpoints."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import load_file, save_file
from tests.fixtures_settings import settings

from boldreel.errors import UserError
from boldreel.models import published_video_unet as published
from boldreel.models.video_unet import Inflation, VideoUNet

KEYS = Path(__file__).parents[4] / "shared" / "conformance" / "published_keys.json"
SIZES = {
    "sample_size": 4,
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    "block_out_channels": (16, 32),
    "layers_per_block": 1,
    "norm_num_groups": 8,
    "cross_attention_dim": 12,
    "attention_head_dim": 4,
}


@pytest.fixture
def network() -> VideoUNet:
    """A small published network with random weights everywhere."""
    torch.manual_seed(0)
    made = published.build(SIZES)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return made


def test_published_sizes() -> None:
    with torch.device("meta"):
        tensors = published.build().unet.state_dict()
    assert len(tensors) == 798
    assert round(sum(t.numel() for t in tensors.values()) / 1e6, 1) == 909.1
    temporal = [t.numel() for name, t in tensors.items() if "_temp." in name]
    assert round(sum(temporal) / 1e6, 1) == 49.6


@pytest.mark.skipif(not KEYS.exists(), reason="no reference arrays next to the checkout")
def test_published_names_and_shapes() -> None:
    with torch.device("meta"):
        tensors = published.build().unet.state_dict()
    expected = json.loads(KEYS.read_text())["unet"]
    assert {name: list(tensor.shape) for name, tensor in tensors.items()} == expected


@torch.no_grad()
def test_shared_statistics_couple_frames(network: VideoUNet) -> None:
    # attention across frames is off, so that group norms alone can carry anything from frame to frame
    for block in network.blocks:
        for layer in (block.attn1, block.attn_temp):
            torch.nn.init.zeros_(layer.to_out[0].weight)
    plain = VideoUNet(
        UNet2DConditionModel(**SIZES), Inflation("previous-two", "none", feed_forward=False)
    )
    plain.unet.load_state_dict(network.unet.state_dict())
    sample, condition = torch.randn(1, 4, 4, 4, 4), torch.randn(1, 7, 12)
    changed = sample.clone()
    changed[:, 3] += 1
    for made, coupled in ((network, True), (plain.eval(), False)):
        before, after = made(sample, 500, condition), made(changed, 500, condition)
        assert bool((before[:, 0] - after[:, 0]).abs().max() > 1e-4) == coupled


def test_temporal_bias_starts_at_random_as_published(unet) -> None:  # type: ignore[no-untyped-def]
    for block in VideoUNet(unet, Inflation.published()).blocks:
        assert block.attn_temp.to_out[0].weight.abs().max() == 0
        assert block.attn_temp.to_out[0].bias.abs().max() > 0


def test_settings_switch_it_on_and_off() -> None:
    assert settings("generator").inflation.compat is None
    assert settings("generator").inflation.attention == "previous-two"
    assert settings("generator", compat="mindvideo").inflation == Inflation.published()
    with pytest.raises(UserError, match="mindvideo"):
        settings("generator", compat="mindvis")
    with pytest.raises(ValueError, match="mindvideo"):
        Inflation(compat="mindvis")


@torch.no_grad()
def test_round_trip(network: VideoUNet, tmp_path: Path) -> None:
    published.save(network, tmp_path / "unet.safetensors")
    assert load_file(tmp_path / "unet.safetensors").keys() == network.unet.state_dict().keys()
    again = published.load(tmp_path / "unet.safetensors", SIZES)
    sample, condition = torch.randn(2, 3, 4, 4, 4), torch.randn(2, 7, 12)
    assert torch.equal(again(sample, 500, condition), network(sample, 500, condition))


@torch.no_grad()
def test_pickles_of_half_precision(network: VideoUNet, tmp_path: Path) -> None:
    torch.save(network.unet.half().state_dict(), tmp_path / "unet.pth")
    loaded = published.load(tmp_path / "unet.pth", SIZES).unet.state_dict()
    for name, tensor in network.unet.state_dict().items():
        assert loaded[name].dtype == torch.float32
        assert torch.equal(loaded[name], tensor.float())


def test_wrong_names_are_listed(network: VideoUNet, tmp_path: Path) -> None:
    tensors = dict(network.unet.state_dict())
    tensors["conv_on.bias"] = tensors.pop("conv_in.bias")
    tensors["conv_out.bias"] = torch.zeros(5)
    save_file(tensors, tmp_path / "unet.safetensors")
    with pytest.raises(UserError) as error:
        published.load(tmp_path / "unet.safetensors", SIZES)
    message = str(error.value)
    assert "missing: conv_in.bias" in message and "unexpected: conv_on.bias" in message
    assert "conv_out.bias is [5], not [4]" in message and "\n" not in message


@pytest.mark.parametrize("name", ["unet.safetensors", "unet.bin"])
def test_damaged_or_missing_files(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    with pytest.raises(UserError, match="unreadable"):
        published.load(file, SIZES)
    file.write_bytes(b"no weights at all")
    with pytest.raises(UserError, match="unreadable"):
        published.load(file, SIZES)


def test_nothing_pickled_is_executed(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple:
            return Path.touch, (tmp_path / "executed",)

    torch.save({"conv_in.bias": Bomb()}, tmp_path / "unet.pth")
    with pytest.raises(UserError, match="unreadable"):
        published.load(tmp_path / "unet.pth", SIZES)
    assert not (tmp_path / "executed").exists()
    torch.save({"epoch": 3}, tmp_path / "unet.pth")
    with pytest.raises(UserError, match="more than named tensors"):
        published.load(tmp_path / "unet.pth", SIZES)


def test_only_the_published_network_is_written(unet, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UserError, match=r"generator\.compat"):
        published.save(VideoUNet(unet), tmp_path / "unet.safetensors")
