"""Coregistration of a run's reference to the subject's T1w: rigid, across contrasts.

Takes the mean BOLD volume and the brain of the T1w; returns the matrix from boldref to T1w, world mm.

The cost is the correlation ratio (Roche et al. 1998, MICCAI, LNCS 1496:1115): how much of the
variance of the BOLD volume is explained by a function of the T1w intensity at the same place. The
function (piecewise linear, refitted at every step) and the motion are solved for together by
Gauss-Newton, together with a quadratic shading that multiplies the BOLD volume; coarse to fine, and
at the coarse level, where the scanner's own coordinates lead to no good match, from starts around.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from boldreel.bold import bias_field, transforms

_LEVELS = (8.0, 4.0)  # full width at half maximum of the smoothing, mm
_SAMPLES = (2000, 7000)  # voxels compared at each level
_KNOTS = 10  # of the intensity function
_START_SHIFT = 6.0  # mm
_TRIAL, _ITERATIONS = 6, 20  # Gauss-Newton steps from each start, and from the best of them
_CERTAIN = 0.85  # correlation ratio at the coarse level that no wrong place reaches
_MARGIN = 24.0  # mm of T1w kept around the field of view


@dataclass(frozen=True)
class Coregistration:
    """to_t1w : (4, 4) boldref to T1w, world mm; correlation_ratio : 0 (no relation) to 1."""

    to_t1w: np.ndarray
    correlation_ratio: float


def coregister(
    boldref: np.ndarray, bold_affine: np.ndarray, t1w: np.ndarray, t1w_affine: np.ndarray
) -> Coregistration:
    """Find where the BOLD reference lies in the T1w.

    Parameters
    ----------
    boldref : (x, y, z), any part of the head
    bold_affine, t1w_affine : (4, 4) voxel to world mm
    t1w : (x, y, z) brain, 0 outside, about 2 mm

    Returns
    -------
    Coregistration
    """
    samples = _Samples(boldref, bold_affine)
    centre = samples.centre
    t1w, t1w_affine = _around(samples.points, t1w, t1w_affine)
    shifts = [np.zeros(3)] + [
        sign * _START_SHIFT * axis for axis in np.eye(3) for sign in (1.0, -1.0)
    ]
    starts = [transforms.rigid(np.append(shift, np.zeros(3))) for shift in shifts]
    best = Coregistration(np.eye(4), 0.0)
    for number in range(len(_LEVELS)):
        level = samples.level(t1w, t1w_affine, number)
        best = level.register(starts[0], centre, _ITERATIONS)
        if best.correlation_ratio < _CERTAIN and len(starts) > 1:
            tried = [level.register(start, centre, _TRIAL) for start in starts[1:]]
            found = max(tried, key=lambda candidate: candidate.correlation_ratio)
            found = level.register(found.to_t1w, centre, _ITERATIONS)
            best = max(best, found, key=lambda candidate: candidate.correlation_ratio)
        starts = [best.to_t1w]
    return best


def correlation_ratio(
    boldref: np.ndarray, bold_affine: np.ndarray, t1w: np.ndarray, t1w_affine: np.ndarray
) -> float:
    """How well a BOLD reference follows a T1w where it lies, 0 to 1; parameters as of `coregister`."""
    samples = _Samples(boldref, bold_affine)
    t1w, t1w_affine = _around(samples.points, t1w, t1w_affine)
    return samples.level(t1w, t1w_affine, -1).ratio(np.eye(4), samples.centre)


class _Samples:
    """A BOLD reference without shading, and at which of its voxels it is compared."""

    def __init__(self, boldref: np.ndarray, affine: np.ndarray) -> None:
        indices = np.indices(boldref.shape).reshape(3, -1)
        self.affine = affine
        self.centre = transforms.centre_of_grid(affine, boldref.shape)
        self.points = transforms.grid_points(affine, indices)
        self.slow = bias_field.quadratic((self.points - self.centre[:, None]) / 100.0)
        self.flat = _flatten(boldref.astype(float).ravel(), self.slow).reshape(boldref.shape)
        self.chosen = np.random.default_rng(0).permutation(indices.shape[1])

    def level(self, t1w: np.ndarray, t1w_affine: np.ndarray, number: int) -> _Level:
        """Both images at one of `_LEVELS`."""
        width = _LEVELS[number]
        sigma = width / 2.3548 / transforms.voxel_sizes(self.affine)
        blurred = ndimage.gaussian_filter(self.flat, sigma, truncate=3.0).ravel()
        part = np.sort(self.chosen[: _SAMPLES[number]])
        return _Level(t1w, t1w_affine, width, self.points[:, part], blurred[part], self.slow[part])


class _Level:
    """One smoothing level: the BOLD samples, and the T1w with its gradient, ready to be sampled."""

    def __init__(
        self,
        t1w: np.ndarray,
        t1w_affine: np.ndarray,
        width: float,
        points: np.ndarray,
        values: np.ndarray,
        slow: np.ndarray,
    ) -> None:
        sigma = width / 2.3548 / transforms.voxel_sizes(t1w_affine)
        smooth = ndimage.gaussian_filter(t1w.astype(np.float32), sigma, truncate=3.0)
        # Value and slopes along the voxel axes.
        self.images = [smooth, *np.gradient(smooth)]
        self.knots = np.linspace(0.0, float(np.percentile(smooth[smooth > 0], 99.5)), _KNOTS)
        self.inverse = np.linalg.inv(t1w_affine)
        self.points, self.values, self.shading = points, values, slow

    def ratio(self, matrix: np.ndarray, middle: np.ndarray) -> float:
        """Correlation ratio at `matrix`."""
        return self._step(matrix, middle)[0]

    def register(self, start: np.ndarray, centre: np.ndarray, iterations: int) -> Coregistration:
        """Gauss-Newton from a starting matrix; the best matrix met on the way."""
        matrix, best, trust = start, Coregistration(start, -1.0), 4.0
        for _ in range(iterations):
            middle = transforms.apply(matrix, centre[:, None])[:, 0]
            ratio, step = self._step(matrix, middle)
            if ratio > best.correlation_ratio:
                best = Coregistration(matrix, ratio)
            elif trust < 0.01:
                break
            else:
                trust *= 0.5
            length = np.abs(step[:3]).max() + 50.0 * np.abs(step[3:]).max()
            if length < 0.01:
                break
            step = step * min(1.0, trust / length)
            matrix = transforms.rigid(step, middle) @ matrix
        return best

    def _step(self, matrix: np.ndarray, middle: np.ndarray) -> tuple[float, np.ndarray]:
        """Correlation ratio at `matrix`, and the Gauss-Newton step (6,) about `middle`."""
        places = transforms.apply(matrix, self.points)
        coordinates = transforms.apply(self.inverse, places)
        intensity, *slopes = (
            ndimage.map_coordinates(image, coordinates, order=1, output=np.float64)
            for image in self.images
        )
        gradient = self.inverse[:3, :3].T @ np.array(slopes)
        hats, hat_slopes = _hats(intensity, self.knots)
        # Outside the T1w's brain only the rim counts: a real head goes on there, this T1w does not.
        weights = np.where(intensity > 0.02 * self.knots[-1], 1.0, 0.2)
        plain, _ = _fit(hats, weights, self.values)
        model = np.hstack([hats, self.shading * plain[:, None]])
        predicted, fit = _fit(model, weights, self.values)
        residual = self.values - predicted
        total = self.values - np.average(self.values, weights=weights)
        ratio = 1.0 - float((weights * residual**2).sum() / (weights * total**2).sum())
        force = gradient * (hat_slopes @ fit[:_KNOTS]) * (1.0 + self.shading @ fit[_KNOTS:])
        arms = places - middle[:, None]
        jacobian = np.vstack([force, np.cross(arms, force, axis=0)]).T
        # Fitting the intensity function to the Jacobian too solves for both together.
        jacobian = jacobian - _fit(model, weights, jacobian)[0]
        weighted = jacobian * weights[:, None]
        hessian = weighted.T @ jacobian + 1e-12 * np.eye(6)
        return ratio, np.linalg.solve(hessian, weighted.T @ residual)


def _fit(
    model: np.ndarray, weights: np.ndarray, values: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Weighted least squares of values (n,) or (n, m) on a model (n, k): prediction, coefficients."""
    weighted = model * weights[:, None]
    normal = weighted.T @ model
    normal += 1e-9 * np.trace(normal) * np.eye(len(normal))
    fit = np.linalg.solve(normal, weighted.T @ values)
    return model @ fit, fit


