"""Where the head is: its anatomy, the scanner's field of view, and how it moves during a run.

Takes seeds; returns 4 x 4 matrices between world coordinates (mm, RAS) that map points: MNI, the
T1w image's world, and the scanner's world at each volume.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from boldreel.insilico.template import move

# Head size and place against the template.
SCALE, TURN, SHIFT = (0.95, 1.05), 5.0, 6.0
# A run's place against the T1w image.
OFFSET, OFFSET_TURN = 1.5, 1.5
# Within a run: sd of the slow part over the run, of the jitter, and largest sudden step (mm, degrees).
SLOW, JITTER, STEP, STEP_PROBABILITY = 0.25, 0.02, 0.35, 0.3
# How far the field of view reaches past the box, so that a moved head still fills it.
REACH = 7.0


class FieldOfView(NamedTuple):
    """The scanner's grid: affine from voxel index to its world (mm), and shape."""

    affine: np.ndarray
    shape: tuple[int, int, int]

    @property
    def centre(self) -> np.ndarray:
        """World coordinates (3,) of its middle."""
        return move(self.affine, (np.array(self.shape) - 1) / 2)


def rotation(degrees: np.ndarray) -> np.ndarray:
    """Rotation matrix R = Rx Ry Rz (z first) from angles (3,) in degrees about x, y and z."""
    (sx, sy, sz), (cx, cy, cz) = np.sin(np.radians(degrees)), np.cos(np.radians(degrees))
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_x @ about_y @ about_z


def rigid(parameters: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """4 x 4 matrix of a rigid motion.

    Parameters
    ----------
    parameters : (6,) translation x, y, z (mm), then rotation about x, y, z (degrees); the rotation
        goes about `centre` (3,) in mm, the translation comes after it.
    """
    matrix = np.eye(4)
    matrix[:3, :3] = rotation(parameters[3:])
    matrix[:3, 3] = centre + parameters[:3] - matrix[:3, :3] @ centre
    return matrix


def rigid_parameters(matrix: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """The (6,) parameters from which `rigid` makes this matrix."""
    r = matrix[:3, :3]
    angles = np.degrees(
        [
            np.arctan2(-r[1, 2], r[2, 2]),
            np.arcsin(np.clip(r[0, 2], -1, 1)),
            np.arctan2(-r[0, 1], r[0, 0]),
        ]
    )
    return np.concatenate([matrix[:3, 3] + r @ centre - centre, angles])


def t1w_to_mni(rng: np.random.Generator) -> np.ndarray:
    """A subject's anatomy: matrix (4, 4) from the T1w image's world to MNI."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation(rng.uniform(-TURN, TURN, 3)) @ np.diag(rng.uniform(*SCALE, 3))
    matrix[:3, 3] = rng.uniform(-SHIFT, SHIFT, 3)
    return np.linalg.inv(matrix)


def field_of_view(
    rng: np.random.Generator, to_mni: np.ndarray, box: np.ndarray, voxel_size: float
) -> FieldOfView:
    """A slightly oblique grid that holds a box (3, 2) of MNI mm of this head, with room to move.

    Voxels are stored from right to left, as scanners store them; slices go along the third axis.
    """
    tilt = rotation(np.array([-6.0, 0, 0]) + rng.uniform(-3, 3, 3))
    corners = np.stack(np.meshgrid(*box, indexing="ij")).reshape(3, -1)
    inside = tilt.T @ move(np.linalg.inv(to_mni), corners)
    low, high = inside.min(1) - REACH, inside.max(1) + REACH
    x, y, z = (int(n) for n in np.ceil((high - low) / voxel_size) + 1)
    affine = np.eye(4)
    affine[:3, :3] = tilt @ np.diag([-voxel_size, voxel_size, voxel_size])
    affine[:3, 3] = tilt @ np.array([low[0] + (x - 1) * voxel_size, low[1], low[2]])
    return FieldOfView(affine, (x, y, z))


def motion(rng: np.random.Generator, n_volumes: int) -> np.ndarray:
    """Head motion of a run against the T1w image, (n_volumes, 6): mm and degrees as in `rigid`.

    A constant offset, a slow smooth walk, a small jitter, and in some runs one sudden step.
    """
    offset = rng.uniform(-1, 1, 6) * np.repeat([OFFSET, OFFSET_TURN], 3)
    steps = rng.standard_normal((n_volumes, 6))
    smooth = np.hanning(9)[1:-1] / np.hanning(9).sum()
    walk = np.cumsum([np.convolve(column, smooth, "same") for column in steps.T], axis=1).T
    walk *= SLOW / np.sqrt(n_volumes / 2)
    jitter = JITTER * rng.standard_normal((n_volumes, 6))
    path = walk - walk[0] + jitter
    when, size = rng.integers(n_volumes // 4, 3 * n_volumes // 4), rng.uniform(-STEP, STEP, 6)
    if rng.random() < STEP_PROBABILITY:
        path[when:] += size
    return offset + path


def poses(parameters: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Matrices (n_volumes, 4, 4) from the T1w image's world to the scanner's, at each volume."""
    return np.stack([rigid(row, centre) for row in parameters])


def relative(matrices: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Parameters (n_volumes, 6) of each volume's motion in scanner world since volume 0."""
    first = np.linalg.inv(matrices[0])
    return np.stack([rigid_parameters(matrix @ first, centre) for matrix in matrices])
