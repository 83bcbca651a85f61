"""Bias-robust intensity normalisation of a T1w.

Takes a T1w that is registered to the template; returns it without the coil's slow shading and with
white matter at a fixed value. The shading is a smooth function, cubic in place, fitted to the
logarithm of intensity where the template says which tissue should be there, so that anatomy is not
taken for shading.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from boldreel.bold import template, transforms

WHITE_MATTER = 110.0  # what FreeSurfer, and so fMRIPrep's desc-preproc_T1w, set it to
_PURE = 0.85  # probability from which a place counts as one tissue
_ROUNDS = 3


def normalise(t1w: np.ndarray, affine: np.ndarray, to_template: np.ndarray) -> np.ndarray:
    """Remove shading and scale white matter to WHITE_MATTER.

    Parameters
    ----------
    t1w : (x, y, z), not negative
    affine : (4, 4) voxel to world mm
    to_template : (4, 4) T1w to template, world mm

    Returns
    -------
    normalised : float32, shape of `t1w`, not negative
    """
    values, labels, places = _tissue_samples(t1w, affine, to_template)
    basis = _cubic(places)
    tissue = np.eye(2)[labels]
    weights = np.ones(len(values))
    logs = np.log(values)
    fit = np.zeros(basis.shape[1] + 2)
    for _ in range(_ROUNDS):
        model = np.hstack([tissue, basis])
        weighted = model * weights[:, None]
        normal = weighted.T @ model + 1e-6 * len(logs) * np.eye(model.shape[1])
        fit = np.linalg.solve(normal, weighted.T @ logs)
        residual = np.abs(logs - model @ fit)
        weights = np.minimum(1.0, 1.5 * np.median(residual) / np.maximum(residual, 1e-9)) ** 2
    return (t1w * (WHITE_MATTER * np.exp(-fit[1]) / _field(t1w.shape, affine, fit[2:]))).astype(
        np.float32
    )


def _tissue_samples(
    t1w: np.ndarray, affine: np.ndarray, to_template: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Intensities (n,), tissue (n,; 0 grey, 1 white) and world places (3, n) in pure tissue."""
    grey, grid = template.coarse(*template.load("GM"), 2)
    white, _ = template.coarse(*template.load("WM"), 2)
    pure = np.maximum(grey, white) > _PURE
    indices = np.array(np.nonzero(pure))[:, ::3]
    labels = (white[tuple(indices)] > grey[tuple(indices)]).astype(int)
    places = transforms.apply(np.linalg.inv(to_template), transforms.grid_points(grid, indices))
    coordinates = transforms.apply(np.linalg.inv(affine), places)
    values = ndimage.map_coordinates(
        t1w.astype(np.float32), coordinates, order=1, cval=0.0, output=np.float64
    )
    good = values > 0.05 * np.median(values)
    return values[good], labels[good], places[:, good]


def _cubic(places: np.ndarray) -> np.ndarray:
    """Polynomial terms of degree 1 to 3 (n, 19) of world places (3, n) in mm."""
    x, y, z = np.clip(places / 100.0, -1.5, 1.5)
    powers = [
        (i, j, k) for i in range(4) for j in range(4 - i) for k in range(4 - i - j) if i + j + k > 0
    ]
    return np.stack([x**i * y**j * z**k for i, j, k in powers], axis=1)


def _field(shape: tuple[int, ...], affine: np.ndarray, fit: np.ndarray) -> np.ndarray:
    """The shading (float32, `shape`), worked out on every fourth voxel: it is smooth."""
    thin = [np.arange(0, length + 3, 4) for length in shape]
    indices = np.stack(np.meshgrid(*thin, indexing="ij")).reshape(3, -1)
    field = np.exp(np.clip(_cubic(transforms.grid_points(affine, indices)) @ fit, -2.0, 2.0))
    field = field.reshape([len(axis) for axis in thin]).astype(np.float32)
    where = np.indices(shape, dtype=np.float32) / 4.0
    return ndimage.map_coordinates(field, where, order=1, mode="nearest", output=np.float32)
