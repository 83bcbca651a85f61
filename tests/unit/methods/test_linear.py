"""The method `linear`: finds a planted relation, is at chance without one, and sees no test run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from boldreel.data import arrays, tables
from boldreel.errors import UserError
from boldreel.methods import ridge
from boldreel.methods.linear import reconstruct, train
from boldreel.methods.linear.model import LinearModel

CONFIG = {"seed": 1, "early": 20, "late": 8, "picture": 16}


def fitted(study, classifier: str, folder: Path) -> Path:  # type: ignore[no-untyped-def]
    train.main(
        [
            *study.words(),
            *("--image-classifier", classifier, "--output", str(folder)),
            *("--config", json.dumps(CONFIG)),
        ]
    )
    return folder


def drawn(study, model: Path, folder: Path, **config) -> dict[str, np.ndarray]:  # type: ignore[no-untyped-def]
    options = ["--output", str(folder), "--config", json.dumps({**CONFIG, **config})]
    reconstruct.main(["--model", str(model), *study.words(), *options])
    frames, meta = arrays.load(folder / "frames.npy", kind="reconstruction")
    return dict(zip(meta["clips"], frames, strict=True))


def identified(made: dict[str, np.ndarray], truth: dict[str, np.ndarray]) -> float:
    """Two-way identification by the correlation of pixels, against unlike clips."""
    names = list(made)
    a, b = (np.stack([x[n].ravel().astype(float) for n in names]) for x in (made, truth))
    alike = np.corrcoef(a, b)[: len(a), len(a) :]
    same = np.array([[np.array_equal(truth[m], truth[n]) for n in names] for m in names])
    own = np.diag(alike)[:, None]
    wins = (own > alike) + 0.5 * (own == alike)
    return float(wins[~same].mean())


@pytest.fixture(scope="module")
def model(study, classifier, tmp_path_factory) -> Path:  # type: ignore[no-untyped-def]
    return fitted(study, classifier, tmp_path_factory.mktemp("linear") / "fit")


def test_a_planted_relation_is_found(study, model, tmp_path) -> None:  # type: ignore[no-untyped-def]
    made = drawn(study, model, tmp_path / "out")
    truth = study.truth()
    assert set(made) == set(truth) and made["test01-0000"].shape == truth["test01-0000"].shape
    assert identified(made, truth) > 0.8
    near = drawn(study, model, tmp_path / "near", readout="nearest")
    assert identified(near, truth) > 0.8
    table = tables.read(tmp_path / "near" / "nearest.tsv", "nearest")
    assert table["nearest"].str.startswith("train").all()
    scores = tables.read(model / "scores.tsv", "linear_scores")
    assert scores["correlation"].max() > 0.5
    categories = tables.read(tmp_path / "out" / "categories.tsv", "categories")
    assert categories["category"].str.startswith("class ").all()


def test_without_signal_it_is_at_chance(silent, classifier, tmp_path) -> None:  # type: ignore[no-untyped-def]
    model = fitted(silent, classifier, tmp_path / "fit")
    assert 0.4 < identified(drawn(silent, model, tmp_path / "out"), silent.truth()) < 0.6


def test_nothing_fitted_sees_a_test_run(make_study, model, classifier, tmp_path) -> None:  # type: ignore[no-untyped-def]
    other = make_study()
    other.disturb()
    again = fitted(other, classifier, tmp_path / "fit")
    one, two = (load_file(f / "model" / "model.safetensors") for f in (model, again))
    assert one.keys() == two.keys()
    assert all(np.array_equal(one[name], two[name]) for name in one)
    assert drawn(other, again, tmp_path / "out").keys() == other.truth().keys()


def test_a_clip_does_not_depend_on_its_company(study, model) -> None:  # type: ignore[no-untyped-def]
    maps = LinearModel.from_pretrained(model / "model")
    x = np.random.default_rng(0).normal(size=(5, 2, 60)).astype(np.float32)
    whole = maps.pictures(maps.components(x))
    assert np.array_equal(maps.pictures(maps.components(x[3:4]))[0], whole[3])
    with pytest.raises(UserError, match="do not fit"):
        maps.components(x[:, :1])


def test_weights_know_their_positions(study, model) -> None:  # type: ignore[no-untyped-def]
    table = tables.read(model / "weights.parquet", "linear_weights")
    assert set(table["layer"]) == {"early", "late"}
    # absent positions carry no weight
    assert table["position"].max() == 53 and (table["weight"] > 0).all()


def test_ridge_recovers_weights_and_its_left_out_rows_know_nothing() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(300, 12)).astype(np.float32)
    weight = rng.normal(size=(12, 3))
    y = x @ weight + 0.1 * rng.normal(size=(300, 3)) + 5
    segments = np.repeat(np.arange(5), 60)
    fit, left_out = ridge.fit(x, y, segments)
    np.testing.assert_allclose(fit.weight, weight, atol=0.05)
    np.testing.assert_allclose(fit.predict(x), y, atol=0.5)
    assert fit.scores.min() > 0.95
    # naively: each segment by weights of the others, (X'X / s^2 + alpha)^-1 X'Y / s
    scale = np.sqrt(((x - x.mean(0)) ** 2).sum(1).mean())
    for segment in range(5):
        own = segments == segment
        mean_x, mean_y = x[~own].mean(0), y[~own].mean(0)
        z = (x[~own] - mean_x) / scale
        for k, alpha in enumerate(fit.alphas):
            naive = np.linalg.solve(z.T @ z + alpha * np.eye(12), z.T @ (y[~own, k] - mean_y[k]))
            expected = (x[own] - mean_x) / scale @ naive + mean_y[k]
            np.testing.assert_allclose(left_out[own, k], expected, atol=1e-2)


def test_a_missing_model_is_one_line(tmp_path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UserError, match="no linear model"):
        LinearModel.from_pretrained(tmp_path)
