"""The optimizer of every training: AdamW that pulls matrices, not biases and norms, towards zero.

Takes groups of parameters with a learning rate each; returns the optimizer of those that are trained.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch


def adamw(
    groups: Iterable[tuple[Iterable[torch.nn.Parameter], float]],
    weight_decay: float,
    betas: tuple[float, float] = (0.9, 0.999),
) -> torch.optim.Optimizer:
    """AdamW over (parameters, learning rate) groups.

    Weight decay falls on matrices alone, not on parameters that are vectors but for axes of length one
    (He et al. 2022, Masked Autoencoders, table 8).
    """
    entries = []
    for parameters, rate in groups:
        trained = [p for p in parameters if p.requires_grad]
        matrices = [p for p in trained if p.squeeze().ndim > 1]
        vectors = [p for p in trained if p.squeeze().ndim <= 1]
        entries.append({"params": matrices, "lr": rate, "weight_decay": weight_decay})
        entries.append({"params": vectors, "lr": rate, "weight_decay": 0.0})
    return torch.optim.AdamW([e for e in entries if e["params"]], betas=betas, fused=True)
