"""Gradient checkpointing: gradients of whole losses are those without it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from diffusers import UNet2DConditionModel
from torch.nn.functional import normalize

from boldreel.base_models.diffusion import load_scheduler
from boldreel.generator.cotrain_losses import JointBatch, JointModel, joint_losses
from boldreel.generator.losses import LossOptions, video_loss
from boldreel.models.encoder import SpatioTemporalEncoder, SpatioTemporalEncoderConfig
from boldreel.models.video_attention import MODES
from boldreel.models.video_unet import Inflation, VideoUNet

OPTIONS = LossOptions(min_snr=5.0, motion_weight=2.0, still_share=0.5)
INFLATIONS = [Inflation(mode, noise_correlation=1.0, image_above=400) for mode in MODES]
INFLATIONS += [
    Inflation("full", noise_correlation=1.0, image_above=400, compat="mindvideo"),
    Inflation(),
]
inflations = pytest.mark.parametrize(
    "inflation",
    INFLATIONS,
    ids=lambda one: f"{one.attention}-{one.compat or 'plain'}-{one.image_above}",
)


def _network(unet: UNet2DConditionModel, inflation: Inflation) -> VideoUNet:
    """A network whose temporal layers do something, ready to be trained."""
    network = VideoUNet(unet, inflation)
    network.train_only(["self", "cross", "temporal"])
    torch.manual_seed(4)
    for name, parameter in network.named_parameters():
        if "attn_temp.to_out" in name or "ff_temp.net.2" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    return network.train()


def _gradients(module: torch.nn.Module, loss: Callable[[], torch.Tensor]) -> dict:
    module.zero_grad()
    loss().backward()
    return {n: p.grad.clone() for n, p in module.named_parameters() if p.grad is not None}


def _agree(plain: dict, recomputed: dict) -> None:
    assert plain.keys() == recomputed.keys() and any("temp" in name for name in plain)
    for name, gradient in plain.items():
        assert gradient.abs().sum() > 0, name
        torch.testing.assert_close(recomputed[name], gradient, rtol=1e-4, atol=1e-6, msg=name)


@inflations
def test_tuning(unet: UNet2DConditionModel, base_folder: Path, inflation: Inflation) -> None:
    network = _network(unet, inflation)
    torch.manual_seed(3)
    clean, condition = torch.randn(2, 3, 4, 4, 4), torch.randn(2, 7, 12)
    scheduler = load_scheduler(base_folder)

    def loss() -> torch.Tensor:
        noise = torch.Generator().manual_seed(2)
        predict = lambda noisy, steps: network(noisy, steps, condition)  # noqa: E731
        return video_loss(predict, scheduler, clean, inflation, noise, OPTIONS).mean()

    plain = _gradients(network, loss)
    network.enable_gradient_checkpointing()
    _agree(plain, _gradients(network, loss))


@inflations
def test_cotraining(
    unet: UNet2DConditionModel,
    base_folder: Path,
    inflation: Inflation,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch.manual_seed(1)
    sizes = {"num_voxels": 16, "window": 2, "tokens": 7, "token_width": 12, "image_dim": 10}
    sizes |= {"text_dim": 10, "bank": 3, "rank": 4, "patch_size": 4, "embed_dim": 8}
    encoder = SpatioTemporalEncoder(
        SpatioTemporalEncoderConfig(**sizes, sharpness=0.0, depth=1, num_heads=2)
    )
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    model = JointModel(encoder, _network(unet, inflation)).train()
    embeddings = (normalize(torch.randn(2, 10), dim=1) for _ in range(2))
    x, latents = torch.randn(2, 2, 16), torch.randn(2, 3, 4, 4, 4)
    batch = JointBatch(x, latents, torch.zeros(2, 7, 12), *embeddings)
    scheduler = load_scheduler(base_folder)

    encoded: list[torch.Tensor] = []
    encoder.register_forward_hook(lambda _, inputs, out: encoded.append(inputs[0]))

    def loss() -> torch.Tensor:
        noise = torch.Generator().manual_seed(2)
        losses = joint_losses(model, batch, scheduler, inflation, noise, 2.0, OPTIONS)
        return torch.stack(losses).mean()

    encoder.logit_scale.requires_grad_(False)
    plain = _gradients(model, loss)
    assert any(name.startswith("encoder.") for name in plain)
    assert len(encoded) == 1, "once a step, however many predictions the loss asks for"
    with monkeypatch.context() as patch:
        forward = JointModel.forward
        patch.setattr(JointModel, "forward", lambda *given: forward(*given[:4]))
        _agree(_gradients(model, loss), plain)
        assert len(encoded) == (3 if inflation.image_above else 2), "once for each prediction"
    model.generator.enable_gradient_checkpointing()
    encoder.trunk.gradient_checkpointing = True
    _agree(plain, _gradients(model, loss))


def test_a_copy_follows_its_own_layout(unet: UNet2DConditionModel) -> None:
    network = _network(unet, Inflation())
    network.enable_gradient_checkpointing()
    twin = copy.deepcopy(network)
    sample, condition = torch.randn(1, 3, 4, 4, 4), torch.randn(1, 7, 12)
    out = twin(sample, 500, condition)
    with torch.no_grad():
        network(sample[:, :1], 500, condition)
        twin(sample[:, :1], 500, condition)
    out.square().mean().backward()
    assert twin.layout.frames == 1, "the backward pass leaves the layout as it found it"
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in twin.parameters())
    assert all(p.grad is None for p in network.parameters())
