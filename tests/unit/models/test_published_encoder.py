"""The published encoder's names and shapes, and checkpoints under them."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from boldreel.align import adopt
from boldreel.errors import UserError
from boldreel.models.autoencoder import MaskedAutoencoder, MaskedAutoencoderConfig
from boldreel.models.published_encoder import PublishedEncoder, PublishedEncoderConfig

KEYS = Path(__file__).parents[4] / "shared" / "conformance" / "published_keys.json"
SIZES = {"embed_dim": 32, "depth": 2, "num_heads": 4}


def encoder() -> PublishedEncoder:
    torch.manual_seed(0)
    config = PublishedEncoderConfig(64, window=3, tokens=7, token_width=12, **SIZES)  # type: ignore[arg-type]
    made = PublishedEncoder(config)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return made.eval()


def autoencoder() -> MaskedAutoencoder:
    torch.manual_seed(0)
    decoder = {"decoder_embed_dim": 16, "decoder_depth": 1, "decoder_num_heads": 2}
    return MaskedAutoencoder(MaskedAutoencoderConfig(64, mlp_ratio=2.0, **SIZES, **decoder)).eval()  # type: ignore[arg-type]


def test_published_sizes() -> None:
    with torch.device("meta"):
        tensors = PublishedEncoder(PublishedEncoderConfig(6016)).state_dict()
    assert len(tensors) == 443
    assert round(sum(t.numel() for t in tensors.values()) / 1e6, 1) == 253.9
    assert tensors["proj_head.channel_mapper.weight"].shape == (77, 752)


@pytest.mark.skipif(not KEYS.exists(), reason="no reference arrays next to the checkout")
@pytest.mark.parametrize("name", ["fmri_encoder_sub1", "mae_pretrain_mindvis_config_numvoxels6016"])
def test_sizes_are_read_from_the_published_shapes(name: str) -> None:
    shapes = json.loads(KEYS.read_text())[name]
    with torch.device("meta"):
        tensors = {key: torch.empty(shape) for key, shape in shapes.items()}
        if adopt.AUTOENCODER in tensors:
            made = MaskedAutoencoder(adopt.autoencoder_config(tensors, 16, 16)).state_dict()
        else:
            made = PublishedEncoder(adopt.encoder_config(tensors, 16)).state_dict()
    assert {key: list(tensor.shape) for key, tensor in made.items()} == shapes


def test_an_encoder_comes_back_from_every_kind_of_file(tmp_path: Path) -> None:
    original = encoder()
    tensors = original.state_dict()
    save_file(tensors, tmp_path / "a.safetensors")
    torch.save(tensors, tmp_path / "b.pth")
    torch.save({"model": tensors, "epoch": 3}, tmp_path / "c.pth")
    x = torch.randn(2, 3, 64)
    for file in sorted(tmp_path.glob("?.*")):
        folder = tmp_path / "models" / file.stem
        adopt.main(["--checkpoint", str(file), "--output", str(folder), "--heads", "4"])
        model = PublishedEncoder.from_pretrained(folder)
        assert model.config == original.config
        assert torch.equal(model(x), original(x)) and model(x).shape == (2, 7, 12)


def test_an_autoencoder_comes_back(tmp_path: Path) -> None:
    original = autoencoder()
    save_file(original.state_dict(), tmp_path / "a.safetensors")
    found = adopt.load(tmp_path / "a.safetensors", heads=4, decoder_heads=2)
    x, noise = torch.randn(2, 64), torch.rand(2, 4)
    assert isinstance(found, MaskedAutoencoder) and found.config == original.config
    assert torch.equal(found(x, noise=noise).prediction, original(x, noise=noise).prediction)


def test_what_lacks_or_is_too_much_is_listed(tmp_path: Path) -> None:
    tensors = encoder().state_dict()
    del tensors["blocks.1.norm1.bias"], tensors["norm.weight"]
    tensors["surplus"] = torch.zeros(2)
    save_file(tensors, tmp_path / "a.safetensors")
    with pytest.raises(UserError) as told:
        adopt.load(tmp_path / "a.safetensors", heads=4)
    for name in ("blocks.1.norm1.bias", "norm.weight", "surplus"):
        assert name in str(told.value)
    save_file({"x": torch.zeros(2)}, tmp_path / "b.safetensors")
    with pytest.raises(UserError, match="neither decoder_pred"):
        adopt.load(tmp_path / "b.safetensors")


class Dangerous:
    def __reduce__(self) -> tuple:
        return (Path("executed").touch, ())


def test_nothing_pickled_is_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.pth").write_bytes(pickle.dumps({"model": Dangerous()}))
    torch.save({"model": encoder().state_dict(), "config": Dangerous()}, tmp_path / "b.pth")
    for name in ("a.pth", "b.pth"):
        with pytest.raises(UserError, match="unreadable weights"):
            adopt.load(tmp_path / name)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("what", ["encoder", "autoencoder"])
def test_recomputing_changes_no_gradient_and_reaches_every_block(what: str) -> None:
    """With gradient checkpointing each block, those that attend over the window too, runs twice."""
    model: torch.nn.Module = encoder() if what == "encoder" else autoencoder()
    x, noise = torch.randn(2, 3, 64), torch.rand(2, 4)
    blocks = [*model.blocks, *getattr(model, "decoder_blocks", [])]  # type: ignore[misc]
    gradients, calls = [], []
    for recompute in (False, True):
        model.gradient_checkpointing = recompute  # type: ignore[assignment]
        model.zero_grad()
        count = dict.fromkeys(range(len(blocks)), 0)
        hooks = [
            block.register_forward_pre_hook(
                lambda *_, k=k, count=count: count.update({k: count[k] + 1})
            )
            for k, block in enumerate(blocks)
        ]
        out = model(x) if what == "encoder" else model(x[:, 0], noise=noise).loss
        out.square().sum().backward()
        for hook in hooks:
            hook.remove()
        gradients.append(
            {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
        )
        calls.append(list(count.values()))
    assert calls == [[1] * len(blocks), [2] * len(blocks)]
    assert all(torch.equal(gradients[0][name], gradients[1][name]) for name in gradients[0])
