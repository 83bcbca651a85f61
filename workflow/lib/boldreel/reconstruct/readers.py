"""From responses and features to conditions, in the form that a generator takes.

Takes a generator's folder; returns a `Reader`. The inflated network is conditioned on text tokens
(length, width), the packed one on estimates and their reliabilities (2, K).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from boldreel.data.features import ClipFeatures

_AT_ONCE = 16  # windows that are read at once


class Reader(ABC):
    """Conditions of one generator."""

    def __init__(self, generator: Path) -> None:
        self.generator = generator

    @abstractmethod
    def of_responses(self, encoder: Path, x: np.ndarray, showings: np.ndarray) -> list[np.ndarray]:
        """Conditions of windows (n, w, V), means of so many showings (n,), through a subject's encoder.

        All are read on the CPU, whatever the shard, so that no condition depends on it.
        """

    @abstractmethod
    def of_movies(self, clips: Path, features: Sequence[Path]) -> dict[str, np.ndarray]:
        """True conditions of the clips of the movies whose features are given, as words and motion say."""

    @abstractmethod
    def of_features(self, known: ClipFeatures) -> list[np.ndarray]:
        """True conditions of clips whose features are known, as words and motion say."""

    @abstractmethod
    def of_nothing(self) -> np.ndarray:
        """The condition of the mean training response."""


class TokenReader(Reader):
    """Text tokens."""

    def of_responses(self, encoder: Path, x: np.ndarray, showings: np.ndarray) -> list[np.ndarray]:
        import torch

        from boldreel.models.encoder import SpatioTemporalEncoder

        network = SpatioTemporalEncoder.from_pretrained(encoder).eval()
        with torch.inference_mode():
            windows = torch.from_numpy(x).split(_AT_ONCE)
            parts = [network(part).condition.float() for part in windows]
        return list(torch.cat(parts).numpy())

    def of_movies(self, clips: Path, features: Sequence[Path]) -> dict[str, np.ndarray]:
        from boldreel.generator.clip_latents import load_conditions

        return load_conditions(clips, features)

    def of_features(self, known: ClipFeatures) -> list[np.ndarray]:
        return list(known.condition.astype(np.float32))

    def of_nothing(self) -> np.ndarray:
        from boldreel.generator.saving import load_negative

        return load_negative(self.generator)


class EstimateReader(Reader):
    """Estimates and reliabilities of a packed network's scores."""

    def __init__(self, generator: Path) -> None:
        from boldreel.base_models import video

        super().__init__(generator)
        self.network = video.read(generator)

    def of_responses(self, encoder: Path, x: np.ndarray, showings: np.ndarray) -> list[np.ndarray]:
        import torch

        from boldreel.generator.packed.reading import Reading

        reading = Reading.load(encoder, self.network)
        counts = torch.from_numpy(np.asarray(showings, np.float32))
        pairs = zip(torch.from_numpy(x).split(_AT_ONCE), counts.split(_AT_ONCE), strict=True)
        return list(torch.cat([reading(*pair) for pair in pairs]).numpy())

    def of_movies(self, clips: Path, features: Sequence[Path]) -> dict[str, np.ndarray]:
        from boldreel.data import batches, tables
        from boldreel.data.features import load_features

        table = tables.read(clips, "clips")
        shown = {folder.resolve().parent.name for folder in features}
        names = table.loc[batches.of_clips(table).isin(shown), "clip"].to_list()
        known = load_features(clips, features, names)
        return dict(zip(names, self.of_features(known), strict=True))

    def of_features(self, known: ClipFeatures) -> list[np.ndarray]:
        import torch

        from boldreel.generator.packed.material import exactly, true_scores

        sketches = torch.zeros(len(known.clips), *self.network.config.sketch)
        told = exactly(true_scores(self.network, known, sketches))
        told[:, :, self.network.known[2]] = 0  # words say nothing of the sketch
        return list(told.numpy())

    def of_nothing(self) -> np.ndarray:
        return np.zeros((2, sum(self.network.config.components)), np.float32)


def reader(generator: Path) -> Reader:
    """The reader of a generator's folder."""
    from boldreel.base_models import video
    from boldreel.generator import backbones

    packed = backbones.architecture(generator) == video.ARCHITECTURE
    return EstimateReader(generator) if packed else TokenReader(generator)
