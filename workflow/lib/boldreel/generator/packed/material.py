"""What a packed video network is tuned on: latents of clips, and the scores of what they show.

Takes clip material and feature folders; returns `PackedMaterial`, whose latents stay memory-mapped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from boldreel.data.features import load_features, load_sketches
from boldreel.models.packed_video import join_meaning

if TYPE_CHECKING:
    from torch import Tensor

    from boldreel.data.features import ClipFeatures
    from boldreel.generator.clip_latents import ClipMaterial
    from boldreel.models.packed_video import PackedVideo

_AT_ONCE = 2048  # clips whose features are read at a time: the tokens are large


@dataclass(frozen=True)
class PackedMaterial:
    """material : clips and their latents. scores : of meaning, motion and sketch, each (n, K); sketches :
    (n, 4, 8, 8)."""

    material: ClipMaterial
    scores: list[Tensor]
    sketches: Tensor

    @classmethod
    def of(
        cls, material: ClipMaterial, network: PackedVideo, clips: Path, features: Sequence[Path]
    ) -> PackedMaterial:
        """Of clips whose features are given, `{batch}/features`."""
        parts: list[list[Tensor]] = []
        sketches = []
        for low in range(0, len(material), _AT_ONCE):
            names = material.clips[low : low + _AT_ONCE]
            sketches.append(torch.from_numpy(load_sketches(clips, features, names)))
            known = load_features(clips, features, names)
            parts.append(true_scores(network, known, sketches[-1]))
        joined = [torch.cat(kind) for kind in zip(*parts, strict=True)]
        return cls(material, joined, torch.cat(sketches))

    def latents(self, rows: Sequence[int]) -> Tensor:
        """(clips, F, c, h, w) of these rows."""
        found = np.stack([self.material.latents[i] for i in rows]).astype(np.float32)
        return torch.from_numpy(found)


@torch.no_grad()
def true_scores(network: PackedVideo, features: ClipFeatures, sketches: Tensor) -> list[Tensor]:
    """Scores (n, K) of meaning, motion and sketch of clips whose features are known."""
    meaning = torch.from_numpy(join_meaning(features.condition, features.image, features.text))
    values = (meaning, torch.from_numpy(features.motion), sketches)
    where = network.codes["meaning"].mean.device
    return [found.cpu() for found in network.scores(*(value.to(where) for value in values))]


def exactly(scores: Sequence[Tensor]) -> Tensor:
    """(n, 2, K): these scores (n, K) of each kind as truths."""
    joined = torch.cat(list(scores), dim=1)
    return torch.stack([joined, torch.ones_like(joined)], dim=1)
