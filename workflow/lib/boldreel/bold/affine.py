"""Affine registration of a T1w to the template, twelve degrees of freedom.

Takes a T1w, with or without skull, and the template's T1w brain; returns the matrix from T1w to
template, world mm. Gauss-Newton on places inside the template's brain only (a skull is not looked
at), coarse to fine; scale, offset and a quadratic shading of the T1w are fitted at each step, which
makes the cost a normalised correlation that the coil's shading does not disturb.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from boldreel.bold import bias_field, template, transforms

_LEVELS = (8, 4, 2)  # mm: spacing of the places compared
_BLUR = 0.8  # smoothing, sd in that spacing
_RIMS = (8.0, 4.0, 0.0)  # mm beyond the brain that are compared too: at last no skull disturbs
_TRIAL, _ITERATIONS = 8, 25  # Gauss-Newton steps from each start, and from the best of them
_PITCHES = np.deg2rad([0.0, -15.0, 15.0])  # how differently heads lie in scanners


@dataclass(frozen=True)
class Affine:
    """to_template : (4, 4) T1w to template, world mm; correlation : of the two at the end."""

    to_template: np.ndarray
    correlation: float


def register(t1w: np.ndarray, affine: np.ndarray, start: np.ndarray | None = None) -> Affine:
    """Register a T1w to the template.

    Parameters
    ----------
    t1w : (x, y, z) float32, not negative
    affine : (4, 4) voxel to world mm
    start : (4, 4) T1w to template, where this is known roughly: then only the finest level is run

    Returns
    -------
    Affine
    """
    brain, brain_affine = template.load("T1w")
    starts = _starts(t1w, affine) if start is None else [np.linalg.inv(start)]
    levels = list(zip(_LEVELS, _RIMS, strict=True))
    best = Affine(np.eye(4), -1.0)
    for spacing, rim in levels if start is None else levels[-1:]:
        level = _Level(t1w, affine, brain, brain_affine, spacing, rim)
        if len(starts) > 1:
            tried = [level.solve(guess, _TRIAL) for guess in starts]
            best = max(tried, key=lambda candidate: candidate.correlation)
            starts = [np.linalg.inv(best.to_template)]
        best = level.solve(starts[0], _ITERATIONS)
        starts = [np.linalg.inv(best.to_template)]
    return best


def _starts(t1w: np.ndarray, affine: np.ndarray) -> list[np.ndarray]:
    """Guesses of template to T1w: the header's coordinates, and centres laid on each other."""
    step = max(1, min(t1w.shape) // 48)
    thin = t1w[::step, ::step, ::step]
    bright = np.array(np.nonzero(thin > 0.25 * np.percentile(thin, 98))) * step
    places = transforms.grid_points(affine, bright)
    middle = (places.max(1) + places.min(1)) / 2
    # The brain, and a head cut at the neck, are best centred on the top and the sides.
    top = np.array([0.0, -18.0, 80.0])
    crown = np.array([middle[0], middle[1], np.percentile(places[2], 99.5)])
    starts = []
    for shift in (np.zeros(3), crown - top):
        for pitch in _PITCHES:
            motion = np.array([*shift, pitch, 0.0, 0.0])
            starts.append(transforms.rigid(motion, np.array([0.0, -18.0, 8.0])))
    return starts


class _Level:
    """One spacing: the template's places with their gradient, and the T1w at the same detail."""

    def __init__(
        self,
        t1w: np.ndarray,
        affine: np.ndarray,
        brain: np.ndarray,
        brain_affine: np.ndarray,
        spacing: int,
        rim: float,
    ) -> None:
        target, target_affine = template.coarse(brain, brain_affine, spacing)
        target = ndimage.gaussian_filter(target, _BLUR, truncate=3.0)
        gradient = np.array(np.gradient(target))
        mask = target > 0.1 * target.max()
        if rim:
            mask = ndimage.binary_dilation(mask, iterations=max(1, round(rim / spacing)))
        indices = np.array(np.nonzero(mask))
        self.points = transforms.grid_points(target_affine, indices)
        self.values = target[tuple(indices)].astype(float)
        slopes = np.linalg.inv(target_affine)[:3, :3].T @ gradient[(slice(None), *indices)]
        self.middle = self.points.mean(1)
        arms = self.points - self.middle[:, None]
        # d target(D x) / d D for the 3 x 4 entries of an affine D near the identity.
        moves = np.concatenate([slopes[:, None] * arms[None], slopes[:, None]], axis=1)
        self.moves = moves.reshape(12, -1).T
        self.shading = bias_field.quadratic(arms / 100.0)
        factor = max(1, round(spacing / float(transforms.voxel_sizes(affine).mean())))
        coarse, self.affine = template.coarse(t1w, affine, factor)
        self.volume = ndimage.gaussian_filter(coarse, _BLUR, truncate=3.0)

    def solve(self, start: np.ndarray, iterations: int) -> Affine:
        """Gauss-Newton from a guess of template to T1w."""
        matrix, best, kept = start, -1.0, start
        for _ in range(iterations):
            correlation, step = self._step(matrix)
            if correlation > best:
                best, kept = correlation, matrix
            moved = np.eye(4)
            moved[:3, :3] += step[:, :3]
            moved[:3, 3] = step[:, 3] - step[:, :3] @ self.middle
            matrix = matrix @ np.linalg.inv(moved)
            if np.abs(step[:, 3]).max() + 80.0 * np.abs(step[:, :3]).max() < 0.02:
                break
        return Affine(np.linalg.inv(kept), best)

    def _step(self, matrix: np.ndarray) -> tuple[float, np.ndarray]:
        coordinates = transforms.apply(np.linalg.inv(self.affine) @ matrix, self.points)
        seen = ndimage.map_coordinates(self.volume, coordinates, order=1, output=np.float64)
        # target + moves . step = seen * (scale + shading) + offset
        lit = np.column_stack([seen, np.ones_like(seen), seen[:, None] * self.shading])
        design = np.hstack([lit, -self.moves])
        normal = design.T @ design
        # Steps are in mm per mm and mm: a light ridge keeps empty directions still.
        normal += 1e-6 * np.diag(np.diag(normal)) + 1e-12 * np.eye(len(normal))
        solution = np.linalg.solve(normal, design.T @ self.values)
        explained = lit @ solution[: lit.shape[1]]
        correlation = float(np.corrcoef(explained, self.values)[0, 1])
        return correlation, solution[lit.shape[1] :].reshape(3, 4)
