"""The published encoder's names and shapes."""

from __future__ import annotations

import torch

from boldreel.align.published import PublishedEncoder


def test_published_sizes() -> None:
    with torch.device("meta"):
        encoder = PublishedEncoder(6016)
    tensors = encoder.state_dict()
    assert len(tensors) == 443
    assert round(sum(t.numel() for t in tensors.values()) / 1e6, 1) == 253.9
    assert tensors["proj_head.channel_mapper.weight"].shape == (77, 752)


def test_forward() -> None:
    encoder = PublishedEncoder(64, embed_dim=32, depth=1, num_heads=4, tokens=7, token_width=12)
    assert encoder(torch.randn(2, 2, 64)).shape == (2, 7, 12)
