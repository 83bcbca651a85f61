"""The optimizer of every training, and how its learning rate changes.

AdamW with weight decay on matrices, not on biases and norms. Takes groups of parameters with a learning rate
each; returns the optimizer of those that are trained. A schedule is a function from the number of the step
to a factor on these rates.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

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


def cosine(total: int, warmup: int = 0, final: float = 0.0) -> Callable[[int], float]:
    """Linear warm-up over `warmup` steps from near 0 to 1, then half a cosine down to `final`."""

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / (warmup + 1)
        along = min(1.0, (step - warmup) / max(1, total - warmup))
        return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * along))

    return factor
