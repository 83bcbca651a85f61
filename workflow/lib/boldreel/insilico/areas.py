"""The table of visual areas, the same that defines the regions of the embedded atlas.

Takes roi/tables/visual_centres.tsv; returns names, centres in MNI mm and radii as arrays.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from boldreel import packaged
from boldreel.errors import UserError

CENTRES = packaged.path("boldreel.roi", "tables/visual_centres.tsv")


def read_centres(path: Path = CENTRES) -> dict[str, np.ndarray]:
    """The table of area centres: area, group, hemisphere (names), centre (n, 3), radius (n,) in mm."""
    try:
        with open(path, newline="", encoding="utf-8") as source:
            rows = list(csv.DictReader(source, delimiter="\t"))
        return {
            **{name: np.array([row[name] for row in rows]) for name in ("area", "group")},
            "hemisphere": np.array([row["hemisphere"] for row in rows]),
            "centre": np.array([[float(row[axis]) for axis in "xyz"] for row in rows]),
            "radius": np.array([float(row["radius"]) for row in rows]),
        }
    except (OSError, KeyError, ValueError) as error:
        raise UserError(f"{path}: not a table of area centres ({error})") from None
