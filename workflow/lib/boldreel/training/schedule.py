"""Learning-rate schedules as functions from the step number to a factor."""

from __future__ import annotations

import math
from collections.abc import Callable


def cosine(total: int, warmup: int = 0, final: float = 0.0) -> Callable[[int], float]:
    """Linear warm-up over `warmup` steps from near 0 to 1, then half a cosine down to `final`."""

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / (warmup + 1)
        along = min(1.0, (step - warmup) / max(1, total - warmup))
        return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * along))

    return factor


def constant(warmup: int = 0) -> Callable[[int], float]:
    """Linear warm-up over `warmup` steps, then 1."""
    return lambda step: min(1.0, (step + 1) / (warmup + 1))
