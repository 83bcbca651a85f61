"""What a network's early and late layer have for clips, and the class scores.

Takes uint8 clips and an image classifier's folder; returns float32 arrays, one row a clip.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from boldreel.base_models import frozen
from boldreel.base_models.maps import as_maps
from boldreel.training.progress import Progress

LONGEST = 8192  # numbers of a layer for each frame, to which space is averaged
_BATCH = 8  # clips


class Network:
    """An image classifier of transformers, frozen."""

    def __init__(self, source: str, device: torch.device) -> None:
        from transformers import AutoModelForImageClassification

        kind = AutoModelForImageClassification
        self.model, self.processor = frozen.load_viewer("image_classifier", source, kind, device)
        self.device = device

    @property
    def labels(self) -> list[str]:
        """Names of the classes."""
        names = self.model.config.id2label
        return [str(names[k]) for k in range(len(names))]

    @torch.inference_mode()
    def read(self, clips: Any, what: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(early, late, logits) of uint8 clips (n, F, h, w, 3).

        early : float32 (n, F x D), all frames. late : (n, D'), mean over frames and space.
        logits : (n, classes), mean over frames.
        """
        parts: list[tuple[np.ndarray, ...]] = []
        progress = Progress(len(clips), f"layers of {what}", unit="clips")
        for start in range(0, len(clips), _BATCH):
            batch = np.asarray(clips[start : start + _BATCH])
            n = len(batch)
            images = list(batch.reshape(-1, *batch.shape[2:]))
            pixels = self.processor(
                images=images, return_tensors="pt", input_data_format="channels_last"
            )["pixel_values"].to(self.device)
            out = self.model(pixel_values=pixels, output_hidden_states=True)
            states = out.hidden_states
            early = _averaged(as_maps(states[max(1, round((len(states) - 1) / 4))]))
            late = as_maps(states[-1]).mean(dim=(2, 3))
            by_clip = (
                early.reshape(n, -1),
                late.reshape(n, -1, late.shape[1]).mean(1),
                out.logits.reshape(n, -1, out.logits.shape[1]).mean(1),
            )
            parts.append(tuple(value.float().cpu().numpy() for value in by_clip))
            progress.update(n)
        early_, late_, logits = (np.concatenate(column) for column in zip(*parts, strict=True))
        return early_, late_, logits


def _averaged(maps: torch.Tensor) -> torch.Tensor:
    """Maps (n, c, h, w) averaged over space to at most LONGEST numbers each: (n, D)."""
    places = max(1, math.isqrt(LONGEST // maps.shape[1]))
    size = (min(places, maps.shape[2]), min(places, maps.shape[3]))
    return torch.nn.functional.adaptive_avg_pool2d(maps, size).flatten(1)
