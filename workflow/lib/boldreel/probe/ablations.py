"""What `make ablate` takes out of the encoder: names of ablations, and what each changes.

`window` is in volumes; `shuffled_voxels` permutes positions, in pretraining too; `ridge` is no encoder at
all, and `ridge_start` the pipeline's default. Everything else is as in `full`.
"""

from __future__ import annotations

from typing import Any

ABLATIONS: dict[str, dict[str, Any]] = {
    "full": {},
    "no_pretraining": {"pretraining": False},
    "no_window_attention": {"window_attention": False},
    "window_1": {"window": 1},
    "window_2": {"window": 2},
    "window_3": {"window": 3},
    "text_only": {"image_weight": 0.0},
    "image_only": {"text_weight": 0.0},
    "no_augmentation": {"sparsify": 0.0, "image_crop": 0.0, "word_replacement": 0.0},
    "shuffled_voxels": {"shuffled_voxels": True},
    "ridge_start": {"linear_path": "ridge"},
    "ridge": {"linear_path": "ridge", "epochs": 0},
}
