"""From responses and features to conditions, in the form that a generator takes.

Takes a generator's folder; returns a `Reader`. The inflated network is conditioned on text tokens
(length, width), the packed one on estimates and their reliabilities (2, K).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from boldreel.data.features import ClipFeatures
    from boldreel.models.decoder import Calibration

BATCH = 16  # windows that are encoded at a time


class Read(NamedTuple):
    """conditions : float32, one for each window. text : (n, D), directions from the training mean to the text
    embeddings that are predicted; text_mean : (1, D)."""

    conditions: np.ndarray
    text: np.ndarray
    text_mean: np.ndarray


class Reader(ABC):
    """Conditions of one generator."""

    def __init__(self, generator: Path) -> None:
        self.generator = generator

    @abstractmethod
    def read(
        self, encoder: Path, x: np.ndarray, showings: np.ndarray, device: torch.device
    ) -> Read:
        """What a subject's encoder makes of windows (n, w, V), means of so many showings (n,)."""

    @abstractmethod
    def of_movies(self, clips: Path, features: Sequence[Path]) -> dict[str, np.ndarray]:
        """True conditions of the clips of the movies whose features are given, as words and motion say."""

    @abstractmethod
    def of_features(self, known: ClipFeatures) -> list[np.ndarray]:
        """True conditions of clips whose features are known, as words and motion say."""

    @abstractmethod
    def of_mean(self, encoder: Path, showings: float) -> np.ndarray:
        """The condition of a subject's mean training response, taken for the mean of so many showings."""


class TokenReader(Reader):
    """Text tokens."""

    def read(
        self, encoder: Path, x: np.ndarray, showings: np.ndarray, device: torch.device
    ) -> Read:
        import torch

        from boldreel.models.decoder import decode
        from boldreel.models.encoder import SpatioTemporalEncoder

        network = SpatioTemporalEncoder.from_pretrained(encoder).eval().to(device)
        with torch.inference_mode():
            found = list(decode(network, torch.from_numpy(x), BATCH))
            conditions = torch.cat([part.condition.float() for part in found]).numpy()
            return Read(conditions, *_text(network.calibration, [part.text for part in found]))

    def of_movies(self, clips: Path, features: Sequence[Path]) -> dict[str, np.ndarray]:
        from boldreel.generator.clip_latents import load_conditions

        return load_conditions(clips, features)

    def of_features(self, known: ClipFeatures) -> list[np.ndarray]:
        return list(known.condition.astype(np.float32))

    def of_mean(self, encoder: Path, showings: float) -> np.ndarray:
        from boldreel.generator.saving import load_negative

        return load_negative(self.generator)  # co-training has encoded it


class EstimateReader(Reader):
    """Estimates and reliabilities of a packed network's scores."""

    def __init__(self, generator: Path) -> None:
        from boldreel.base_models import video

        super().__init__(generator)
        self.network = video.read(generator)

    def read(
        self, encoder: Path, x: np.ndarray, showings: np.ndarray, device: torch.device
    ) -> Read:
        import torch

        from boldreel.generator.packed.reading import Reading

        reading = Reading.load(encoder, self.network).to(device)
        counts = torch.from_numpy(np.asarray(showings, np.float32))
        pairs = zip(torch.from_numpy(x).split(BATCH), counts.split(BATCH), strict=True)
        with torch.inference_mode():
            found = [reading.read(part.to(device), count.to(device)) for part, count in pairs]
            known = torch.cat([told.cpu() for told, _ in found]).numpy()
            return Read(known, *_text(reading.encoder.calibration, [text for _, text in found]))

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

    def of_mean(self, encoder: Path, showings: float) -> np.ndarray:
        import torch

        from boldreel.generator.packed.reading import Reading

        reading = Reading.load(encoder, self.network).to(torch.device("cpu"))
        mean = reading.encoder.mean_window[None]
        return reading(mean, torch.tensor([float(showings)]))[0].numpy()


def _text(calibration: Calibration, parts: list[Tensor]) -> tuple[np.ndarray, np.ndarray]:
    """Directions (n, D) from the training mean to predicted text embeddings, and that mean (1, D)."""
    import torch

    text = torch.cat(parts).to(calibration.text_mean.device)
    mean = calibration.text_mean[None].cpu().numpy().astype(np.float32)
    return calibration.centred_text(text).cpu().numpy(), mean


def reader(generator: Path) -> Reader:
    """The reader of a generator's folder."""
    from boldreel.base_models import video
    from boldreel.generator import backbones

    packed = backbones.architecture(generator) == video.ARCHITECTURE
    return EstimateReader(generator) if packed else TokenReader(generator)
