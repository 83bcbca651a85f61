"""Sizes of the fMRI models. `mindvideo` has the published ones (Chen et al., NeurIPS 2023)."""

from __future__ import annotations

from typing import Any

from boldreel.errors import UserError

PRESETS: dict[str, dict[str, Any]] = {
    # minutes on one CPU core
    "tiny": {
        "embed_dim": 96,
        "depth": 4,
        "num_heads": 4,
        "decoder_embed_dim": 64,
        "decoder_depth": 1,
        "decoder_num_heads": 4,
    },
    # hours on one GPU
    "base": {
        "embed_dim": 512,
        "depth": 12,
        "num_heads": 8,
        "decoder_embed_dim": 256,
        "decoder_depth": 4,
        "decoder_num_heads": 8,
    },
    "mindvideo": {
        "embed_dim": 1024,
        "depth": 24,
        "num_heads": 16,
        "decoder_embed_dim": 512,
        "decoder_depth": 8,
        "decoder_num_heads": 16,
    },
}


def preset(name: str) -> dict[str, Any]:
    """The sizes under `name`; UserError if there is no such preset."""
    if name not in PRESETS:
        raise UserError(f"pretrain.preset is {name!r}; it must be one of {', '.join(PRESETS)}")
    return dict(PRESETS[name])
