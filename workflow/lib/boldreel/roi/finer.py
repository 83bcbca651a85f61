"""Series on a finer mesh of fsLR, averaged onto the vertices of the 32k mesh.

Takes a dense series on the mesh of 59k vertices, the spheres of both meshes and vertices of the 32k mesh;
returns one series for each of these vertices. A vertex of the finer mesh belongs to the vertex of the 32k
mesh that is nearest to it on the sphere: a map that is the same for every subject, so that positions are too.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.parsers.expat import ExpatError

import nibabel as nib
import numpy as np

from boldreel.data import cifti, files
from boldreel.errors import UserError

# Part of the sphere's radius: neighbours on the 32k mesh are about 0.02 apart.
REACH = 0.03


def read_sphere(path: Path) -> np.ndarray:
    """Vertices (n, 3) of a sphere of GIFTI, radius 1.

    Raises
    ------
    UserError : not readable, or its vertices are not on a sphere around the origin.
    """
    files.check_fetched(path)
    try:
        image = nib.load(path)
        vertices = image.agg_data("pointset")  # type: ignore[attr-defined]
        found = np.asarray(vertices, float).reshape(-1, 3)
    except (
        ExpatError,
        OSError,
        ValueError,
        AttributeError,
        EOFError,
        SyntaxError,
        nib.filebasedimages.ImageFileError,
    ):
        raise UserError(f"{path}: not a readable GIFTI surface; fetch it again") from None
    radius = np.linalg.norm(found, axis=1)
    if not len(found) or radius.min() <= 0 or np.ptp(radius) > 0.01 * radius.max():
        raise UserError(f"{path}: not a sphere around the origin; give the mesh's sphere.surf.gii")
    return found / radius[:, None]


def members(
    coarse: np.ndarray, fine: np.ndarray, wanted: np.ndarray, there: np.ndarray
) -> list[np.ndarray]:
    """Which finer vertices a vertex of the coarse mesh is the mean of.

    Parameters
    ----------
    coarse, fine : (n, 3) and (m, 3), both spheres, radius 1
    wanted : (k,), vertices of the coarse mesh
    there : (j,), vertices of the finer mesh that have a value

    Returns
    -------
    k arrays of places in `there`: those whose nearest coarse vertex it is, or the one that is nearest to it
    if there are none; empty if even that is further away than REACH.
    """
    from scipy.spatial import cKDTree

    _, owner = cKDTree(coarse).query(fine[there])
    order = np.argsort(owner, kind="stable")
    first, last = (np.searchsorted(owner[order], wanted, side=side) for side in ("left", "right"))
    distance, nearest = cKDTree(fine[there]).query(coarse[wanted])
    found = []
    for k in range(len(wanted)):
        own = order[first[k] : last[k]]
        if not len(own) and distance[k] <= REACH:
            own = nearest[k : k + 1]
        found.append(own)
    return found


def series(
    dense: cifti.Dense,
    vertices: np.ndarray,
    sides: np.ndarray,
    coarse: dict[str, np.ndarray],
    spheres: Sequence[Path],
) -> np.ndarray:
    """Series (n, k) at k vertices of the 32k mesh; NaN where the run has nothing near.

    Parameters
    ----------
    vertices, sides : (k,), of the 32k mesh and "L" or "R"
    coarse : the 32k sphere of each hemisphere, (n, 3), of any radius
    spheres : files of the finer mesh, left and right

    Raises
    ------
    UserError : no spheres were given, or they are not of the mesh that the series is on.
    """
    if not spheres:
        raise UserError(
            f"{dense.path}: on a mesh of 59k vertices, whose spheres are needed; give --spheres LEFT RIGHT"
        )
    groups: list[np.ndarray] = [np.zeros(0, int)] * len(vertices)
    for (side, structure), path in zip(cifti.CORTEX.items(), spheres, strict=True):
        fine = read_sphere(path)
        count = dense.models.nvertices.get(structure)
        if count != len(fine):
            raise UserError(
                f"{dense.path}: {count} vertices in {structure}, the sphere {path} has {len(fine)}; give the "
                "sphere of that mesh in bold.spheres, or a den-91k file"
            )
        grayordinates, there = dense.vertices(side)
        own = np.flatnonzero(sides == side)
        middle = coarse[side] / np.linalg.norm(coarse[side], axis=1, keepdims=True)
        for place, group in zip(own, members(middle, fine, vertices[own], there), strict=True):
            groups[place] = grayordinates[group]
    sizes = np.array([len(group) for group in groups])
    out = np.full((dense.volumes, len(vertices)), np.nan, np.float32)
    filled = np.flatnonzero(sizes)
    if len(filled):
        values = dense.values(np.concatenate(groups))
        starts = np.concatenate([[0], np.cumsum(sizes[filled])[:-1]])
        out[:, filled] = np.add.reduceat(values, starts, axis=1) / sizes[filled].astype(np.float32)
    return out
