"""Classifiers over all combinations of three factors that can read combinations never trained on.

Takes a backbone and one linear head per factor; returns one linear layer over the joint labels whose
logit is the sum of the three factors' logits. Summing is exact (the joint model is log-linear), and
the result is an ordinary Hugging Face classifier.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np
import torch
from torch.nn import functional

from boldreel.insilico.base_models.corpus import FACTORS


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
