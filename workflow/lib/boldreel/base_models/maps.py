"""Hidden states of an image classifier as maps.

Takes what `output_hidden_states` of transformers gives, tokens or maps; returns maps.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def as_maps(state: torch.Tensor) -> torch.Tensor:
    """Tokens (n, t, c) as maps (n, c, side, side), leading tokens (class, registers) left out."""
    if state.ndim == 4:
        return state
    side = math.isqrt(state.shape[1])
    return state[:, -side * side :].transpose(1, 2).unflatten(2, (side, side))
