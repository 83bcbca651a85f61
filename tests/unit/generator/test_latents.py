"""The latents of a movie against the autoencoder itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from boldreel.base_models import diffusion
from boldreel.data import arrays
from boldreel.errors import UserError
from boldreel.generator import latents


def test_latents_are_scaled_means(dataset, base_folder: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    target = tmp_path / "out" / "train01.npy"
    frames_path = dataset.frames("train01")
    latents.main(
        ["--frames", str(frames_path), "--diffusion-model", str(base_folder)]
        + ["--output", str(target), "--config", '{"latents_batch": 5}']
    )
    coded, meta = arrays.load(target, kind="latents")
    frames, _ = arrays.load(frames_path, kind="frames")
    assert coded.dtype == np.float16 and meta["frame_rate"] == 1.5
    vae = diffusion.load_vae(base_folder)
    pictures = torch.from_numpy(np.array(frames)).permute(0, 3, 1, 2) / 127.5 - 1
    expected = vae.encode(pictures).latent_dist.mean * vae.config.scaling_factor
    assert np.abs(coded.astype(np.float32) - expected.numpy()).max() < 2e-3
    assert target.with_name("train01.npy.provenance.json").exists()


def test_latents_of_a_batch_say_whose_they_are(dataset, base_folder: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    frames, _ = arrays.load(dataset.frames("train01"), kind="frames")
    whose = {"b": [0, 3], "a": [3, len(frames) - 3]}
    source, target = tmp_path / "train-1" / "frames.npy", tmp_path / "train-1.npy"
    arrays.save(source, frames, kind="frames", frame_rate=1.5, movies=whose)
    latents.main(
        ["--frames", str(source), "--diffusion-model", str(base_folder)]
        + ["--output", str(target), "--config", '{"latents_batch": 5}']
    )
    coded, meta = arrays.load(target, kind="latents")
    assert len(coded) == len(frames) and meta["movies"] == whose


def test_encode_and_decode_undo_each_others_scale(base_folder: Path) -> None:
    vae = diffusion.load_vae(base_folder)
    pictures = torch.rand(1, 3, 8, 8) * 2 - 1
    expected = vae.decode(vae.encode(pictures).latent_dist.mean).sample.clamp(-1, 1)
    assert torch.allclose(
        diffusion.decode(vae, diffusion.encode(vae, pictures)), expected, atol=1e-5
    )


def test_odd_sizes_are_refused(base_folder: Path) -> None:
    vae = diffusion.load_vae(base_folder)
    with pytest.raises(UserError, match="multiples of 2"):
        latents.code_frames(vae, np.zeros((2, 9, 8, 3), np.uint8), 2, torch.device("cpu"))
