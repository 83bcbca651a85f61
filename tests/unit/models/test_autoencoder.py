"""The masked autoencoder."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from boldreel import presets
from boldreel.errors import UserError
from boldreel.models.autoencoder import MaskedAutoencoder, MaskedAutoencoderConfig
from boldreel.pretrain.settings import network

SIZES = {
    "embed_dim": 16,
    "depth": 2,
    "num_heads": 2,
    "decoder_embed_dim": 8,
    "decoder_depth": 1,
    "decoder_num_heads": 2,
}


def model(voxels: int = 128, **changes: float) -> MaskedAutoencoder:
    torch.manual_seed(0)
    return MaskedAutoencoder(MaskedAutoencoderConfig(voxels, **{**SIZES, **changes}))


def test_published_sizes() -> None:
    with torch.device("meta"):
        made = MaskedAutoencoder(
            MaskedAutoencoderConfig(6016, **network(presets.load("mindvideo")["pretrain"]))
        )
    tensors = made.state_dict()
    assert len(tensors) == 398
    assert round(sum(t.numel() for t in tensors.values()) / 1e6, 1) == 165.0
    assert tensors["blocks.23.mlp.fc1.weight"].shape == (1024, 1024)


def test_mask_ratio_and_order() -> None:
    noise = torch.rand(3, 8)
    encoded = model().encode(torch.randn(3, 128), noise=noise)
    assert encoded.latent.shape == (3, 3, 16)
    assert (encoded.mask.sum(1) == 6).all()
    seen = noise.argsort(1)[:, :2]
    assert (encoded.mask.gather(1, seen) == 0).all()


def test_only_visible_patches_are_encoded() -> None:
    made, x, noise = model(), torch.randn(2, 128), torch.rand(2, 8)
    encoded = made.encode(x, noise=noise)
    hidden = encoded.mask.repeat_interleave(16, dim=1).bool()
    other = made.encode(torch.where(hidden, 99.0, x), noise=noise)
    assert torch.equal(encoded.latent, other.latent)


def test_loss_is_the_error_of_hidden_patches() -> None:
    made, x, noise = model(), torch.randn(2, 128), torch.rand(2, 8)
    out = made(x, noise=noise)
    error = ((out.prediction - x.unflatten(1, (8, 16))) ** 2).mean(2)
    assert torch.allclose(out.loss, error[out.mask.bool()].mean())


def test_what_is_expected_is_the_start() -> None:
    made, x, noise = model(), torch.randn(2, 128), torch.rand(2, 8)
    asked = []

    def expected(values: torch.Tensor, visible: torch.Tensor) -> torch.Tensor:
        asked.append(visible)
        return values + 1

    out = made(x, noise=noise, expected=expected)
    assert torch.equal(asked[0], ~out.mask.bool().repeat_interleave(16, dim=1))
    assert torch.equal(out.prediction.flatten(1), x + 1)  # the last layer starts at zero
    assert out.error.tolist() == out.start.tolist() == pytest.approx([6, 6])
    made.decoder_pred.bias.data.fill_(-1.0)
    after = made(x, noise=noise, expected=expected)
    assert after.loss < 1e-6 and after.start.tolist() == out.start.tolist()


def test_absent_positions_are_neither_seen_nor_predicted() -> None:
    made, x, noise = model(), torch.randn(2, 128), torch.rand(2, 8)
    present = torch.ones(2, 128, dtype=torch.bool)
    present[:, 5:9] = False
    present[0, 96:] = False  # two whole patches of one subject
    dirty = torch.where(present, x, float("nan"))
    clean, other = made(x, present, noise), made(dirty, present, noise)
    assert torch.equal(clean.loss, other.loss)
    assert torch.equal(clean.prediction, other.prediction)
    # empty patches are hidden, but cost nothing
    assert (clean.mask[0, 6:] == 1).all()
    assert clean.mask[0].sum() == 2 + 5 and clean.mask[1].sum() == 6
    alone = made(x[:1], present[:1], noise[:1])
    assert torch.allclose(alone.prediction, clean.prediction[:1], atol=1e-5)


def test_gradients_reach_every_parameter() -> None:
    made = model()
    torch.nn.init.normal_(made.decoder_pred.weight)  # starts at zero, and lets nothing through
    made(torch.randn(4, 128)).loss.backward()
    silent = [n for n, p in made.named_parameters() if p.grad is None or not p.grad.abs().any()]
    assert not silent


def test_folder(tmp_path: Path) -> None:
    made = model().eval()
    made.save_pretrained(tmp_path / "model")
    again = MaskedAutoencoder.from_pretrained(tmp_path / "model")
    x, noise = torch.randn(2, 128), torch.rand(2, 8)
    assert torch.equal(made(x, noise=noise).prediction, again(x, noise=noise).prediction)
    assert again.config == made.config


def test_weights_that_do_not_fit_are_listed(tmp_path: Path) -> None:
    made = model()
    made.save_pretrained(tmp_path / "model")
    tensors = made.state_dict()
    tensors["stray"] = tensors.pop("norm.weight")
    tensors["mask_token"] = torch.zeros(3)
    save_file(tensors, tmp_path / "model" / "model.safetensors")
    with pytest.raises(UserError, match=r"missing: norm\.weight; unexpected: stray; .*mask_token"):
        MaskedAutoencoder.from_pretrained(tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(UserError, match="unreadable weights"):
        MaskedAutoencoder.from_pretrained(tmp_path / "model")
    with pytest.raises(UserError, match=r"no readable config\.json"):
        MaskedAutoencoder.from_pretrained(tmp_path)
