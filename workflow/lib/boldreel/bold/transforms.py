"""Rigid and affine transforms between world coordinates.

Takes and returns 4 x 4 matrices that map points, in mm, RAS: `y = M @ x`. A matrix called
from-A_to-B turns the coordinates of a place in A into those of the same place in B.
"""

from __future__ import annotations

import numpy as np


def rigid(parameters: np.ndarray, centre: np.ndarray | None = None) -> np.ndarray:
    """Matrix of a rigid motion.

    Parameters
    ----------
    parameters : (6,) translations x, y, z (mm), then rotations about x, y, z (rad). The rotations
        are applied z first (R = Rx Ry Rz), about `centre`, the translation after them.
    centre : (3,) world point about which is rotated, mm; default the origin

    Returns
    -------
    matrix : (4, 4)
    """
    translation, angles = np.asarray(parameters[:3], float), np.asarray(parameters[3:], float)
    (sx, sy, sz), (cx, cy, cz) = np.sin(angles), np.cos(angles)
    rotation_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    rotation_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    rotation_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    matrix = np.eye(4)
    matrix[:3, :3] = rotation_x @ rotation_y @ rotation_z
    point = np.zeros(3) if centre is None else np.asarray(centre, float)
    matrix[:3, 3] = point + translation - matrix[:3, :3] @ point
    return matrix


def rigid_parameters(matrix: np.ndarray, centre: np.ndarray | None = None) -> np.ndarray:
    """The (6,) parameters of `rigid` that give this matrix; rotations within +-90 degrees."""
    rotation = matrix[:3, :3]
    point = np.zeros(3) if centre is None else np.asarray(centre, float)
    angles = [
        np.arctan2(-rotation[1, 2], rotation[2, 2]),
        np.arcsin(np.clip(rotation[0, 2], -1.0, 1.0)),
        np.arctan2(-rotation[0, 1], rotation[0, 0]),
    ]
    return np.array([*(matrix[:3, 3] + rotation @ point - point), *angles])


def apply(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Map points: (4, 4) applied to (3, n) gives (3, n)."""
    return matrix[:3, :3] @ points + matrix[:3, 3:4]


def displacement_rms(first: np.ndarray, second: np.ndarray, points: np.ndarray) -> float:
    """Root mean square distance (mm) between two transforms' images of (3, n) points."""
    difference = apply(first, points) - apply(second, points)
    return float(np.sqrt((difference**2).sum(0).mean()))


def grid_points(affine: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """World coordinates (3, n) of voxel indices (3, n) of a grid with this affine."""
    return apply(affine, np.asarray(indices, float))


def centre_of_grid(affine: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """World coordinates (3,) of the middle of a grid."""
    middle = (np.asarray(shape[:3], float) - 1) / 2
    return affine[:3, :3] @ middle + affine[:3, 3]


def voxel_sizes(affine: np.ndarray) -> np.ndarray:
    """Edge lengths (3,) of a voxel in mm."""
    return np.sqrt((affine[:3, :3] ** 2).sum(0))
