"""Co-training: never worse than its start, never a look at test runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tests.fixtures_settings import section
from torch.nn.functional import normalize

from boldreel.base_models.diffusion import load_scheduler
from boldreel.data import arrays
from boldreel.data.responses import load_responses
from boldreel.errors import UserError
from boldreel.generator import cotrain, saving
from boldreel.generator.cotrain_losses import JointBatch, JointModel, joint_losses
from boldreel.generator.losses import LossOptions
from boldreel.models.checkpoint import read_tensors
from boldreel.models.encoder import SpatioTemporalEncoder, SpatioTemporalEncoderConfig
from boldreel.models.video_unet import Inflation, VideoUNet

CONFIG = section(
    "cotrain",
    epochs=2,
    steps_per_epoch=2,
    batch_size=3,
    warmup_epochs=0.5,  # one step
    condition_dropout=0.3,
    strip={"clips": 2, "steps": 2, "guidance": 2.0, "guided_share": 0.6},
)


def _run(data, base: Path, generator: Path, encoder: Path, output: Path, **config) -> None:  # type: ignore[no-untyped-def]
    movies = ["train01", "train02"]
    cotrain.main(
        ["--generator", str(generator), "--encoder", str(encoder), "--windows", str(data.windows)]
        + ["--series-dir", str(data.series), "--clips", str(data.clips)]
        + ["--features", *(str(data.features(m)) for m in movies)]
        + ["--latents", *(str(data.latents(m)) for m in movies)]
        + ["--diffusion-model", str(base), "--output", str(output)]
        + ["--state", str(output.with_name("state")), "--config", json.dumps({**CONFIG, **config})]
    )


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "weights.pt", weights_only=True)


def test_leaves_encoder_generator_and_negative(
    dataset,  # type: ignore[no-untyped-def]
    base_folder: Path,
    generator_folder: Path,
    encoder_folder: Path,
    tmp_path: Path,
) -> None:
    output = tmp_path / "cotrain"
    _run(dataset, base_folder, generator_folder, encoder_folder, output)
    saving.from_pretrained(output / "generator", base_folder)
    assert saving.load_shape(output / "generator") == saving.load_shape(generator_folder)
    encoder = type_of(encoder_folder).from_pretrained(output / "encoder")
    x = load_responses(dataset.windows, dataset.series, "train").x.mean(axis=0, keepdims=True)
    expected = encoder(torch.from_numpy(x)).condition[0].detach().numpy()
    assert np.allclose(saving.load_negative(output / "generator"), expected, atol=1e-5)
    header = (output / "history.tsv").read_text().splitlines()[0].split("\t")
    parts = {"alignment", "image", "text"}
    assert {"val_loss", "noise", *parts, *(f"val_{part}" for part in parts)} <= set(header)
    strips = sorted(path.name for path in (output / "strips").iterdir())
    assert strips == ["epoch-000.png", "epoch-001.png", "epoch-002.png"]


def type_of(_: Path):  # type: ignore[no-untyped-def]
    """The encoder class that the steps load."""
    return cotrain.SpatioTemporalEncoder


def test_a_harmful_training_leaves_the_start(
    dataset,  # type: ignore[no-untyped-def]
    base_folder: Path,
    generator_folder: Path,
    encoder_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worse = iter(range(10))
    monkeypatch.setattr(cotrain, "held_out_losses", lambda *_: {"val_loss": next(worse)})
    output = tmp_path / "cotrain"
    _run(dataset, base_folder, generator_folder, encoder_folder, output)
    before, after = (_weights(f) for f in (encoder_folder, output / "encoder"))
    assert all(torch.equal(after[name], before[name]) for name in before)
    start = saving.from_pretrained(generator_folder, base_folder).state_dict()
    end = saving.from_pretrained(output / "generator", base_folder).state_dict()
    assert all(torch.equal(end[name], start[name]) for name in start)


def test_nothing_fitted_sees_a_test_run(
    dataset,  # type: ignore[no-untyped-def]
    base_folder: Path,
    generator_folder: Path,
    encoder_folder: Path,
    tmp_path: Path,
) -> None:
    _run(dataset, base_folder, generator_folder, encoder_folder, tmp_path / "a" / "out")
    for run in (1, 2):
        path = dataset.series / f"task-test01_run-{run}.npy"
        series, meta = arrays.load(path, kind="series", mmap=False)
        meta = {k: v for k, v in meta.items() if k not in ("kind", "shape", "dtype")}
        arrays.save(path, series * 100 + 7, kind="series", **meta)
    _run(dataset, base_folder, generator_folder, encoder_folder, tmp_path / "b" / "out")
    for name in ("generator/negative.npy", "generator/model.safetensors", "history.tsv"):
        first, second = ((tmp_path / side / "out" / name).read_bytes() for side in "ab")
        assert first == second, name
    one, other = (_weights(tmp_path / side / "out" / "encoder") for side in "ab")
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_negative_follows_the_training_runs(dataset, encoder_folder: Path) -> None:  # type: ignore[no-untyped-def]
    encoder = type_of(encoder_folder).from_pretrained(encoder_folder)
    training = load_responses(dataset.windows, dataset.series, "train")
    negative = cotrain.negative_condition(encoder, cotrain.mean_window(training))
    path = dataset.series / "task-train01_run-1.npy"
    series, meta = arrays.load(path, kind="series", mmap=False)
    meta = {k: v for k, v in meta.items() if k not in ("kind", "shape", "dtype")}
    arrays.save(path, series + 1, kind="series", **meta)
    changed = load_responses(dataset.windows, dataset.series, "train")
    moved = cotrain.negative_condition(encoder, cotrain.mean_window(changed))
    assert np.abs(moved - negative).max() > 1e-3


def test_missing_latents_are_named(
    dataset,  # type: ignore[no-untyped-def]
    base_folder: Path,
    generator_folder: Path,
    encoder_folder: Path,
    tmp_path: Path,
) -> None:
    with pytest.raises(UserError, match="train02-0000"):
        cotrain.main(
            ["--generator", str(generator_folder), "--encoder", str(encoder_folder)]
            + ["--windows", str(dataset.windows), "--series-dir", str(dataset.series)]
            + ["--clips", str(dataset.clips), "--features", str(dataset.features("train01"))]
            + ["--latents", str(dataset.latents("train01")), "--output", str(tmp_path / "out")]
            + ["--diffusion-model", str(base_folder), "--state", str(tmp_path / "state")]
            + ["--config", json.dumps(CONFIG)]
        )


def test_two_processes_train_like_one(
    dataset,  # type: ignore[no-untyped-def]
    base_folder: Path,
    generator_folder: Path,
    train_in: Callable[..., None],
    tmp_path: Path,
) -> None:
    """With a subject's own kind of encoder, every part of which the launcher's processes must reach."""
    torch.manual_seed(3)
    config = SpatioTemporalEncoderConfig(
        num_voxels=16,
        window=2,
        tokens=7,
        token_width=12,
        image_dim=10,
        text_dim=10,
        bank=3,
        sharpness=0.0,
        rank=4,
        patch_size=4,
        embed_dim=8,
        depth=1,
        num_heads=2,
    )
    SpatioTemporalEncoder(config).save_pretrained(tmp_path / "subject")
    movies = ["train01", "train02"]
    for processes in (1, 2):
        arguments = [
            *("--diffusion-model", str(base_folder), "--clips", str(dataset.clips)),
            *("--generator", str(generator_folder), "--encoder", str(tmp_path / "subject")),
            *("--windows", str(dataset.windows), "--series-dir", str(dataset.series)),
            *("--features", *(str(dataset.features(m)) for m in movies)),
            *("--latents", *(str(dataset.latents(m)) for m in movies)),
            *("--output", str(tmp_path / f"with{processes}")),
            *("--state", str(tmp_path / f"state{processes}")),
            *("--config", json.dumps({**CONFIG, "batch_size": 4, "condition_dropout": 0.5})),
        ]
        train_in(processes, "boldreel.generator.cotrain", arguments)
    one, two = (read_tensors(tmp_path / f"with{n}" / "encoder") for n in (1, 2))
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, rtol=1e-3, atol=2e-5, msg=name)
    histories = [
        pd.read_csv(tmp_path / f"with{processes}" / "history.tsv", sep="\t") for processes in (1, 2)
    ]
    pd.testing.assert_frame_equal(*histories, rtol=1e-4)


def test_gradient_checkpointing_trains_alike(
    dataset,  # type: ignore[no-untyped-def]
    unet,  # type: ignore[no-untyped-def]
    base_folder: Path,
    encoder_folder: Path,
    tmp_path: Path,
) -> None:
    """As the configurations for real data set it, with single frames above a timestep."""
    inflation = Inflation(noise_correlation=1.0, image_above=400)
    generator = tmp_path / "above"
    negative, shape = np.zeros((7, 12), np.float32), saving.ClipShape(3, 1.5, 4, 4)
    network = VideoUNet(unet, inflation)
    saving.save_pretrained(network, generator, base_folder, negative, shape)
    for name, recompute in (("plain", False), ("less", True)):
        output = tmp_path / name / "out"
        _run(
            dataset,
            base_folder,
            generator,
            encoder_folder,
            output,
            gradient_checkpointing=recompute,
        )
    plain, less = (_weights(tmp_path / name / "out" / "encoder") for name in ("plain", "less"))
    for name, tensor in plain.items():
        torch.testing.assert_close(less[name], tensor, rtol=1e-3, atol=2e-5, msg=name)


def _joint(unet, encoder, base_folder: Path):  # type: ignore[no-untyped-def]
    torch.manual_seed(1)
    batch = JointBatch(
        torch.randn(2, 2, 16),
        torch.randn(2, 3, 4, 4, 4),
        torch.zeros(2, 7, 12),
        normalize(torch.randn(2, 10), dim=1),
        normalize(torch.randn(2, 10), dim=1),
    )
    losses = joint_losses(
        JointModel(encoder, VideoUNet(unet)),
        batch,
        load_scheduler(base_folder),
        Inflation(),
        torch.Generator().manual_seed(0),
        2.0,
        LossOptions(),
    )
    return batch, losses


def test_joint_losses_are_those_of_fmri_image_and_text(
    unet,  # type: ignore[no-untyped-def]
    encoder_folder: Path,
    base_folder: Path,
) -> None:
    encoder = type_of(encoder_folder).from_pretrained(encoder_folder)
    batch, losses = _joint(unet, encoder, base_folder)
    own = encoder(batch.x)
    assert losses.noise.shape == (2,)
    assert torch.allclose(losses.alignment, own.condition.square().flatten(1).mean(1) / 2)
    for name in ("image", "text"):
        value, truth = getattr(own, name), getattr(batch, name)
        cosine = (value * truth).sum(1) / value.norm(dim=1)
        assert torch.allclose(getattr(losses, name), 1 - cosine, atol=1e-6)


@pytest.mark.parametrize(
    ("loss", "reached"), [("noise", "map"), ("image", "image_map"), ("text", "text_map")]
)
def test_each_loss_reaches_its_part_of_the_encoder(
    unet,  # type: ignore[no-untyped-def]
    encoder_folder: Path,
    base_folder: Path,
    loss: str,
    reached: str,
) -> None:
    encoder = type_of(encoder_folder).from_pretrained(encoder_folder)
    _, losses = _joint(unet, encoder, base_folder)
    getattr(losses, loss).sum().backward()
    for name in ("map", "image_map", "text_map"):
        gradient = getattr(encoder, name).weight.grad
        assert (gradient is not None and bool(gradient.abs().sum() > 0)) == (name == reached)


def test_a_dropped_window_is_compared_with_nothing(
    dataset,  # type: ignore[no-untyped-def]
    base_folder: Path,
    generator_folder: Path,
    encoder_folder: Path,
    tmp_path: Path,
) -> None:
    output = tmp_path / "cotrain"
    _run(dataset, base_folder, generator_folder, encoder_folder, output, condition_dropout=1.0)
    history = pd.read_csv(output / "history.tsv", sep="\t").iloc[1:]
    assert (history[["alignment", "image", "text"]] == 0).all(axis=None)
    assert (history["noise"] > 0).all()
