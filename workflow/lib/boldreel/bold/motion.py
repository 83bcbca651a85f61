"""Rigid head motion of a run by inverse-compositional Gauss-Newton.

Takes the volumes of a run; returns one 4 x 4 matrix a volume that maps places in the volume (orig) to
places in the run's reference (boldref), world mm.

Volumes are read as coefficients of cubic B-splines without prefilter: values between voxels are then
those of a slightly smoothed volume, and the reference and its gradient are smoothed by the very same
kernel. The normal equations belong to the reference and are computed once (Baker & Matthews 2004,
Int J Comput Vis 56:221, section 3.2); an intensity scale and offset of each volume are estimated with
the motion, and Huber weights take away the pull of voxels that change for other reasons
(activation, spikes).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from boldreel.bold import transforms

_VALUE = np.array([1.0, 4.0, 1.0]) / 6.0  # cubic B-spline at -1, 0, 1
_SLOPE = np.array([-0.5, 0.0, 0.5])  # its derivative
_NEAR = 3  # volumes on either side of the middle one that make the reference
_LOST = 0.1  # a volume with less of the reference's contrast tells nothing: it stays where it is
_HUBER = 1.345  # 95 % efficiency for Gaussian noise (Huber 1981)


@dataclass(frozen=True)
class Motion:
    """Head motion of a run.

    to_reference : (n, 4, 4) orig to boldref, world mm
    centre : (3,) world point about which `parameters` rotate: the middle of the field of view
    reference : (x, y, z) mean of the middle volumes, laid on each other
    """

    to_reference: np.ndarray
    centre: np.ndarray
    reference: np.ndarray

    @property
    def parameters(self) -> np.ndarray:
        """(n, 6) movement of the head from the reference: mm along x, y, z, then rad about them."""
        return np.array(
            [
                transforms.rigid_parameters(np.linalg.inv(matrix), self.centre)
                for matrix in self.to_reference
            ]
        )


def estimate(
    volumes: np.ndarray,
    affine: np.ndarray,
    *,
    samples: int = 2000,
    tolerance: float = 0.05,
    max_iterations: int = 12,
) -> Motion:
    """Estimate the head motion of a run.

    Parameters
    ----------
    volumes : (n, x, y, z) float32, as acquired
    affine : (4, 4) voxel to world mm
    samples : how many voxels of steep gradient are compared
    tolerance : mm; a volume is done when an update moves no point 50 mm from the centre further

    Returns
    -------
    Motion, relative to the mean of the middle volumes.
    """
    count = len(volumes)
    smooth = _binomial(volumes)
    middle = count // 2
    near = range(max(0, middle - _NEAR), min(count, middle + _NEAR + 1))
    first = _Reference(smooth[_most_typical(smooth, near)], affine, samples)
    mean = np.zeros(volumes.shape[1:])
    for index in near:
        found = first.register(smooth[index], np.eye(4), tolerance, max_iterations)
        mean += _resample(volumes[index], found, affine) / len(near)
    reference = _Reference(_binomial(mean[None])[0], affine, samples)
    matrices = np.empty((count, 4, 4))
    # Outwards from the middle: each volume starts where its neighbour was found.
    for order in (range(middle, count), range(middle - 1, -1, -1)):
        start = np.eye(4) if order.step > 0 else matrices[middle]
        for index in order:
            start = reference.register(smooth[index], start, tolerance, max_iterations)
            matrices[index] = start
    return Motion(np.linalg.inv(matrices), reference.centre, mean)


def _most_typical(volumes: np.ndarray, near: range) -> int:
    """The volume of `near` that is least unlike their median: not an empty or a spiked one."""
    part = volumes[near.start : near.stop, ::2, ::2, ::2]
    unlike = np.abs(part - np.median(part, axis=0)).mean((1, 2, 3))
    return near.start + int(unlike.argmin())


class _Reference:
    """A reference volume with everything that registration to it needs again and again."""

    def __init__(self, volume: np.ndarray, affine: np.ndarray, samples: int) -> None:
        self.inverse = np.linalg.inv(affine)
        self.affine = affine
        self.shape = volume.shape
        self.centre = transforms.centre_of_grid(affine, volume.shape)
        value, gradient = _spline_on_grid(volume)
        chosen = _steep(value, gradient, samples)
        self.points = transforms.grid_points(affine, chosen)
        # Gradient per mm in world directions.
        slopes = self.inverse[:3, :3].T @ gradient[:, chosen[0], chosen[1], chosen[2]]
        arms = self.points - self.centre[:, None]
        self.scale = float(np.abs(value[tuple(chosen)]).mean()) or 1.0
        self.value = value[tuple(chosen)] / self.scale
        columns = [slopes / self.scale, np.cross(arms, slopes, axis=0) / self.scale]
        self.design = np.vstack([*columns, self.value, np.ones_like(self.value)])  # (8, n)
        normal = self.design @ self.design.T
        self.plain = np.linalg.pinv(normal, hermitian=True)

    def register(
        self, volume: np.ndarray, start: np.ndarray, tolerance: float, max_iterations: int
    ) -> np.ndarray:
        """Matrix (4, 4) from reference to volume, world mm, from a starting guess."""
        matrix = start
        for _ in range(max_iterations):
            step = self._step(volume, matrix)
            matrix = matrix @ np.linalg.inv(transforms.rigid(step, self.centre))
            if np.abs(step[:3]).max() + 50.0 * np.abs(step[3:]).max() < tolerance:
                break
        return matrix

    def _step(self, volume: np.ndarray, matrix: np.ndarray) -> np.ndarray:
        coordinates = transforms.apply(self.inverse @ matrix, self.points)
        seen = ndimage.map_coordinates(
            volume, coordinates, order=3, prefilter=False, mode="nearest", output=np.float64
        )
        seen /= self.scale
        inside = np.ones(seen.shape, bool)
        for axis, length in enumerate(self.shape):
            inside &= (coordinates[axis] > -0.5) & (coordinates[axis] < length - 0.5)
        # Weights from the plain solution's residuals, then one weighted solution.
        solution = self.plain @ (self.design @ seen)
        residual = np.abs(seen - solution @ self.design)
        limit = _HUBER * 1.4826 * np.median(residual) + 1e-12
        weights = np.minimum(1.0, limit / np.maximum(residual, 1e-12)) * inside
        weighted = self.design * weights
        normal = weighted @ self.design.T
        normal += 1e-9 * np.trace(normal) * np.eye(8)
        solution = np.linalg.solve(normal, weighted @ seen) if normal.any() else np.zeros(8)
        # seen = scale (reference + slopes . step) + offset
        if solution[6] < _LOST:
            return np.zeros(6)
        return solution[:6] / solution[6]


def _binomial(volumes: np.ndarray) -> np.ndarray:
    """Smooth (1, 2, 1) / 4 along the three axes: no energy is left at the sampling limit."""
    smooth = np.array(volumes)
    for axis in (1, 2, 3):
        view = np.moveaxis(smooth, axis, 0)
        # Sums of neighbours twice give 1, 2, 1; the faces repeat.
        pairs = view[1:] + view[:-1]
        view[1:-1] = 0.25 * (pairs[1:] + pairs[:-1])
        view[0] = 0.5 * (view[0] + 0.5 * pairs[0])
        view[-1] = 0.5 * (view[-1] + 0.5 * pairs[-1])
    return smooth


def _spline_on_grid(volume: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Value (x, y, z) and gradient (3, x, y, z; per voxel) of the B-spline at the voxels."""

    def filtered(kernels: tuple[np.ndarray, np.ndarray, np.ndarray]) -> np.ndarray:
        result = np.asarray(volume, np.float64)
        for axis, kernel in enumerate(kernels):
            result = ndimage.correlate1d(result, kernel, axis=axis, mode="nearest")
        return result

    value = filtered((_VALUE, _VALUE, _VALUE))
    gradient = np.stack(
        [
            filtered(tuple(_SLOPE if axis == which else _VALUE for axis in range(3)))  # type: ignore[arg-type]
            for which in range(3)
        ]
    )
    return value, gradient


def _steep(value: np.ndarray, gradient: np.ndarray, samples: int) -> np.ndarray:
    """Indices (3, n) of the voxels with the steepest gradient, off the faces of the volume."""
    steepness = (gradient**2).sum(0)
    margin = [2 if length > 8 else 1 for length in value.shape]
    inner = np.zeros(value.shape, bool)
    inner[tuple(slice(m, -m) for m in margin)] = True
    steepness = np.where(inner, steepness, 0.0).ravel()
    count = min(samples, int((steepness > 0).sum()))
    chosen = np.sort(np.argpartition(-steepness, count - 1)[:count])
    return np.array(np.unravel_index(chosen, value.shape))


def _resample(volume: np.ndarray, matrix: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """A volume moved onto the reference, interpolated by cubic splines."""
    to_voxel = np.linalg.inv(affine) @ matrix @ affine
    coefficients = ndimage.spline_filter(volume, order=3, output=np.float64, mode="nearest")
    return ndimage.affine_transform(
        coefficients, to_voxel[:3, :3], to_voxel[:3, 3], order=3, prefilter=False, mode="nearest"
    )
