"""The network on disk: only what differs, and only with its own base."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from boldreel.base_models import diffusion
from boldreel.errors import UserError
from boldreel.generator import saving
from boldreel.models.video_unet import Inflation, VideoUNet

SHAPE = saving.ClipShape(6, 3.0, 4, 4)
NEGATIVE = np.ones((7, 12), np.float32)


def _save(unet, base_folder: Path, folder: Path) -> VideoUNet:  # type: ignore[no-untyped-def]
    network = VideoUNet(unet, Inflation("first-previous", "none", 0.3))
    network.train_only(["cross", "temporal"])
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.requires_grad:
                parameter += 0.01
    saving.save_pretrained(network, folder, base_folder, NEGATIVE, SHAPE)
    return network


def test_round_trip(unet, base_folder: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    network = _save(unet, base_folder, tmp_path)
    again = saving.from_pretrained(tmp_path, base_folder)
    assert again.inflation == network.inflation
    for name, tensor in network.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name
    assert saving.load_shape(tmp_path) == SHAPE
    assert np.array_equal(saving.load_negative(tmp_path), NEGATIVE)


def test_keeps_only_what_differs(unet, base_folder: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    _save(unet, base_folder, tmp_path)
    names = load_file(tmp_path / "model.safetensors")
    assert names and all(any(m in n for m in (".attn2.", "_temp.")) for n in names)


def test_another_base_is_refused(unet, base_folder: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    _save(unet, base_folder, tmp_path / "model")
    other = tmp_path / "other"
    shutil.copytree(base_folder, other)
    (weights,) = (other / "unet").glob("*.safetensors")
    tensors = load_file(weights)
    tensors["conv_in.bias"] += 1
    save_file(tensors, weights)
    with pytest.raises(UserError, match="not from") as error:
        saving.from_pretrained(tmp_path / "model", other)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("damage", ["config.json", "model.safetensors", "negative.npy"])
def test_broken_folder(unet, base_folder: Path, tmp_path: Path, damage: str) -> None:  # type: ignore[no-untyped-def]
    _save(unet, base_folder, tmp_path)
    (tmp_path / damage).write_bytes(b"{")
    with pytest.raises(UserError, match=r"again"):
        saving.load_negative(tmp_path)
        saving.from_pretrained(tmp_path, base_folder)


def test_missing_base(base_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for name in ("./nowhere", "nobody/nothing-at-all"):
        with pytest.raises(UserError, match=r"models\.diffusion") as error:
            diffusion.find_base(name)
        assert name in str(error.value) and "\n" not in str(error.value)
    partial = tmp_path / "partial"
    shutil.copytree(base_folder, partial)
    shutil.rmtree(partial / "vae")
    with pytest.raises(UserError, match="vae"):
        diffusion.find_base(partial)
    (partial / "vae").mkdir()
    shutil.copy(base_folder / "vae" / "config.json", partial / "vae")
    with pytest.raises(UserError, match=r"vae/diffusion_pytorch_model\.safetensors is missing"):
        diffusion.find_base(partial)


def test_config_names_the_base(unet, base_folder: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    _save(unet, base_folder, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["base"]["unet_sha256"] == diffusion.identity(base_folder)
