"""Cleaning of a run's series: removes trend and confounds, then z-scores.

Takes series and regressors of one run; returns cleaned series. Everything is fitted on that run
alone, so nothing passes from one run to another.
"""

from __future__ import annotations

import numpy as np

from boldreel.errors import UserError
from boldreel.roi.settings import RoiSettings

# Fewer degrees of freedom than this, or than this part of the volumes, are no series any more.
_FEWEST = 10
_FEWEST_PART = 0.25


def clean(series: np.ndarray, regressors: np.ndarray) -> np.ndarray:
    """What regressors do not explain, z-scored over time.

    One orthogonal projection takes out all regressors together (Lindquist 2019, Hum Brain Mapp
    40:2358: one after the other puts variance back).

    Parameters
    ----------
    series : (n, p)
    regressors : (n, k), columns in any scale; the mean is always taken out too

    Returns
    -------
    cleaned : float32 (n, p), mean 0 and standard deviation 1 a column; 0 where a series is constant
        or not finite
    """
    usable = np.isfinite(series).all(0)
    values = np.where(usable, series, 0.0).astype(np.float64)
    values -= values.mean(0)
    scale = np.abs(values).max(0)
    basis = _basis(regressors)
    values -= basis @ (basis.T @ values)
    spread = values.std(0)
    # What is left of a constant series is rounding, nothing to be blown up to unit variance.
    good = usable & (spread > 1e-6 * np.maximum(scale, 1e-30)) & (scale > 0)
    return np.where(good, values / np.where(good, spread, 1.0), 0.0).astype(np.float32)


def regressors(confounds: np.ndarray, settings: RoiSettings) -> np.ndarray:
    """Trend and confounds together (n, k), for one projection.

    Parameters
    ----------
    confounds : (n, k), 0 columns for none

    Raises
    ------
    UserError : they leave too few degrees of freedom.
    """
    count = len(confounds)
    joined = np.hstack([polynomials(count, settings.detrend_order), confounds])
    left = degrees_of_freedom(joined)
    if left < max(_FEWEST, _FEWEST_PART * count):
        raise UserError(
            f"{joined.shape[1]} regressors leave {left} degrees of freedom of {count} volumes; choose "
            "fewer roi.confounds (roi.n_compcor), or lower roi.detrend_order"
        )
    return joined


def degrees_of_freedom(regressors: np.ndarray) -> int:
    """How many are left of the volumes of regressors (n, k) when they and the mean are taken out.

    Noise of unit variance keeps this part of its variance, and so does a signal that has nothing to do
    with the regressors.
    """
    return len(regressors) - _basis(regressors).shape[1]


def polynomials(count: int, order: int) -> np.ndarray:
    """Legendre polynomials (count, order) of degree 1 to `order` over a run."""
    if order < 1:
        return np.zeros((count, 0))
    return np.polynomial.legendre.legvander(np.linspace(-1.0, 1.0, count), order)[:, 1:]


def _basis(regressors: np.ndarray) -> np.ndarray:
    """Orthonormal columns (n, r) that span the mean and the regressors (n, k)."""
    design = np.column_stack([np.ones(len(regressors)), regressors])
    design = design[:, np.abs(design).max(0) > 0]
    design = design / np.linalg.norm(design, axis=0)
    basis, strength, _ = np.linalg.svd(design, full_matrices=False)
    return basis[:, strength > 1e-7 * strength[0]]
