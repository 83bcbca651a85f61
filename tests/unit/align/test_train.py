"""The alignment step on an invented study: what it reaches, what it never sees, what it resumes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from boldreel.align import retrieve, train
from boldreel.data import arrays, tables
from boldreel.errors import UserError
from boldreel.pretrain.checkpoint import read_tensors
from boldreel.pretrain.model import MaskedAutoencoder, MaskedAutoencoderConfig
from boldreel.training import loop

CONFIG = {"epochs": 2, "batch_size": 40, "depth": 1, "learning_rate": 1e-3, "permutations": 199}


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pretrained") / "model"
    torch.manual_seed(0)
    sizes = {"embed_dim": 16, "depth": 1, "num_heads": 2, "decoder_embed_dim": 16}
    config = MaskedAutoencoderConfig(96, **sizes, decoder_depth=1, decoder_num_heads=2)
    MaskedAutoencoder(config).save_pretrained(folder)
    return folder


def run_train(study: Any, pretrained: Path, output: Path, state: Path, **config: Any) -> None:
    train.main(
        [
            *("--pretrained", str(pretrained), "--windows", str(study.windows)),
            *("--series-dir", str(study.series), "--voxels", str(study.voxels)),
            *("--clips", str(study.clips), "--features", *map(str, study.features)),
            *("--output", str(output), "--state", str(state)),
            *("--config", json.dumps({**CONFIG, **config})),
        ]
    )


def run_retrieve(study: Any, align: Path) -> Any:
    retrieve.main(
        [
            *("--align", str(align), "--windows", str(study.windows)),
            *("--series-dir", str(study.series), "--clips", str(study.clips)),
            *("--features", *map(str, study.features), "--subject", "01"),
            *("--output", str(align / "retrieval.tsv"), "--config", json.dumps(CONFIG)),
        ]
    )
    table = tables.read(align / "retrieval.tsv", "metrics")
    return table[table["segment"] == "all"].set_index(["condition", "metric"])


@pytest.fixture(scope="module")
def aligned(study: Any, pretrained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("aligned")
    run_train(study, pretrained, folder / "align", folder / "state")
    return folder / "align"


@pytest.fixture(scope="module")
def scores(study: Any, aligned: Path) -> Any:
    return run_retrieve(study, aligned)


def test_signal_is_found_and_the_encoder_is_no_worse_than_ridge(scores: Any) -> None:
    for metric in ("two_way_text", "two_way_image", "top1_text"):
        model, ridge = scores.loc[("model", metric)], scores.loc[("ridge", metric)]
        assert model["p"] < 0.01
        assert model["value"] >= ridge["value"] - 0.02
        assert model["ci_low"] > scores.loc[("shuffled", metric), "ci_high"]
    assert scores.loc[("model", "two_way_text"), "value"] > 0.9
    assert scores.loc[("model", "object_text"), "p"] < 0.01
    assert scores["p"].dropna().gt(0).all()


def test_predictions_are_written_in_the_order_of_their_list(
    study: Any, aligned: Path, scores: Any
) -> None:
    clips = json.loads((aligned / "test" / "clips.json").read_text())
    text, _ = arrays.load(aligned / "test" / "text.npy", kind="prediction")
    condition, _ = arrays.load(aligned / "test" / "condition.npy", kind="condition")
    assert clips == sorted(clips) and len(clips) == 2 * study.n_clips == len(text)
    assert condition.shape == (len(clips), 5, 8)
    np.testing.assert_allclose(np.linalg.norm(text, axis=1), 1, rtol=1e-5)


def test_without_signal_everything_is_at_chance(
    study_writer: Callable[..., Any], pretrained: Path, tmp_path: Path
) -> None:
    study = study_writer(tmp_path / "study", variance=0.0, seed=3)
    run_train(study, pretrained, tmp_path / "align", tmp_path / "state")
    silent = run_retrieve(study, tmp_path / "align")
    for metric in ("two_way_text", "two_way_image", "top1_text", "object_text"):
        row = silent.loc[("model", metric)]
        assert row["p"] > 0.05
        assert row["ci_low"] < row["chance"] + 0.02


def test_nothing_fitted_sees_test_runs(
    study: Any, aligned: Path, pretrained: Path, tmp_path: Path
) -> None:
    """Test series and test features replaced by noise: every tensor comes out bit-equal."""
    copy = type(study)(tmp_path / "study", study.segments, study.n_clips)
    shutil.copytree(study.root, copy.root)
    rng = np.random.default_rng(0)
    for path in copy.series.glob("task-test*.npy"):
        noise = rng.standard_normal(np.load(path).shape)
        np.save(path, noise.astype(np.float32))
    for path in copy.root.glob("stimuli/test*/features/*.npy"):
        np.save(path, np.load(path)[::-1] * 2)
    run_train(copy, pretrained, tmp_path / "align", tmp_path / "state")
    for name in ("model", "ridge"):
        before, after = read_tensors(aligned / name), read_tensors(tmp_path / "align" / name)
        assert before.keys() == after.keys()
        assert all(torch.equal(before[key], after[key]) for key in before)


def test_training_resumes_to_the_bit(
    study: Any, aligned: Path, pretrained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tmp_path / "state"
    real, calls = loop.Progress.update, []

    def stop_once(self: Any, n: int = 1, **numbers: float) -> None:
        calls.append(n)
        if len(calls) == 3:
            raise KeyboardInterrupt
        real(self, n, **numbers)

    monkeypatch.setattr(loop.Progress, "update", stop_once)
    with pytest.raises(KeyboardInterrupt):
        run_train(study, pretrained, tmp_path / "align", state)
    assert not (tmp_path / "align").exists()
    run_train(study, pretrained, tmp_path / "align", state)
    before, after = read_tensors(aligned / "model"), read_tensors(tmp_path / "align" / "model")
    assert all(torch.equal(before[key], after[key]) for key in before)
    same = (tmp_path / "align" / "history.tsv").read_text()
    assert same == (aligned / "history.tsv").read_text()


def test_without_linear_path_the_transformer_learns(
    study: Any, pretrained: Path, tmp_path: Path
) -> None:
    config = {"linear_path": "none", "epochs": 15, "learning_rate": 3e-3, "condition": "direct"}
    run_train(study, pretrained, tmp_path / "align", tmp_path / "state", **config)
    history = tables.read(tmp_path / "align" / "history.tsv", "history")
    assert history["text"].iloc[-1] < history["text"].iloc[1] - 0.3
    assert history["val_two_way"].iloc[0] < 0.6
    alone = run_retrieve(study, tmp_path / "align")
    assert alone.loc[("model", "two_way_text"), "value"] > 0.6


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"voxels": "all"}, r"align\.voxels is 'all'"),
        ({"condition": "guess"}, r"align\.condition is 'guess'"),
        ({"linear_path": "lasso"}, r"align\.linear_path is 'lasso'"),
    ],
)
def test_wrong_settings(
    study: Any, pretrained: Path, tmp_path: Path, config: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        run_train(study, pretrained, tmp_path / "align", tmp_path / "state", **config)
