"""Attention over patches and over the window."""

from __future__ import annotations

import torch

from boldreel.models.trunk import TokenMixer, Trunk


def trunk(lag_positions: bool = True) -> Trunk:
    torch.manual_seed(0)
    made = Trunk(4, 16, 32, 2, 4, 1.0, lag_positions).eval()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return made


def test_order_of_volumes_matters_only_through_the_lag_code() -> None:
    x = torch.randn(2, 3, 64)
    flipped = x.flip(1)
    blind, aware = trunk(False), trunk(True)
    assert torch.allclose(blind.tokens(x).flip(1), blind.tokens(flipped), atol=1e-5)
    assert not torch.allclose(aware.tokens(x).flip(1), aware.tokens(flipped), atol=1e-3)


def test_window_attention_starts_at_zero_output() -> None:
    made = trunk()
    for block in made.blocks:
        torch.nn.init.zeros_(block.attn_temp.proj.weight)
        torch.nn.init.zeros_(block.attn_temp.proj.bias)
    x = torch.randn(2, 3, 64)
    alone = torch.cat([made.tokens(x[:, k : k + 1]) for k in range(3)], dim=1)
    assert torch.allclose(made.tokens(x), alone, atol=1e-5)


def test_volumes_exchange_information_once_trained() -> None:
    made = trunk()
    x = torch.randn(1, 2, 64)
    other = torch.cat([x[:, :1], torch.randn(1, 1, 64)], dim=1)
    assert not torch.allclose(made.tokens(x)[:, 0], made.tokens(other)[:, 0], atol=1e-3)


def test_absent_positions_and_patches_have_no_influence() -> None:
    made = trunk()
    present = torch.ones(64, dtype=torch.bool)
    present[40:] = False  # half of patch 2, all of patch 3
    x = torch.randn(2, 2, 64)
    dirty = torch.where(present, x, 1e3)
    dirty[:, :, 50] = float("nan")
    clean, other = made.tokens(x, present), made.tokens(dirty, present)
    assert torch.equal(clean, other)
    assert (clean[:, :, 3] == 0).all() and (clean[:, :, 2] != 0).any()


def test_presence_can_differ_within_a_batch() -> None:
    made = trunk()
    present = torch.ones(2, 64, dtype=torch.bool)
    present[1, 48:] = False
    x = torch.randn(2, 2, 64)
    both = made.tokens(x, present)
    assert torch.allclose(both[0], made.tokens(x[:1])[0], atol=1e-5)
    assert torch.allclose(both[1], made.tokens(x[1:], present[1])[0], atol=1e-5)


def test_mixer_takes_any_window() -> None:
    mixer = TokenMixer(2, 4, 5)
    tokens = torch.randn(3, 2, 4, 8)
    assert torch.allclose(mixer(tokens), mixer.weight @ tokens.flatten(1, 2))
    first, last = mixer.weight.unflatten(1, (2, 4)).unbind(1)
    assert torch.allclose(mixer(tokens[:, :1]), 2 * first @ tokens[:, 0], atol=1e-6)
    three = torch.randn(3, 3, 4, 8)
    expected = (first @ three[:, 0] + last @ three[:, 1] + last @ three[:, 2]) * 2 / 3
    assert torch.allclose(mixer(three), expected, atol=1e-5)
