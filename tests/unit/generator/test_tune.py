"""The tuning step: what it trains, what it keeps, and that it goes on after a stop."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from tests.fixtures_settings import section

from boldreel.base_models import diffusion
from boldreel.data import arrays
from boldreel.errors import UserError
from boldreel.generator import saving, tune, tuning
from boldreel.generator.clip_latents import load_material
from boldreel.models.video_unet import Inflation, VideoUNet

CONFIG = section(
    "generator",
    backbone="inflated",
    epochs=2,
    steps_per_epoch=3,
    batch_size=2,
    validation_clips=4,
    warmup_epochs=1 / 3,  # one step
    strip={"clips": 3, "steps": 2, "scheduler": "DDIM", "guidance": 2.0, "guided_share": 0.6},
)


def _run(  # type: ignore[no-untyped-def]
    dataset,
    base_folder: Path,
    output: Path,
    state: Path,
    movies=("train01", "train02"),
    **config,
) -> None:
    tune.main(
        ["--diffusion-model", str(base_folder), "--clips", str(dataset.clips)]
        + ["--latents", *(str(dataset.latents(m)) for m in movies)]
        + ["--features", *(str(dataset.features(m)) for m in movies)]
        + ["--train", "train01", "--validation", "train02"]
        + ["--output", str(output), "--state", str(state)]
        + ["--config", json.dumps({**CONFIG, **config})]
    )


def test_leaves_model_history_and_strip(dataset, base_folder: Path, tmp_path: Path, capsys) -> None:  # type: ignore[no-untyped-def]
    _run(dataset, base_folder, tmp_path / "out", tmp_path / "state")
    network = saving.from_pretrained(tmp_path / "out" / "model", base_folder)
    assert saving.load_shape(tmp_path / "out" / "model") == saving.ClipShape(3, 1.5, 4, 4)
    text = capsys.readouterr().err
    assert "attn_temp" in text and "trained  " in text and "frame-to-frame change" in text
    history = (tmp_path / "out" / "history.tsv").read_text().splitlines()
    assert len(history) == 4 and "val_loss" in history[0]
    assert (tmp_path / "out" / "strip.png").stat().st_size > 0
    strips = {path.name: path.read_bytes() for path in (tmp_path / "out" / "strips").iterdir()}
    assert sorted(strips) == ["epoch-000.png", "epoch-001.png", "epoch-002.png"]
    assert len(set(strips.values())) == 3
    features, _ = arrays.load(dataset.features("train01") / "condition.npy", kind="condition")
    negative = saving.load_negative(tmp_path / "out" / "model")
    assert np.allclose(negative, features.mean(axis=0), atol=1e-6)
    frozen = diffusion.load_unet(base_folder).state_dict()
    for name, tensor in network.unet.state_dict().items():
        if "attn" not in name and "_temp." not in name:
            assert torch.equal(tensor, frozen[name]), name


def test_stopped_and_resumed_is_bit_equal(
    dataset,  # type: ignore[no-untyped-def]
    base_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _run(dataset, base_folder, tmp_path / "whole", tmp_path / "a")
    real, calls = tune.video_loss, []

    def failing(*arguments):  # type: ignore[no-untyped-def]
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(tune, "video_loss", failing)
        with pytest.raises(KeyboardInterrupt):
            _run(dataset, base_folder, tmp_path / "cut", tmp_path / "b")
    assert not (tmp_path / "cut").exists()
    _run(dataset, base_folder, tmp_path / "cut", tmp_path / "b")
    strips = [f"strips/epoch-{epoch:03d}.png" for epoch in range(3)]
    for name in ("model/model.safetensors", "history.tsv", "strip.png", *strips):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_two_processes_train_like_one(
    dataset,  # type: ignore[no-untyped-def]
    base_folder: Path,
    train_in: Callable[..., None],
    tmp_path: Path,
) -> None:
    movies = ["train01", "train02"]
    config = {**CONFIG, "batch_size": 4, "image_above": 400, "condition_dropout": 0.5}
    config["gradient_checkpointing"] = True
    for processes in (1, 2):
        arguments = [
            *("--diffusion-model", str(base_folder), "--clips", str(dataset.clips)),
            *("--latents", *(str(dataset.latents(m)) for m in movies)),
            *("--features", *(str(dataset.features(m)) for m in movies)),
            *("--train", "train01", "--validation", "train02"),
            *("--output", str(tmp_path / f"with{processes}")),
            *("--state", str(tmp_path / f"state{processes}")),
            *("--config", json.dumps(config)),
        ]
        train_in(processes, "boldreel.generator.tune", arguments)
    one, two = (load_file(tmp_path / f"with{n}" / "model" / "model.safetensors") for n in (1, 2))
    start = VideoUNet(diffusion.load_unet(base_folder)).unet.state_dict()
    moved = [name for name in one if name in start and not torch.equal(one[name], start[name])]
    assert len(moved) > 10
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, rtol=1e-3, atol=2e-5, msg=name)
    histories = [
        pd.read_csv(tmp_path / f"with{processes}" / "history.tsv", sep="\t") for processes in (1, 2)
    ]
    pd.testing.assert_frame_equal(*histories, rtol=1e-4)


def test_gradient_checkpointing_trains_alike(dataset, base_folder: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """As the configurations for real data set it, with single frames above a timestep."""
    for name, recompute in (("plain", False), ("less", True)):
        _run(
            dataset,
            base_folder,
            tmp_path / name,
            tmp_path / f"{name}-state",
            image_above=400,
            gradient_checkpointing=recompute,
        )
    plain, less = (
        load_file(tmp_path / name / "model" / "model.safetensors") for name in ("plain", "less")
    )
    for name, tensor in plain.items():
        torch.testing.assert_close(less[name], tensor, rtol=1e-3, atol=2e-5, msg=name)


def test_learns_to_predict_what_is_asked_for(dataset, base_folder: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    _run(dataset, base_folder, tmp_path / "e", tmp_path / "a")
    _run(dataset, base_folder, tmp_path / "v", tmp_path / "b", prediction_type="v_prediction")
    network = saving.from_pretrained(tmp_path / "v" / "model", base_folder)
    assert network.inflation.prediction_type == "v_prediction"
    scheduler = diffusion.load_scheduler(
        base_folder, prediction_type=network.inflation.prediction_type
    )
    assert scheduler.config.prediction_type == "v_prediction"
    losses = [
        pd.read_csv(tmp_path / kind / "history.tsv", sep="\t")["val_loss"][0] for kind in "ev"
    ]
    assert losses[0] != losses[1]
    with pytest.raises(ValueError, match="no such prediction type"):
        Inflation(prediction_type="x0")


def test_nan_stops_with_one_line(dataset, base_folder: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    bad = np.full((18, 4, 4, 4), np.nan, np.float16)
    arrays.save(dataset.latents("train01"), bad, kind="latents", frame_rate=1.5)
    with pytest.raises(UserError, match="loss is nan"):
        _run(dataset, base_folder, tmp_path / "out", tmp_path / "state")
    assert not (tmp_path / "out").exists()


def test_needs_both_splits_and_known_keys(dataset, base_folder: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UserError, match=r"generator\.epoch is not a key"):
        _run(dataset, base_folder, tmp_path / "out", tmp_path / "state", epoch=3)
    with pytest.raises(UserError, match=r"generator\.strip\.\w+ is not a key"):
        _run(dataset, base_folder, tmp_path / "out", tmp_path / "state", strip={"rows": 1})
    material = load_material(
        dataset.clips, [dataset.latents("train01")], [dataset.features("train01")]
    )
    with pytest.raises(UserError, match="validate on"):
        tune.split_rows(material, ["train02"])


def test_a_test_movie_is_refused(dataset, base_folder: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UserError, match=r"^movie test01: neither in training") as one:
        _run(
            dataset,
            base_folder,
            tmp_path / "out",
            tmp_path / "state",
            movies=("train01", "train02", "test01"),
        )
    assert "\n" not in str(one.value)
    assert not (tmp_path / "out").exists() and not (tmp_path / "state").exists()


def test_single_frames_need_shared_noise(dataset, base_folder: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UserError, match="must be 1"):
        _run(dataset, base_folder, tmp_path / "o", tmp_path / "s", noise_correlation=0.9)


def test_endless_rows_take_turns() -> None:
    drawn = tuning.endless_rows([3, 5, 8], 2, torch.Generator().manual_seed(0))
    rows = [row for _ in range(3) for row in next(drawn)]
    assert sorted(rows[:3]) == [3, 5, 8] and sorted(rows[3:]) == [3, 5, 8]
    assert tuning.spread_rows(range(100), 3) == [0, 50, 99]


def test_dropout_replaces_whole_conditions() -> None:
    condition, negative = torch.ones(200, 7, 12), torch.zeros(7, 12)
    out = tuning.dropped(condition, negative, 0.25, torch.Generator().manual_seed(0))
    per_clip = out.flatten(1).mean(1)
    assert set(per_clip.tolist()) == {0.0, 1.0} and 0.15 < 1 - per_clip.mean() < 0.35
