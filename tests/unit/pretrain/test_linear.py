"""The linear predictor that the network adds to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from boldreel.models.gaussian import conditional_mean
from boldreel.pretrain.corpus import Corpus
from boldreel.pretrain.linear import SHARES, Linear, parts_of
from boldreel.pretrain.masks import Masks


def fitted(corpus: Corpus) -> Linear:
    def visible(present: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
        return (order < 0.3).repeat_interleave(16, dim=1) & present

    masks = Masks(corpus.positions, "patches")
    return Linear.fit(corpus, corpus.split(None)[0], masks, hide=visible, seed=0)


def test_rows_are_predicted_by_a_covariance_that_has_not_seen_them(
    shifted: Callable[..., Path],
) -> None:
    """Noise in the second training subject changes the covariance of its half, and no other; noise in the
    held-out subject changes nothing."""
    noise = 3 * np.random.default_rng(0).standard_normal((120, 192))
    rows = np.arange(120)
    plain, second, held = (
        Corpus.open(shifted(where, by))
        for where, by in (
            (slice(0), 0.0),
            (slice(120, 240), noise),
            (slice(240, 360), noise),
        )
    )
    assert np.array_equal(parts_of(plain, rows).sample, parts_of(second, rows).sample)
    made, other, same = map(fitted, (plain, second, held))
    assert torch.equal(made.whole, same.whole) and made.errors == same.errors
    assert not torch.allclose(made.halves[1], other.halves[1], atol=0.1)
    assert made.second[120:240].all() and not made.second[:120].any()
    x = torch.randn(2, 192)
    visible = torch.arange(192).expand(2, -1) < 48
    got = other.left_out(torch.tensor([False, True]))(x, visible)
    for row, half in enumerate(other.halves[::-1]):
        assert torch.allclose(got[row], conditional_mean(half, x, visible)[row], atol=1e-4)


def test_the_share_is_the_best_in_the_other_half(shifted: Callable[..., Path]) -> None:
    """The cohort's three waves are no matter of distance: the sample knows them better."""
    made = fitted(Corpus.open(shifted(slice(0), 0.0)))
    assert made.share == SHARES[int(np.argmin(made.errors))] < 0.5
    assert made.errors[0] < 0.9 * made.errors[-1]


def test_units_are_those_of_the_volumes(shifted: Callable[..., Path]) -> None:
    corpus = Corpus.open(shifted(slice(0), 0.0))
    parts = parts_of(corpus, np.arange(240))
    there = corpus.present.all(0)
    for matrix in (parts.distance, parts.sample):
        assert np.diag(matrix)[there] == pytest.approx(1, abs=0.1)
    near, far = parts.distance[0, [1, 100]]
    assert near > far
