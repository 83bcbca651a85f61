"""Cleaning of a run's series: trend and confounds out, then z-scores.

Takes series and regressors of one run; leaves cleaned series. Everything is fitted on that run
alone, so nothing passes from one run to another.
"""

from __future__ import annotations

import numpy as np

from boldreel.errors import UserError
from boldreel.roi.settings import RoiSettings

_MOTION = ("trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z")
_MOTION24 = ("", "_derivative1", "_power2", "_derivative1_power2")


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
    count = len(series)
    usable = np.isfinite(series).all(0)
    values = np.where(usable, series, 0.0).astype(np.float64)
    values -= values.mean(0)
    scale = np.abs(values).max(0)
    design = np.column_stack([np.ones(count), regressors])
    design = design[:, np.abs(design).max(0) > 0]
    design = design / np.linalg.norm(design, axis=0)
    basis, strength, _ = np.linalg.svd(design, full_matrices=False)
    basis = basis[:, strength > 1e-7 * strength[0]]
    values -= basis @ (basis.T @ values)
    spread = values.std(0)
    # What is left of a constant series is rounding, nothing to be blown up to unit variance.
    good = usable & (spread > 1e-6 * np.maximum(scale, 1e-30)) & (scale > 0)
    return np.where(good, values / np.where(good, spread, 1.0), 0.0).astype(np.float32)


def regressors(confounds: dict[str, np.ndarray], count: int, settings: RoiSettings) -> np.ndarray:
    """The regressors (count, k) that the `roi` section declares.

    Parameters
    ----------
    confounds : fMRIPrep's columns by name; missing first values (differences) are taken as 0

    Raises
    ------
    UserError : too many regressors for the run, or a column is missing.
    """
    blocks = [polynomials(count, settings.detrend_order)]
    names = confound_names(confounds, settings)
    for name in names:
        if name not in confounds:
            raise UserError(f"no column {name}, which roi.confounds: {settings.confounds} needs")
        blocks.append(np.nan_to_num(confounds[name])[:, None])
    joined = np.hstack(blocks)
    if joined.shape[1] + 10 > count:
        raise UserError(
            f"{joined.shape[1]} regressors for {count} volumes leave nothing; lower "
            "roi.detrend_order or choose fewer roi.confounds"
        )
    return joined


def confound_names(confounds: dict[str, np.ndarray], settings: RoiSettings) -> list[str]:
    """Names of the columns that the `roi` section declares."""
    names: list[str] = []
    if settings.confounds in ("motion6", "compcor"):
        names += _MOTION
    if settings.confounds == "motion24":
        names += [axis + suffix for axis in _MOTION for suffix in _MOTION24]
    if settings.confounds == "compcor":
        names += sorted(name for name in confounds if name.startswith("a_comp_cor_"))
    if settings.high_pass:
        names += sorted(name for name in confounds if name.startswith("cosine"))
    return names


def polynomials(count: int, order: int) -> np.ndarray:
    """Legendre polynomials (count, order) of degree 1 to `order` over a run."""
    if order < 1:
        return np.zeros((count, 0))
    return np.polynomial.legendre.legvander(np.linspace(-1.0, 1.0, count), order)[:, 1:]
