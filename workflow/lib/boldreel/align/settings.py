"""What the alignment of a subject, or of several, can be told, with its defaults.

Keys are those of the configuration's section `align`, where each is described.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DEFAULTS: dict[str, Any] = {
    "seed": 20230507,
    "pretraining": True,
    "depth": None,
    "linear_path": "ridge",
    "window_attention": True,
    "voxels": "present",
    "condition": "projected",
    "sharpness": 20.0,
    "bank": 512,
    "rank": 128,
    "variance": 0.999,
    "epochs": 4,
    "warmup_epochs": 1,
    "batch_size": 60,
    "learning_rate": 1e-4,
    "weight_decay": 0.05,
    "clip_norm": 1.0,
    "image_weight": 0.5,
    "text_weight": 0.5,
    "condition_weight": 1.0,
    "sparsify": 0.2,
    "image_crop": 0.5,
    "word_replacement": 0.5,
    "averaged": 0.5,
    "refit": True,
    "mixed_precision": "no",
    "gradient_checkpointing": False,
}


def complete(given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with defaults; keys of other steps are left out."""
    return {**DEFAULTS, **{key: value for key, value in given.items() if key in DEFAULTS}}
