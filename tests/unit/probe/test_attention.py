"""Where the encoder looks: equal to its own softmax, blind to what is absent, with an honest null."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from boldreel.models.trunk import Trunk
from boldreel.probe import attention

PATCH, PATCHES = 4, 6


def trunk(seed: int = 0) -> Trunk:
    torch.manual_seed(seed)
    return Trunk(PATCHES, PATCH, width=8, depth=3, heads=2, mlp_ratio=1.0).eval()


def windows(clips: int = 10, seed: int = 1) -> torch.Tensor:
    return torch.from_numpy(
        np.random.default_rng(seed).normal(size=(clips, 3, PATCH * PATCHES)).astype(np.float32)
    )


def test_it_is_the_softmax_of_the_blocks_that_run(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """Caught inside the forward pass, block by block, and averaged over heads, volumes and queries."""
    model, x = trunk(), windows(12)
    present = torch.ones(PATCH * PATCHES, dtype=torch.bool)
    caught: dict[int, torch.Tensor] = {}
    for number, block in enumerate(model.blocks):

        def hook(module, inputs, number=number):  # type: ignore[no-untyped-def]
            caught[number] = module.weights(*inputs)

        block.attn.register_forward_pre_hook(hook)
    with torch.no_grad():
        model.tokens(x, present)
    seen = dict(caught)
    found = attention.received(model, x, present, [0, 2])
    for at, layer in enumerate([0, 2]):
        naive = seen[layer].unflatten(0, (12, 3)).mean(dim=(1, 2, 3)) * PATCHES
        torch.testing.assert_close(found[:, at], naive)
    torch.testing.assert_close(found.mean(2), torch.ones(12, 2))
    monkeypatch.setattr(attention, "_BATCH", 5)
    torch.testing.assert_close(attention.received(model, x, present, [0, 2]), found)


def test_absent_voxels_are_not_looked_at_and_do_not_count() -> None:
    model, x = trunk(), windows()
    present = torch.ones(PATCH * PATCHES, dtype=torch.bool)
    present[:PATCH] = False  # a whole patch
    present[PATCH] = False  # a part of one
    found = attention.received(model, x, present, [0, 1, 2])
    assert (found[:, :, 0] == 0).all()
    torch.testing.assert_close(found[:, :, 1:].mean(2), torch.ones(10, 3))
    x[:, :, ~present] = 1e3
    torch.testing.assert_close(attention.received(model, x, present, [0, 1, 2]), found)


def test_a_patch_that_draws_attention_is_found_and_the_null_says_so() -> None:
    """Keys of one patch are made to point where all queries point."""
    model, x = trunk(), windows(24)
    present = torch.ones(PATCH * PATCHES, dtype=torch.bool)
    with torch.no_grad():
        for block in model.blocks:
            block.attn.qkv.bias[:8] = 3.0  # queries
        model.pos_embed[0, 1 + 4] *= 0
        model.pos_embed[0, 1 + 4, ::2] = 30.0
        for block in model.blocks:
            block.attn.qkv.weight[8:16] = 0.0
            block.attn.qkv.weight[8:16, ::2] = 0.5  # keys
    one = attention.halves([f"shot{k // 2}" for k in range(24)])
    chosen = attention.layers(3)
    own = attention.seen(model, x, present, chosen, one)
    null = [attention.seen(trunk(k), x, present, chosen, one) for k in range(1, 30)]
    patch = np.repeat(np.arange(PATCHES), PATCH)
    regions = {"area": np.where(patch == 4, "drawing", "others")}
    table = attention.by_region({"aligned": own}, null, chosen, patch, regions)
    first = table[table["layer"] == 0].set_index(["atlas", "region"])
    drawing = first.loc[("area", "drawing")]
    assert drawing["value"] > 2 > drawing["null_high"] and drawing["p"] == pytest.approx(1 / 30)
    reliable = first.loc[("reliability", "all")]
    assert reliable["value"] > 0.99
    positions = attention.by_position({"aligned": own}, chosen, patch)
    assert len(positions) == 3 * len(patch)
    kept = positions[(positions["layer"] == 0) & (positions["position"] == 17)]
    assert kept["attention"].item() == pytest.approx(drawing["value"])
    assert kept[["half_1", "half_2"]].mean(axis=1).item() == pytest.approx(drawing["value"])


def test_an_encoder_like_the_null_does_not_stand_out() -> None:
    x, present = windows(12), torch.ones(PATCH * PATCHES, dtype=torch.bool)
    one = attention.halves([str(k) for k in range(12)])
    drawn = [attention.seen(trunk(k), x, present, [0, 2], one) for k in range(60)]
    patch = np.repeat(np.arange(PATCHES), PATCH)
    regions = {"area": np.array([f"a{k}" for k in patch])}
    p = np.concatenate(
        [
            attention.by_region({"s": drawn[k]}, drawn[20:], [0, 2], patch, regions)["p"]
            for k in range(20)
        ]
    )
    assert (p > 0).all() and (p <= 0.05).mean() < 0.15 and 0.35 < p.mean() < 0.65


def test_halves_share_no_shot() -> None:
    one = attention.halves(["a", "a", "b", "c", "b", "d"])
    assert one.tolist() == [True, True, False, True, False, False]
    assert attention.layers(1) == [0] and attention.layers(24) == [0, 12, 23]
