"""Areas of an atlas, whatever it is made of, and which cells of a run belong to which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from boldreel.errors import UserError


@dataclass(frozen=True)
class Area:
    """One area of one hemisphere ("L" or "R")."""

    name: str
    group: str
    hemisphere: str


@dataclass(frozen=True)
class Parcels:
    """Areas, and for every cell the index of its own, -1 for none: owner (n,)."""

    areas: Sequence[Area]
    owner: np.ndarray


def choose(areas: Sequence[Area], groups: tuple[str, ...]) -> list[int]:
    """Indices of the areas of these groups, in the order of the groups; UserError for a group of none."""
    known = {area.group for area in areas}
    for group in groups:
        if group not in known:
            raise UserError(
                f"configuration: roi.groups names {group!r}; the atlas has {', '.join(sorted(known))}"
            )
    return [k for group in groups for k, area in enumerate(areas) if area.group == group]
