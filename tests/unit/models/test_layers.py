"""Layers shared by the fMRI models."""

from __future__ import annotations

import math

import pytest
import torch

from boldreel.models.layers import Attention, PatchEmbed, sincos_positions


def test_positions() -> None:
    rows = sincos_positions(8, 5)
    assert rows.shape == (6, 8) and (rows[0] == 0).all()
    assert rows[1].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    omega = 10000 ** (-2 / 4)
    assert rows[4, 2] == pytest.approx(math.sin(3 * omega))
    assert rows[4, 6] == pytest.approx(math.cos(3 * omega))


def test_patch_embedding_is_the_convolution() -> None:
    embed = PatchEmbed(16, 8)
    x = torch.randn(2, 64)
    assert torch.allclose(embed(x), embed.proj(x[:, None]).transpose(1, 2), atol=1e-5)


def test_attention_equals_its_weights_times_the_values() -> None:
    attention = Attention(12, 3)
    x = torch.randn(2, 5, 12)
    keys = torch.tensor([[True] * 5, [True, True, True, False, False]])
    weights = attention.weights(x, keys)
    assert torch.allclose(weights.sum(-1), torch.ones(2, 3, 5))
    assert (weights[1, :, :, 3:] == 0).all()
    value = attention.qkv(x)[..., 24:].unflatten(2, (3, 4)).transpose(1, 2)
    expected = attention.proj((weights @ value).transpose(1, 2).flatten(2))
    assert torch.allclose(attention(x, keys), expected, atol=1e-6)