def _around(
    points: np.ndarray, values: np.ndarray, affine: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The part of an image that lies around world points (3, n), with its affine."""
    coordinates = transforms.apply(np.linalg.inv(affine), points)
    margin = _MARGIN / transforms.voxel_sizes(affine)
    low = np.clip(np.floor(coordinates.min(1) - margin), 0, None).astype(int)
    high = np.minimum(np.ceil(coordinates.max(1) + margin).astype(int) + 1, values.shape)
    if (high - low < 4).any():
        return values, affine
    moved = affine.copy()
    moved[:3, 3] += affine[:3, :3] @ low
    return values[tuple(slice(a, b) for a, b in zip(low, high, strict=True))], moved


def _flatten(values: np.ndarray, slow: np.ndarray) -> np.ndarray:
    """Divide by a log-quadratic shading fitted to the bright half; a first guess, refined later."""
    bright = values > 0.4 * np.percentile(values, 95)
    model = np.column_stack([np.ones(int(bright.sum())), slow[bright]])
    fit = np.linalg.lstsq(model, np.log(values[bright]), rcond=None)[0]
    field = np.clip(slow @ fit[1:], -1.5, 1.5)
    flat = values * np.exp(-field)
    return flat / max(float(np.percentile(flat, 95)), 1e-9)


def _hats(values: np.ndarray, knots: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Piecewise linear basis (n, knots) at `values`, and its derivative."""
    width = knots[1] - knots[0]
    place = np.clip((values - knots[0]) / width, 0.0, len(knots) - 1 - 1e-9)
    left = place.astype(int)
    share = place - left
    rows = np.arange(len(values))
    basis = np.zeros((len(values), len(knots)))
    basis[rows, left], basis[rows, left + 1] = 1.0 - share, share
    slope = np.zeros_like(basis)
    slope[rows, left], slope[rows, left + 1] = -1.0 / width, 1.0 / width
    return basis, slope
