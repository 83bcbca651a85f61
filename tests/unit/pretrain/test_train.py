"""The pretraining step."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from tests.fixtures_settings import section

from boldreel.data import tables
from boldreel.errors import UserError
from boldreel.models.autoencoder import MaskedAutoencoder
from boldreel.models.checkpoint import read_tensors
from boldreel.pretrain.corpus import build
from boldreel.pretrain.train import _judged, main
from boldreel.training import loop

SMALL = {
    "embed_dim": 32,
    "depth": 2,
    "num_heads": 2,
    "decoder_embed_dim": 16,
    "decoder_depth": 1,
    "decoder_num_heads": 2,
}
CONFIG = section(
    "pretrain",
    seed=20230507,
    epochs=12,
    warmup_epochs=1,
    batch_size=30,
    learning_rate=3e-3,
    **SMALL,
)


@pytest.fixture(scope="module")
def corpus(cohort: tuple[list[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus") / "corpus"
    build(*cohort, folder)
    return folder


def run(corpus: Path, output: Path, state: Path, **config: Any) -> None:
    main(
        [
            *("--corpus", str(corpus), "--output", str(output), "--state", str(state)),
            *("--config", json.dumps({**CONFIG, **config})),
        ]
    )


KINDS = ("masked_patch_correlation", "masked_area_correlation", "masked_hemisphere_correlation")


def values(folder: Path, metric: str = KINDS[0]) -> pd.DataFrame:
    """Scores of one kind of masks, by condition."""
    scores = tables.read(folder / "scores.tsv", "metrics")
    assert tuple(dict.fromkeys(scores["metric"])) == KINDS
    return scores[scores["metric"] == metric].set_index("condition")


def test_it_learns_and_is_scored_beside_others(corpus: Path, tmp_path: Path) -> None:
    run(corpus, tmp_path / "rest", tmp_path / "state", compat="mindvideo")
    history = tables.read(tmp_path / "rest" / "history.tsv", "history")
    assert history["epoch"].tolist() == list(range(13))
    assert history["val_loss"].min() < 0.95 * history["val_loss"].iloc[0]
    scores = values(tmp_path / "rest")
    assert set(scores.index) == {
        *("model", "linear", "linear_diagonal", "components"),
        *("nearest_visible_patch", "patch_mean"),
    }
    assert scores.loc["model", "value"] > scores.loc["patch_mean", "value"] + 0.2
    assert scores.loc["linear", "value"] > scores.loc["nearest_visible_patch", "value"] > 0.2
    assert (scores["subject"] == "rest03").all() and (scores["chance"] == 0).all()
    assert scores["ci_low"].isna().all()  # six blocks of ten volumes are too few to tell
    model = MaskedAutoencoder.from_pretrained(tmp_path / "rest" / "model")
    assert model.config.num_voxels == 192


def test_it_starts_at_the_linear_predictor(corpus: Path, tmp_path: Path) -> None:
    run(corpus, tmp_path / "rest", tmp_path / "state", epochs=0, warmup_epochs=0)
    for metric in KINDS:
        scores = values(tmp_path / "rest", metric)
        assert scores.loc["model", "value"] == scores.loc["linear", "value"] > 0.5
    history = tables.read(tmp_path / "rest" / "history.tsv", "history")
    assert history["val_bound"].tolist() == history["val_loss"].tolist()


def test_it_learns_what_the_linear_predictor_leaves(
    shifted: Callable[..., Path], tmp_path: Path
) -> None:
    """A pattern that all volumes have, and that no covariance knows of."""
    pattern = 2 * np.random.default_rng(0).standard_normal(192)
    corpus = shifted(slice(None), pattern)
    run(corpus, tmp_path / "rest", tmp_path / "state")
    for metric in KINDS:
        scores = values(tmp_path / "rest", metric)["value"]
        assert scores["model"] > scores["linear"] + 0.1


def test_an_epoch_counts_if_it_is_better_by_more_than_a_standard_error() -> None:
    rng = np.random.default_rng(0)
    starts, targets = np.full(200, 9.0), np.full(200, 9.0)
    start = _judged(starts, starts, targets)
    assert start == {"val_loss": 1.0, "val_bound": 1.0}
    noise = np.repeat(rng.standard_normal(20), 10)
    noise -= noise.mean()
    lucky = _judged(starts - 0.1 + noise, starts, targets)
    assert lucky["val_loss"] < 1 < lucky["val_bound"]
    assert _judged(starts - 0.5 + noise, starts, targets)["val_bound"] < 1


def test_held_out_subjects_are_not_trained_on(
    cohort: tuple[list[Path], Path], corpus: Path, tmp_path: Path
) -> None:
    """Without a choice of epoch, other held-out volumes leave the weights as they are."""
    other = tmp_path / "corpus"
    build(*cohort, other)
    shard = np.load(other / "shard-0000.npy")
    shard[240:] = np.where(shard[240:] != 0, -shard[240:], 0)
    np.save(other / "shard-0000.npy", shard)
    for k, folder in enumerate((corpus, other)):
        run(folder, tmp_path / f"rest{k}", tmp_path / "state", epochs=2, predicts="volume")
    # held-out loss of the sign-flipped volumes has the same best epoch: the last one
    first, second = (read_tensors(tmp_path / f"rest{k}" / "model") for k in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_epoch_is_chosen_on_other_volumes_than_are_scored(
    cohort: tuple[list[Path], Path], corpus: Path, tmp_path: Path
) -> None:
    """Other values in the scored half change the scores and neither weights nor history."""
    other = tmp_path / "corpus"
    build(*cohort, other)
    shard = np.load(other / "shard-0000.npy")
    held = len(shard) - 120
    noise = np.random.default_rng(0).normal(size=(60, shard.shape[1])).astype(np.float32)
    shard[held + 60 :] = np.where(shard[held + 60 :] != 0, noise, 0)
    np.save(other / "shard-0000.npy", shard)
    for k, folder in enumerate((corpus, other)):
        run(folder, tmp_path / f"rest{k}", tmp_path / f"state{k}", epochs=2)
    first, second = (read_tensors(tmp_path / f"rest{k}" / "model") for k in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    histories = [(tmp_path / f"rest{k}" / "history.tsv").read_text() for k in range(2)]
    assert histories[0] == histories[1]
    linear = [values(tmp_path / f"rest{k}").loc["linear", "value"] for k in range(2)]
    assert abs(linear[1]) < 0.1 < linear[0]


def test_it_resumes_to_the_bit(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(corpus, tmp_path / "whole", tmp_path / "one", epochs=3)
    real, calls = loop.Progress.update, []

    def stop_once(self: Any, n: int = 1, **numbers: float) -> None:
        calls.append(n)
        if len(calls) == 13:
            raise KeyboardInterrupt
        real(self, n, **numbers)

    monkeypatch.setattr(loop.Progress, "update", stop_once)
    with pytest.raises(KeyboardInterrupt):
        run(corpus, tmp_path / "cut", tmp_path / "two", epochs=3)
    assert not (tmp_path / "cut").exists()
    run(corpus, tmp_path / "cut", tmp_path / "two", epochs=3)
    whole, cut = (read_tensors(tmp_path / name / "model") for name in ("whole", "cut"))
    assert all(torch.equal(whole[name], cut[name]) for name in whole)


def test_wrong_settings(corpus: Path, tmp_path: Path) -> None:
    for config, message in (
        ({"preset": "huge"}, r"pretrain\.preset is not a key"),
        ({"holdout": ["nobody"]}, "no subject 'nobody'"),
        ({"batch_size": 0}, r"pretrain\.batch_size"),
    ):
        with pytest.raises(UserError, match=message):
            run(corpus, tmp_path / "rest", tmp_path / "state", **config)


def test_two_processes_train_like_one(
    corpus: Path,
    same_weights: Callable[..., None],
    train_in: Callable[..., None],
    tmp_path: Path,
) -> None:
    """The same global batch: the same weights but for the order in which floats are summed. One of the
    subjects lacks a patch, so that the processes' parts count unlike numbers of hidden patches."""
    config = json.dumps({**CONFIG, "epochs": 2, "learning_rate": 1e-3})
    for processes in (1, 2):
        output = tmp_path / f"with{processes}"
        arguments = [
            *("--corpus", str(corpus), "--config", config),
            *("--output", str(output), "--state", str(tmp_path / f"state{processes}")),
        ]
        train_in(processes, "boldreel.pretrain.train", arguments)
    one, two = (read_tensors(tmp_path / f"with{processes}" / "model") for processes in (1, 2))
    same_weights(one, two)
    histories = [
        tables.read(tmp_path / f"with{processes}" / "history.tsv", "history")
        for processes in (1, 2)
    ]
    np.testing.assert_allclose(histories[1].to_numpy(), histories[0].to_numpy(), rtol=1e-5)
