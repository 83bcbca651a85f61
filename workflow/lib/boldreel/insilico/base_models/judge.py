"""The judge of frames: reads class, colour and background.

Takes the frame corpus, pictures of shapes that are no class, and a part of both coded by the
autoencoder (what a generator can at best deliver); returns a ``ResNetForImageClassification`` over all
combinations that can read combinations never trained on: a backbone has one linear head per factor, and
the joint layer's logit is the sum of the three factors' logits. Summing is exact (the joint model is
log-linear), and the result is an ordinary Hugging Face classifier.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from boldreel.insilico.base_models.corpus import (
    FACTORS,
    Corpus,
    paint,
    recolour,
    shuffle_cells,
    to_tensor,
)
from boldreel.insilico.base_models.fit import Schedule, fit
from boldreel.insilico.labels import image_labels

if TYPE_CHECKING:
    from transformers import ResNetForImageClassification

KEYS = ("object", "colour", "background")


class FactorHeads(torch.nn.Module):
    """Three linear heads on one feature vector, for the factors ``keys`` of FACTORS."""

    def __init__(self, width: int, keys: tuple[str, str, str]) -> None:
        super().__init__()
        self.keys = keys
        linear = [torch.nn.Linear(width, len(FACTORS[key])) for key in keys]
        self.heads: Iterable[torch.nn.Linear] = torch.nn.ModuleList(linear)  # type: ignore[assignment]

    def loss(
        self, features: torch.Tensor, labels: np.ndarray, taught: tuple[str, ...]
    ) -> torch.Tensor:
        """Cross-entropy summed over the factors ``taught``; features (n, width), labels (n, 5)."""
        total = features.new_zeros(())
        for key, head in zip(self.keys, self.heads, strict=True):
            if key not in taught:
                continue
            target = torch.from_numpy(labels[:, list(FACTORS).index(key)])
            # Smoothing keeps the three factors' logits on one scale.
            total = total + functional.cross_entropy(head(features), target, label_smoothing=0.02)
        return total

    @torch.no_grad()
    def joint(self) -> torch.nn.Linear:
        """The linear layer over all combinations, the last factor fastest."""
        heads = list(self.heads)
        combinations = list(itertools.product(*(range(head.out_features) for head in heads)))
        rows = [[values[place] for values in combinations] for place in range(len(heads))]
        layer = torch.nn.Linear(heads[0].in_features, len(combinations))
        pairs = list(zip(heads, rows, strict=True))
        layer.weight.copy_(torch.stack([head.weight[row] for head, row in pairs]).sum(0))
        layer.bias.copy_(torch.stack([head.bias[row] for head, row in pairs]).sum(0))
        return layer


def factor_accuracy(
    predicted: np.ndarray, labels: np.ndarray, keys: tuple[str, str, str]
) -> dict[str, float]:
    """Share of items (n,) of joint label ids that are right, per factor of ``keys``."""
    sizes = tuple(len(FACTORS[key]) for key in keys)
    read = np.unravel_index(predicted, sizes)
    return {
        key: float((read[place] == labels[:, list(FACTORS).index(key)]).mean())
        for place, key in enumerate(keys)
    }


def create() -> ResNetForImageClassification:
    """The untrained judge, with its joint labels."""
    from transformers import ResNetConfig, ResNetForImageClassification

    torch.manual_seed(0)
    labels = image_labels()
    config = ResNetConfig(
        embedding_size=32,
        hidden_sizes=[32, 48, 96],
        depths=[1, 1, 1],
        layer_type="basic",
        hidden_act="relu",
        id2label=dict(enumerate(labels)),
        label2id={label: index for index, label in enumerate(labels)},
    )
    model = ResNetForImageClassification(config)
    return model.to(memory_format=torch.channels_last)


def blur(pixels: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Halve and restore the resolution of some images and add noise: (n, 3, h, w) both."""
    side = pixels.shape[-1]
    soft = torch.nn.functional.interpolate(
        torch.nn.functional.avg_pool2d(pixels, 2), size=side, mode="bilinear"
    )
    strength = torch.from_numpy(rng.uniform(0, 1, (len(pixels), 1, 1, 1)) ** 2).float()
    return pixels + strength * (soft - pixels) + 0.05 * torch.randn_like(pixels)


class _Learner(torch.nn.Module):
    def __init__(self, model: ResNetForImageClassification) -> None:
        super().__init__()
        self.model = model
        self.factors = FactorHeads(model.config.hidden_sizes[-1], KEYS)

    def loss(
        self, coloured: torch.Tensor, shapes: torch.Tensor, labels: np.ndarray
    ) -> torch.Tensor:
        """Colour and background are learnt from ``coloured`` pictures, the class from ``shapes``.

        Labels (n_coloured + n_shapes, 5), in this order.
        """
        pixels = torch.cat([coloured, shapes]).contiguous(memory_format=torch.channels_last)
        features = self.model.resnet(pixels).pooler_output.flatten(1)
        n = len(coloured)
        return self.factors.loss(
            features[:n], labels[:n], ("colour", "background")
        ) + self.factors.loss(features[n:], labels[n:], ("object",))


def train(
    corpus: Corpus,
    coded: Corpus,
    blobs: Corpus,
    coded_blobs: Corpus,
    steps: int,
    work: Path,
    seed: int,
) -> ResNetForImageClassification:
    """Train on raw and coded frames; ``work`` holds the state.

    blobs, coded_blobs : shapes that are no class, in the world's colours. Colour is learnt from them:
    with whole triangles in sight it would learn that none is white.
    """
    learner = _Learner(create())

    def loss(rng: np.random.Generator) -> torch.Tensor:
        raw, again = _draw(corpus, rng, 24), _draw(coded, rng, 24)
        drawn = [_draw(blobs, rng, 20), _draw(coded_blobs, rng, 12)]
        shapes = [paint(to_tensor(raw.frames[:, 0]), raw.masks[:, 0], rng)]
        shapes += [recolour(to_tensor(again.frames[:, 0]), rng)]
        coloured = to_tensor(np.concatenate([part.frames[:, 0] for part in drawn]))
        # Cut, so that thin objects count too but no class is seen.
        cut = shuffle_cells(to_tensor(again.frames[:8, 0]), rng)
        return learner.loss(
            blur(torch.cat([coloured, cut]), rng),
            blur(torch.cat(shapes), rng),
            np.concatenate(
                [*(part.labels for part in drawn), again.labels[:8], raw.labels, again.labels]
            ),
        )

    schedule = Schedule(steps, lr=3e-3, weight_decay=0.02, average=0.99, seed=seed)
    fit(learner, loss, schedule, work / "judge.state", "image classifier", rounded=False)
    learner.model.classifier[1] = learner.factors.joint()
    return learner.model.eval()


def _draw(source: Corpus, rng: np.random.Generator, n: int) -> Corpus:
    """n random items."""
    pick = np.sort(rng.integers(len(source), size=n))
    return Corpus(source.frames[pick], source.masks[pick], source.labels[pick])


@torch.no_grad()
def read(model: ResNetForImageClassification, frames: np.ndarray) -> np.ndarray:
    """uint8 frames (n, 64, 64, 3) to joint label ids (n,)."""
    parts = [frames[i : i + 128] for i in range(0, len(frames), 128)]
    return np.concatenate([model(to_tensor(part)).logits.argmax(1).numpy() for part in parts])
