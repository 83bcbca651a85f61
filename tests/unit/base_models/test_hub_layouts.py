"""The layouts of the real repositories, offline: every model opens from the cache with all its weights."""

from __future__ import annotations

import hashlib
import shutil

import numpy as np
import pytest
import torch
from tests.tools.tiny_hub import COMMIT

from boldreel.base_models import diffusion, frozen
from boldreel.data import provenance

CPU = torch.device("cpu")
SD = "stable-diffusion-v1-5/stable-diffusion-v1-5"


def _same(loaded: torch.nn.Module, made: torch.nn.Module, **inputs: torch.Tensor) -> None:
    """Both answer alike, whatever their tensors were called in the file."""
    with torch.inference_mode():
        one, two = loaded(**inputs)[0], made(**inputs)[0]
    torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-6)
    assert one.std() > 1e-4, "the answer depends on the weights"


@torch.inference_mode()
@pytest.mark.parametrize("revision", ["", f"@{COMMIT}"])
def test_stable_diffusion(hub, revision: str) -> None:
    folder = diffusion.find_base(SD + revision)
    assert folder == hub.snapshot(SD)
    torch.manual_seed(1)
    sample, words = torch.randn(1, 4, 4, 4), torch.randn(1, 3, 16)
    inputs = {"sample": sample, "timestep": torch.tensor(5), "encoder_hidden_states": words}
    _same(diffusion.load_unet(folder), hub.made["unet"], **inputs)
    _same(diffusion.load_vae(folder), hub.made["vae"], sample=torch.randn(1, 3, 8, 8))
    scheduler = diffusion.load_scheduler(folder)
    assert scheduler.config.beta_end == 0.012 and scheduler.config.num_train_timesteps == 1000


def test_text_encoder_and_its_tokenizer_without_config(hub) -> None:
    assert not (hub.snapshot(SD) / "tokenizer" / "config.json").exists()
    encoder, tokenizer = frozen.load_text_encoder(SD, CPU)
    tokens = tokenizer(["red"], return_tensors="pt")["input_ids"]
    assert tokens.tolist() == [[54, 53, 55]], "start, the merged word, end"
    _same(encoder, hub.made["text"], input_ids=tokens)


def test_clip(hub) -> None:
    model, processor, tokenizer = frozen.load_clip("openai/clip-vit-large-patch14", CPU)
    frames = np.random.default_rng(0).integers(0, 255, (2, 20, 24, 3), np.uint8)
    pixels = processor(images=list(frames), return_tensors="pt")["pixel_values"]
    assert pixels.shape == (2, 3, 16, 16)
    tokens = tokenizer(["red", "a"], padding=True, return_tensors="pt")
    _same(model, hub.made["clip"], pixel_values=pixels, **tokens)


@pytest.mark.parametrize(
    ("role", "name", "made", "kind", "shape"),
    [
        (
            "image_classifier",
            "google/vit-base-patch16-224",
            "vit",
            "AutoModelForImageClassification",
            (2, 3, 16, 16),
        ),
        (
            "video_classifier",
            "MCG-NJU/videomae-base-finetuned-kinetics",
            "videomae",
            "AutoModelForVideoClassification",
            (1, 4, 3, 16, 16),
        ),
    ],
)
def test_classifiers(hub, role: str, name: str, made: str, kind: str, shape: tuple) -> None:
    import transformers

    model, processor = frozen.load_viewer(role, name, getattr(transformers, kind), CPU)
    frames = list(np.random.default_rng(0).integers(0, 255, (4, 20, 24, 3), np.uint8))
    clip = [frames] if role == "video_classifier" else frames[:2]
    pixels = processor(clip, return_tensors="pt")["pixel_values"]
    assert pixels.shape == shape
    _same(model, hub.made[made], pixel_values=pixels)


def test_captioner(hub) -> None:
    model, processor, tokenizer = frozen.load_captioner(
        "Salesforce/blip-image-captioning-base", CPU
    )
    frame = np.random.default_rng(0).integers(0, 255, (20, 24, 3), np.uint8)
    pixels = processor(images=[frame], return_tensors="pt")["pixel_values"]
    tokens = tokenizer(["a red ball"], return_tensors="pt")["input_ids"]
    assert tokens[0, 1:4].tolist() == [6, 8, 7]
    _same(model, hub.made["blip"], pixel_values=pixels, input_ids=tokens)


def test_weights_in_the_cache_are_hashed_by_the_hub_alone(hub, tmp_path, monkeypatch) -> None:
    """Not in each job; a copy of the folder is the same model, and other weights are another."""
    folder = hub.snapshot(SD)
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    copy = shutil.copytree(folder, tmp_path / "copy")  # no links
    own, before = diffusion.identity(folder), provenance.digest(weights)
    assert own == diffusion.identity(copy)
    assert hashlib.sha256(weights.read_bytes()).hexdigest() == provenance.hub_sha256(weights)
    read: list[str] = []
    opened = open

    def noting(path, *more):  # type: ignore[no-untyped-def]
        read.append(str(path))
        return opened(path, *more)

    monkeypatch.setattr("builtins.open", noting)
    assert provenance.digest(weights) == before and not read
    other = folder.with_name("other")
    try:
        shutil.copytree(folder / "unet", other / "unet", symlinks=True)
        changed = other / "unet" / weights.name
        changed.unlink()
        changed.symlink_to((folder / "unet" / "diffusion_pytorch_model.fp16.safetensors").resolve())
        assert diffusion.identity(other) != own and provenance.digest(changed) != before
    finally:
        shutil.rmtree(other)
