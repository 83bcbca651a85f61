"""The packed backbone through its steps: tuning, a subject's reading, co-training and drawing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.fixtures_settings import section

from boldreel.base_models import video
from boldreel.data.left_out import LeftOut
from boldreel.errors import UserError
from boldreel.generator import backbones, cotrain, tune
from boldreel.generator.packed import training
from boldreel.generator.packed.reading import Reading
from boldreel.models.decoder import DecoderConfig, LinearDecoder
from boldreel.models.encoder import SpatioTemporalEncoder, SpatioTemporalEncoderConfig

STRIP = {"clips": 2, "steps": 2, "scheduler": "DDIM", "guidance": 2.0, "guided_share": 0.6}
SHORT = {"epochs": 2, "steps_per_epoch": 3, "batch_size": 2, "validation_clips": 4, "strip": STRIP}
TUNE = section("generator", backbone="packed", motion_channels=4, **SHORT)
COTRAIN = section("cotrain", **SHORT)
MOVIES = ("train01", "train02")


def run_tune(dataset, base: Path, output: Path, state: Path, *more: str) -> Path:  # type: ignore[no-untyped-def]
    tune.main(
        ["--diffusion-model", str(base), "--clips", str(dataset.clips), *more]
        + ["--latents", *(str(dataset.latents(m)) for m in MOVIES)]
        + ["--features", *(str(dataset.features(m)) for m in MOVIES)]
        + ["--train", "train01", "--validation", "train02"]
        + ["--output", str(output), "--state", str(state), "--config", json.dumps(TUNE)]
    )
    return output / "model"


def test_tuning_stops_resumes_and_goes_on_from_a_prior(
    dataset,  # type: ignore[no-untyped-def]
    base_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = run_tune(dataset, base_folder, tmp_path / "whole", tmp_path / "a")
    real, calls = training.packed_loss, []

    def failing(*arguments):  # type: ignore[no-untyped-def]
        calls.append(1)
        if len(calls) == 14:  # of the first validation's 8 and 6 steps
            raise KeyboardInterrupt
        return real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(training, "packed_loss", failing)
        with pytest.raises(KeyboardInterrupt):
            run_tune(dataset, base_folder, tmp_path / "cut", tmp_path / "b")
    cut = run_tune(dataset, base_folder, tmp_path / "cut", tmp_path / "b")
    for name in ("packing.safetensors", "unet/diffusion_pytorch_model.safetensors"):
        assert (cut / name).read_bytes() == (whole / name).read_bytes()
    backbone = backbones.load(whole, base_folder)
    assert isinstance(backbone, backbones.Packed) and backbone.shape.frames == 3
    assert not backbone.negative.any()
    again = run_tune(
        dataset, base_folder, tmp_path / "again", tmp_path / "c", "--video-model", str(whole)
    )
    assert video.read(again).config == video.read(whole).config


def subject(dataset, tmp_path: Path) -> dict[str, Path]:  # type: ignore[no-untyped-def]
    """An encoder, a decoder of sketches and their left-out predictions, all random."""
    from boldreel.data.responses import load_responses

    responses = load_responses(dataset.windows, dataset.series, ("train", "validation"))
    _, window, voxels = responses.x.shape
    features = dataset.features("train01")
    tokens, width = np.load(features / "condition.npy").shape[1:]
    dim = np.load(features / "text.npy").shape[1]
    shared = {
        "num_voxels": voxels,
        "window": window,
        "tokens": tokens,
        "token_width": width,
        "image_dim": dim,
        "text_dim": dim,
        "bank": 0,
        "sharpness": 0.0,
        "rank": 3,
        "motion_dim": 2,
    }
    torch.manual_seed(3)
    encoder = SpatioTemporalEncoder(
        SpatioTemporalEncoderConfig(**shared, patch_size=1, embed_dim=8, depth=1, num_heads=2)
    )
    sketch_sizes = {"tokens": 1, "token_width": 1, "image_dim": 256, "text_dim": 0, "rank": 1}
    sketcher = LinearDecoder(DecoderConfig(**{**shared, **sketch_sizes, "motion_dim": 0}))
    for decoder in (encoder, sketcher):
        assert decoder.readout is not None
        torch.nn.init.normal_(decoder.readout.weight, std=0.1)
        torch.nn.init.normal_(decoder.readout.basis)
    encoder.save_pretrained(tmp_path / "encoder")
    sketcher.save_pretrained(tmp_path / "sketch")
    rng = np.random.default_rng(4)
    found = {"encoder": tmp_path / "encoder", "sketch": tmp_path / "sketch"}
    counts = np.full(len(responses.clips), 2)
    for name, columns in (("left-out", 2 * dim + 3 + 2), ("sketch-left-out", 256)):
        values = rng.normal(size=(len(responses.clips), columns)).astype(np.float32)
        path = tmp_path / f"{name.replace('-', '_')}.npy"
        LeftOut(values, np.eye(columns, dtype=np.float32), responses.clips, counts).save(path)
        found[name] = path
    return found


def test_co_training_leaves_what_reads_and_draws(
    dataset, base_folder: Path, tmp_path: Path
) -> None:  # type: ignore[no-untyped-def]
    model = run_tune(dataset, base_folder, tmp_path / "tuned", tmp_path / "a")
    known = subject(dataset, tmp_path)
    arguments = ["--generator", str(model), "--windows", str(dataset.windows)]
    arguments += ["--series-dir", str(dataset.series), "--clips", str(dataset.clips)]
    arguments += ["--features", *(str(dataset.features(m)) for m in MOVIES)]
    arguments += ["--latents", *(str(dataset.latents(m)) for m in MOVIES)]
    arguments += ["--diffusion-model", str(base_folder), "--state", str(tmp_path / "b")]
    arguments += ["--output", str(tmp_path / "cotrain"), "--config", json.dumps(COTRAIN)]
    with pytest.raises(UserError, match="--left-out, --sketch"):
        cotrain.main([*arguments, "--encoder", str(known["encoder"])])
    cotrain.main([*arguments, *(word for k, v in known.items() for word in (f"--{k}", str(v)))])
    network = video.read(tmp_path / "cotrain" / "generator")
    reading = Reading.load(tmp_path / "cotrain" / "encoder", network)
    x = torch.randn(3, *reading.encoder.mean_window.shape)
    told = reading(x, torch.tensor([1.0, 2.0, 10.0]))
    assert told.shape == (3, 2, sum(network.config.components))
    assert (told[:, 1] >= 0).all() and (told[:, 1] <= 0.98).all()
    torch.testing.assert_close(reading(x[1:2], torch.tensor([2.0])), told[1:2])
    # noise knows nothing: with fourteen clips a chance correlation still tells a little
    assert float(told[0, 1].mean()) < 0.3
    backbone = backbones.load(tmp_path / "cotrain" / "generator", base_folder)
    drawn = backbone.draw(
        backbone.scheduler(base_folder, "DDIM"),
        told,
        [torch.Generator().manual_seed(k) for k in range(3)],
        backbones.Sampling(2, 2.0, 0.6),
    )
    assert drawn.shape == (3, 3, 4, 4, 4) and torch.isfinite(drawn).all()
