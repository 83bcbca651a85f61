"""The one interpolation of a run: from each volume's own grid to the output grid.

Takes slice-time-corrected volumes and one matrix a volume; returns values at chosen places of the
output grid. Motion, coregistration and normalisation are joined into one matrix before, so that the
data are interpolated once, by cubic B-splines with their prefilter (exact at the voxels).
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from boldreel.bold import transforms

_EDGE = 0.5  # voxels beyond the centre of the outermost voxels that still count as seen


def field_of_view(points: np.ndarray, to_voxels: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Which places are inside every volume's field of view.

    Parameters
    ----------
    points : (3, p) places in the output space, mm
    to_voxels : (n, 4, 4) output space to the voxels of each volume
    shape : (x, y, z) of a volume

    Returns
    -------
    inside : bool (p,)
    """
    limit = np.array(shape[:3], float)[:, None] - 1 + _EDGE
    inside = np.ones(points.shape[1], bool)
    for matrix in to_voxels:
        places = transforms.apply(matrix, points)
        inside &= ((places >= -_EDGE) & (places <= limit)).all(0)
    return inside


def sample(volumes: np.ndarray, to_voxels: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Values of each volume at the same places.

    Parameters
    ----------
    volumes : (n, x, y, z) float32
    to_voxels : (n, 4, 4) output space to the voxels of each volume
    points : (3, p) places in the output space, mm

    Returns
    -------
    values : float32 (n, p)
    """
    values = np.empty((len(volumes), points.shape[1]), np.float32)
    for volume, matrix, row in zip(volumes, to_voxels, values, strict=True):
        coefficients = ndimage.spline_filter(volume, order=3, output=np.float64, mode="mirror")
        ndimage.map_coordinates(
            coefficients,
            transforms.apply(matrix, points),
            order=3,
            prefilter=False,
            mode="mirror",
            output=row,
        )
    return values
