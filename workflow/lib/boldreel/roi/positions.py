"""The positions of the encoder's input: which voxel is where.

Takes areas and a grid; returns one row a position: areas one after the other, left before right,
neighbours together, each padded with empty rows to whole patches, so that no patch holds two areas
or both hemispheres. The table depends on nothing else and is the same for every subject.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from boldreel.errors import UserError
from boldreel.roi import areas, hilbert
from boldreel.roi.areas import Parcels
from boldreel.roi.locations import Cells
from boldreel.roi.settings import RoiSettings

if TYPE_CHECKING:
    import pandas


def table(
    cells: Cells, parcels: Parcels, settings: RoiSettings, inside: np.ndarray | None = None
) -> pandas.DataFrame:
    """The positions table (schema "positions").

    Parameters
    ----------
    parcels : area of every cell
    inside : bool (n,), cells of a mask that the areas are cut to

    Raises
    ------
    UserError : a group that the atlas does not have, or an area without a single voxel.
    """
    import pandas

    usable = cells.grey > settings.grey_matter
    if inside is not None:
        usable &= inside
    rows: list[dict] = []
    patch = 0
    for number in areas.choose(parcels.areas, settings.groups):
        area = parcels.areas[number]
        own = np.flatnonzero(usable & (parcels.owner == number))
        if not len(own) and inside is not None:
            continue
        if not len(own):
            raise UserError(
                f"configuration: area {area.name} {area.hemisphere} of the atlas holds no grey matter on "
                "the grid; widen bold.output_box, lower roi.grey_matter or leave out its group "
                f"({area.group}) in roi.groups"
            )
        own = own[hilbert.order(cells.along[:, own])]
        padding = -len(own) % settings.patch_size
        common = {"area": area.name, "group": area.group, "hemisphere": area.hemisphere}
        for place, voxel in enumerate([*own, *[-1] * padding]):
            x, y, z = cells.places[:, voxel] if voxel >= 0 else (np.nan,) * 3
            i, j, k = cells.indices[:, voxel] if voxel >= 0 else (-1,) * 3
            where = {"patch": patch + place // settings.patch_size, **common}
            rows.append({**where, "x": x, "y": y, "z": z, "i": i, "j": j, "k": k})
        patch += (len(own) + padding) // settings.patch_size
    if not rows:
        raise UserError("configuration: no position of roi.groups is in roi.mask; check both")
    frame = pandas.DataFrame(rows)
    frame.insert(0, "position", np.arange(len(frame)))
    return frame
