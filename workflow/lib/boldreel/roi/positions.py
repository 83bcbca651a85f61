"""The positions of the encoder's input: which voxel stands where.

Takes areas and a grid; leaves one row a position: areas one after the other, left before right,
neighbours together, each padded with empty rows to whole patches, so that no patch holds two areas
or both hemispheres. The table depends on nothing else and is the same for every subject.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from boldreel.errors import UserError
from boldreel.roi import atlas, curve
from boldreel.roi.settings import Settings

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class Cells:
    """Voxels of a grid: indices (3, n), places (3, n) MNI mm, grey matter probability (n,)."""

    indices: np.ndarray
    places: np.ndarray
    grey: np.ndarray


def table(cells: Cells, areas: list[atlas.Area], settings: Settings) -> pandas.DataFrame:
    """The positions table (schema "positions").

    Raises
    ------
    UserError : a group that the atlas does not have, or an area without a single voxel.
    """
    import pandas

    matter = np.flatnonzero(cells.grey > settings.grey_matter)
    owner = atlas.assign(cells.places[:, matter], areas)
    rows: list[dict] = []
    patch = 0
    for area in atlas.choose(areas, settings.groups):
        own = matter[owner == areas.index(area)]
        if not len(own):
            raise UserError(
                f"config: area {area.name} {area.hemisphere} of the atlas holds no grey matter on "
                "the grid; widen bold.output_box, lower roi.grey_matter or leave out its group "
                f"({area.group}) in roi.groups"
            )
        own = own[curve.order(cells.places[:, own])]
        padding = -len(own) % settings.patch_size
        common = {"area": area.name, "group": area.group, "hemisphere": area.hemisphere}
        for number, voxel in enumerate([*own, *[-1] * padding]):
            x, y, z = cells.places[:, voxel] if voxel >= 0 else (np.nan,) * 3
            i, j, k = cells.indices[:, voxel] if voxel >= 0 else (-1,) * 3
            place = {"patch": patch + number // settings.patch_size, **common}
            rows.append({**place, "x": x, "y": y, "z": z, "i": i, "j": j, "k": k})
        patch += (len(own) + padding) // settings.patch_size
    frame = pandas.DataFrame(rows)
    frame.insert(0, "position", np.arange(len(frame)))
    return frame
