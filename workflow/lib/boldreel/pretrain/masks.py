"""Which patches are hidden: any, whole areas, or all of a hemisphere.

Takes the positions table; returns numbers (n, patches), as `MaskedAutoencoder.encode` takes them: their order
is the order in which patches stay visible. Every kind hides the same number of patches. Where areas or a
hemisphere are hidden, neighbours of a hidden patch mostly are too: values cannot be copied from next door.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from boldreel.pretrain.settings import KINDS

if TYPE_CHECKING:
    import pandas as pd
    import torch


class Masks:
    """Draws masks for the patches of a positions table."""

    def __init__(self, positions: pd.DataFrame, kind: str):
        """kind : of KINDS, or `mixed`: one of them at random for each mask."""
        self.n_patches = int(positions["patch"].nunique())
        first = positions.groupby("patch").first()
        self.groups: list[np.ndarray | None] = []
        for name in KINDS if kind == "mixed" else (kind,):
            column = KINDS[name]
            group = None
            if column is not None:
                group = np.unique(first[column].to_numpy(str), return_inverse=True)[1]
            self.groups.append(group)

    def draw(self, n: int, generator: torch.Generator, together: int = 1) -> torch.Tensor:
        """(n, patches) in [0, 1): patches in random order, group by group where there are groups.

        The groups' order is random too: what stays visible is a few whole groups and a part of one more.

        together : number of consecutive rows per mask; the linear predictor factorises once per mask.
        """
        import torch

        drawn = -(-n // together)
        patches = torch.rand(drawn, self.n_patches, generator=generator)
        kinds = torch.randint(len(self.groups), (drawn,), generator=generator)
        out = patches.clone()
        for number, group in enumerate(self.groups):
            if group is None:
                continue
            rows = (kinds == number).nonzero()[:, 0]
            count = int(group.max()) + 1
            order = torch.rand(len(rows), count, generator=generator).argsort(1)
            ranks = torch.from_numpy(group).expand(len(rows), -1)
            out[rows] = (order.gather(1, ranks) + patches[rows]) / count
        return out.repeat_interleave(together, dim=0)[:n]
