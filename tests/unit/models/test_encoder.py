"""The encoder: its start, its linear path, its inputs, its files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from boldreel.errors import UserError
from boldreel.models.autoencoder import MaskedAutoencoder, MaskedAutoencoderConfig
from boldreel.models.decoder import DecoderConfig, LinearDecoder
from boldreel.models.encoder import SpatioTemporalEncoder, encoder_config

SIZES = {"embed_dim": 32, "depth": 2, "num_heads": 4}


def linear_decoder(sharpness: float = 20.0) -> LinearDecoder:
    torch.manual_seed(1)
    decoder = LinearDecoder(
        DecoderConfig(
            num_voxels=64,
            window=2,
            tokens=5,
            token_width=6,
            image_dim=8,
            text_dim=7,
            bank=9,
            sharpness=sharpness,
            rank=4,
            motion_dim=3,
        )
    )
    with torch.no_grad():
        decoder.readout.weight.normal_(std=0.1)
        decoder.readout.basis.normal_()
    decoder.calibration.measure(
        torch.randn(20, 8),
        torch.randn(20, 7),
        torch.randn(20, 5, 6),
        torch.randn(20, 3),
        torch.ones(3),
        torch.arange(9),
    )
    decoder.present[60:] = False
    return decoder.eval()


def encoder(linear_path: str = "ridge") -> SpatioTemporalEncoder:
    linear = linear_decoder()
    made = SpatioTemporalEncoder(encoder_config(linear.config, linear_path=linear_path, **SIZES))
    made.start_from(None, linear)
    return made.eval()


def test_start_equals_the_ridge_to_the_bit() -> None:
    x = torch.randn(3, 2, 64)
    own, ridge = encoder()(x), linear_decoder()(x)
    for a, b in zip(own[:3], ridge[:3], strict=True):
        assert torch.equal(a, b)


def test_a_transformer_that_adds_nothing_is_not_run_and_one_that_does_is(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """With gradients it runs in any case; the outcome is the same to the bit."""
    model, x = encoder(), torch.randn(3, 2, 64)
    runs: list[int] = []
    real = model.trunk.tokens
    monkeypatch.setattr(model.trunk, "tokens", lambda *given: runs.append(1) or real(*given))
    ran = model(x)
    assert len(runs) == 1
    with torch.no_grad():
        spared = model(x)
    assert len(runs) == 1
    for a, b in zip(ran[:3], spared[:3], strict=True):
        assert torch.equal(a, b)
    for head in (model.image_head, model.text_head, model.condition_head):
        with torch.no_grad():
            head.projection.weight[0, 0] = 1e-3
            assert not torch.equal(model(x).deviations.image, spared.deviations.image) or (
                head is not model.image_head
            )
            head.projection.weight[0, 0] = 0
    assert len(runs) == 4


def test_shapes_and_norms() -> None:
    out = encoder()(torch.randn(3, 2, 64))
    assert out.condition.shape == (3, 5, 6)
    assert out.image.shape == (3, 8) and out.text.shape == (3, 7)
    assert torch.allclose(out.image.norm(dim=1), torch.ones(3), atol=1e-5)
    assert torch.allclose(out.text.norm(dim=1), torch.ones(3), atol=1e-5)


@pytest.mark.parametrize("linear_path", ["ridge", "none"])
@pytest.mark.parametrize("window", [1, 2, 4])
def test_any_window(linear_path: str, window: int) -> None:
    out = encoder(linear_path)(torch.randn(2, window, 64))
    assert torch.isfinite(out.condition).all()


@pytest.mark.parametrize("linear_path", ["ridge", "none"])
def test_gradients_reach_every_parameter(linear_path: str) -> None:
    made = encoder(linear_path).train()
    optimizer = torch.optim.SGD(made.parameters(), lr=1e-4)
    # heads and window attention start at zero output: what lies behind is reached a step later
    for _ in range(3):
        optimizer.zero_grad()
        out = made(torch.randn(4, 2, 64))
        loss = sum(part.square().sum() + part.sum() for part in out.deviations)
        (loss * made.logit_scale).backward()
        optimizer.step()
    silent = [
        name
        for name, parameter in made.named_parameters()
        if parameter.grad is None or not parameter.grad.abs().max() > 0
    ]
    assert not silent


def test_condition_and_embeddings_pass_gradients_to_the_input() -> None:
    x = torch.randn(2, 2, 64, requires_grad=True)
    out = encoder()(x)
    (out.condition.sum() + out.image.sum() + out.text.sum()).backward()
    assert x.grad is not None and x.grad[..., :60].abs().max() > 0
    assert (x.grad[..., 60:] == 0).all()


def test_positions_that_are_not_used_have_no_influence() -> None:
    x = torch.randn(2, 2, 64)
    dirty = x.clone()
    dirty[..., 60:] = float("nan")
    made = encoder("none")
    assert torch.equal(made(x).condition, made(dirty).condition)


def test_linear_outputs_can_be_given() -> None:
    made = encoder()
    x = torch.randn(3, 2, 64)
    assert made.readout is not None
    seen = torch.where(made.present, x, 0.0)
    given = made(x, linear=made.readout.outputs(seen))
    assert torch.allclose(given.condition, made(x).condition, atol=1e-5)
    assert not torch.allclose(made(x, linear=torch.randn(3, 22)).text, made(x).text, atol=1e-2)


def test_pretrained_blocks_are_taken_where_they_fit() -> None:
    pretrained = MaskedAutoencoder(
        MaskedAutoencoderConfig(
            64, embed_dim=32, depth=3, num_heads=4, decoder_embed_dim=16, decoder_depth=1
        )
    )
    made = SpatioTemporalEncoder(encoder_config(linear_decoder().config, **SIZES))
    loaded = made.start_from(pretrained, linear_decoder())
    assert torch.equal(made.trunk.blocks[1].attn.qkv.weight, pretrained.blocks[1].attn.qkv.weight)
    assert "norm.weight" in loaded and "pos_embed" in loaded
    assert not [name for name in loaded if "temp" in name or "blocks.2" in name]


def test_mean_response_encodes_the_mean_condition() -> None:
    made = encoder()
    with torch.no_grad():
        made.calibration.measure_floors(made(torch.randn(50, 2, 64)).deviations)
    assert torch.allclose(
        made.mean_encoding().condition[0],
        made.calibration.condition_mean + made.calibration.bank.mean(0),
        atol=1e-4,
    )


def test_shrunk_predictions_come_out_at_the_size_of_targets() -> None:
    decoder = linear_decoder(sharpness=0.0)
    out = decoder(0.01 * torch.randn(5, 2, 64))
    size = (out.condition - decoder.calibration.condition_mean).flatten(1).norm(dim=1)
    assert torch.allclose(size, decoder.calibration.sizes[2].expand(5), rtol=1e-4)


def test_projection_composes_tokens_of_different_captions() -> None:
    calibration = linear_decoder(sharpness=200.0).calibration
    mixed = calibration.bank[3].clone()
    mixed[2] = calibration.bank[7, 2]
    noisy = mixed + 0.05 * torch.randn_like(mixed)
    assert torch.allclose(calibration._project(noisy[None])[0], mixed, atol=1e-2)


def test_folder_holds_everything(tmp_path: Path) -> None:
    made = encoder()
    made.save_pretrained(tmp_path / "model")
    again = SpatioTemporalEncoder.from_pretrained(tmp_path / "model")
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((2, 2, 64))).float()
    assert torch.equal(made(x).condition, again(x).condition)
    with pytest.raises(UserError, match="not a LinearDecoder"):
        LinearDecoder.from_pretrained(tmp_path / "model")


def test_moving_to_another_ridge_keeps_the_transformer() -> None:
    made, other = encoder(), linear_decoder()
    with torch.no_grad():
        made.text_head.projection.weight.normal_()
        other.readout.weight.mul_(2)
        other.readout.bias.fill_(0.3)
    moved = made.on(other)
    x = torch.randn(2, 2, 64)
    residual = made.residual(torch.where(made.present, x, 0.0), made.present.expand(2, -1))
    expected = other(x).deviations.text + residual.text
    assert torch.allclose(moved(x).deviations.text, expected, atol=1e-5)


def test_unknown_linear_path() -> None:
    with pytest.raises(UserError, match=r"align\.linear_path is 'lasso'"):
        encoder("lasso")
