"""Contrast with several positives."""

from __future__ import annotations

import torch
from torch.nn import functional

from boldreel.align.loss import contrast, regression


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
