"""What the alignment aims at: variants of clips, and how an epoch is judged."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tests.fixtures_settings import settings
from torch.nn import functional

from boldreel.align import identify
from boldreel.align.objective import Objective, contrast, regression
from boldreel.data import arrays
from boldreel.data.features import ClipFeatures, load_features
from boldreel.models.decoder import Calibration, Targets


def unit(values: np.ndarray) -> np.ndarray:
    return (values / np.linalg.norm(values, axis=-1, keepdims=True)).astype(np.float32)


@pytest.fixture
def features() -> ClipFeatures:
    rng = np.random.default_rng(0)
    names = [f"c{k}" for k in range(40)]
    return ClipFeatures(
        image=unit(rng.normal(size=(40, 6))),
        text=unit(rng.normal(size=(40, 6))),
        condition=rng.normal(size=(40, 3, 4)).astype(np.float32),
        motion=np.zeros((40, 1), np.float32),
        clips=names,
        captions=names,
        shots=names,
        attributes=[{} for _ in names],
        image_variants=unit(rng.normal(size=(40, 3, 6))),
        text_variants=unit(rng.normal(size=(40, 3, 6))),
    )


def objective(features: ClipFeatures) -> Objective:
    calibration = Calibration(Targets(3, 4, 6, 6), 0, 0.0)
    weights = {"image_weight": 0.5, "text_weight": 0.5, "condition_weight": 1.0}
    return Objective(features, calibration, settings("align", **weights))


@pytest.mark.parametrize("name", ["image", "text"])
def test_targets_are_a_clips_own_or_one_of_its_variants(features: ClipFeatures, name: str) -> None:
    made, clips = objective(features), torch.arange(39, -1, -1)
    own = torch.from_numpy(getattr(features, name)).flip(0)
    others = torch.from_numpy(getattr(features, f"{name}_variants")).flip(0)
    draw = torch.Generator().manual_seed(0)
    torch.testing.assert_close(made.targets(clips, name, 0.0, draw), own)
    seen = made.targets(clips, name, 1.0, draw)
    nearest = (seen[:, None] - others).norm(dim=2)
    assert nearest.min(1).values.max() < 1e-6
    assert nearest.argmin(1).unique().numel() == 3, "all of them are drawn"
    some = (made.targets(clips, name, 0.5, draw) - own).norm(dim=1) > 1e-3
    assert 8 < int(some.sum()) < 32


def test_without_variants_clips_are_their_own_targets(features: ClipFeatures) -> None:
    bare = ClipFeatures(**{**vars(features), "image_variants": None, "text_variants": None})
    got = objective(bare).targets(torch.arange(4), "image", 1.0, torch.Generator())
    torch.testing.assert_close(got, torch.from_numpy(features.image[:4]))


def test_variants_are_read_where_every_clip_has_them(study: Any, tmp_path: Any) -> None:
    import shutil

    root = tmp_path / "stimuli"
    shutil.copytree(study.root / "stimuli", root)
    folders = [root / folder.parent.name / "features" for folder in study.features]
    values = unit(np.random.default_rng(0).normal(size=(study.n_clips, 2, 12)))
    arrays.save(root / "train01/features/text_variants.npy", values, kind="variants")
    got = load_features(study.clips, folders, ["train01-0003", "train01-0001"])
    assert got.text_variants is not None and got.image_variants is None
    np.testing.assert_array_equal(got.text_variants, values[[3, 1]])
    np.testing.assert_array_equal(got.take(np.array([1])).text_variants, values[[1]])
    assert (
        load_features(study.clips, folders, ["train01-0003", "test01-0001"]).text_variants is None
    )


def test_effective_rank() -> None:
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.normal(size=(400, 400)))[0][:, :5] * 10
    basis -= basis.mean(0)
    flat = np.linalg.qr(basis)[0] @ np.linalg.qr(rng.normal(size=(12, 12)))[0][:5]
    assert identify.effective_rank(flat) == pytest.approx(5, abs=0.01)
    assert identify.effective_rank(flat + 3.0) == pytest.approx(5, abs=0.01)
    one = rng.normal(size=(50, 1)) * functional.normalize(torch.randn(12), dim=0).numpy()
    assert identify.effective_rank(one) == pytest.approx(1, abs=1e-6)
    assert identify.effective_rank(np.zeros((4, 3))) == 1.0


def test_without_duplicates_it_is_clips_loss() -> None:
    a, b = functional.normalize(torch.randn(2, 6, 8), dim=2)
    labels = torch.arange(6)
    logits = 10 * a @ b.T
    expected = functional.cross_entropy(logits, labels) + functional.cross_entropy(logits.T, labels)
    assert torch.allclose(contrast(a, b, torch.tensor(10.0), labels), expected / 2)


def test_a_mate_is_as_right_as_the_clip_itself() -> None:
    target = functional.normalize(torch.randn(4, 8), dim=1)
    swapped = target[torch.tensor([1, 0, 2, 3])]
    groups, scale = torch.tensor([0, 0, 1, 2]), torch.tensor(10.0)
    right = contrast(target, target, scale, groups)
    assert torch.allclose(contrast(swapped, target, scale, groups), right, atol=1e-5)
    assert contrast(swapped, target, scale, torch.arange(4)) > right + 0.5


def test_regression_is_blind_to_size() -> None:
    a = torch.randn(4, 3, 5)
    assert torch.allclose(regression(0.01 * a, a), torch.zeros(()), atol=1e-6)
    assert torch.allclose(regression(-a, a), torch.tensor(2.0), atol=1e-6)
