"""Atlases of areas as centres with a radius.

Takes a table (area, group, hemisphere, x, y, z, radius; MNI mm); returns, for any places, the area
whose centre is nearest and near enough. x > 0 is right.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from boldreel import packaged
from boldreel.errors import UserError
from boldreel.roi.areas import Area

_COLUMNS = ("area", "group", "hemisphere", "x", "y", "z", "radius")
BUILT_IN = {"visual-centres": packaged.path("boldreel.roi", "tables/visual_centres.tsv")}


@dataclass(frozen=True)
class Centre(Area):
    """One area of one hemisphere, with its centre (3,) and radius in mm."""

    centre: tuple[float, float, float]
    radius: float


def locate(atlas: str) -> Path:
    """The table of an atlas of centres, by name or path.

    Raises
    ------
    UserError : neither a known name nor the path of a file.
    """
    path = BUILT_IN[atlas] if atlas in BUILT_IN else Path(atlas)
    if not path.is_file():
        raise UserError(
            f"configuration: roi.atlas is {atlas!r}; choose visual-centres, hcp-mmp, whole-cortex or "
            "the path of an atlas"
        )
    return path


def load(path: Path) -> list[Centre]:
    """The areas of an atlas table, in its order.

    Raises
    ------
    UserError : a missing column, a cell that is no number, an area given twice, or a hemisphere that
        contradicts x (the left / right trap).
    """
    with open(path, encoding="utf-8", newline="") as source:
        reader = csv.DictReader(source, delimiter="\t")
        absent = [name for name in _COLUMNS if name not in (reader.fieldnames or [])]
        if absent:
            raise UserError(f"{path}: column {absent[0]!r} is missing")
        areas = [_area(path, number, row) for number, row in enumerate(reader, start=2)]
    names = [(area.name, area.hemisphere) for area in areas]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"{path}: area {name[0]} {name[1]} is there twice; keep one row")
    return areas


def _area(path: Path, number: int, row: dict[str, str]) -> Centre:
    try:
        x, y, z, radius = (float(row[name]) for name in ("x", "y", "z", "radius"))
    except (TypeError, ValueError):
        raise UserError(f"{path}: row {number}: x, y, z or radius is not a number") from None
    side = row["hemisphere"]
    if side not in ("L", "R") or (x > 0) != (side == "R") or x == 0:
        raise UserError(
            f"{path}: row {number}: hemisphere {side} but x is {x:g}; x above 0 is R, below 0 is L"
        )
    return Centre(row["area"], row["group"], side, (x, y, z), radius)


def assign(points: np.ndarray, areas: list[Centre]) -> np.ndarray:
    """Index of the area of each place (n,), -1 for none.

    Parameters
    ----------
    points : (3, n) MNI mm. A place belongs to the nearest centre of its own hemisphere, if that is
        within the area's radius; places on the midline (x = 0) belong to none.
    areas : all areas of the atlas, so that leaving out a group moves no border
    """
    centres = np.array([area.centre for area in areas])
    distance = np.linalg.norm(points.T[:, None] - centres[None], axis=2)
    distance[distance > np.array([area.radius for area in areas])] = np.inf
    side = np.array([1.0 if area.hemisphere == "R" else -1.0 for area in areas])
    distance[points[0][:, None] * side[None] <= 0] = np.inf
    nearest = distance.argmin(1)
    return np.where(np.isfinite(distance.min(1)), nearest, -1)
