"""Confounds of a run, under fMRIPrep's column names.

Takes the motion parameters and the preprocessed series; returns columns of n values, in order. NaN
stands where fMRIPrep has n/a (the first row of everything that is a difference).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from boldreel.bold.settings import BoldSettings

_HEAD_RADIUS = 50.0  # mm, Power et al. 2012, NeuroImage 59:2142
_AXES = ("trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z")
_PURE = 0.95  # probability from which a voxel of the output grid counts as eroded tissue
_FEWEST = 20  # voxels; where fewer are pure the purest are taken
_NON_STEADY_SEARCHED = 10  # volumes at the start


@dataclass(frozen=True)
class Tissue:
    """Template probabilities of the voxels of a series, each (p,), and which are in the brain."""

    white: np.ndarray
    csf: np.ndarray
    brain: np.ndarray


def columns(
    parameters: np.ndarray, series: np.ndarray, tissue: Tissue, t_r: float, settings: BoldSettings
) -> dict[str, np.ndarray]:
    """All confounds.

    Parameters
    ----------
    parameters : (n, 6) mm and rad
    series : (n, p) preprocessed values
    t_r : s

    Returns
    -------
    columns : name to (n,) float64
    """
    table: dict[str, np.ndarray] = {
        "csf": signal(series, tissue.csf * tissue.brain),
        "white_matter": signal(series, tissue.white * tissue.brain),
        "global_signal": series[:, tissue.brain].mean(1, dtype=float),
    }
    raw, standard = dvars(series[:, tissue.brain])
    table |= {"std_dvars": standard, "dvars": raw}
    displacement = framewise_displacement(parameters)
    table["framewise_displacement"] = displacement
    cosines = cosine_basis(len(series), t_r, settings.high_pass)
    table |= _comp_cor(series, tissue, cosines, settings.a_comp_cor)
    table |= {f"cosine{k:02d}": column for k, column in enumerate(cosines.T)}
    for name, column in zip(_AXES, parameters.T, strict=True):
        change = _difference(column)
        table[name] = column
        table[f"{name}_derivative1"] = change
        table[f"{name}_derivative1_power2"] = change**2
        table[f"{name}_power2"] = column**2
    still = non_steady_volumes(series[:, tissue.brain].mean(1, dtype=float))
    # Comparisons with the NaN of the first row are False, as they should be.
    moved = (displacement > settings.fd_threshold) | (standard > settings.dvars_threshold)
    table |= _one_hot("non_steady_state_outlier", np.arange(len(series)) < still)
    table |= _one_hot("motion_outlier", moved)
    return table


def signal(series: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Mean series (n,) of the pure (eroded) voxels of a tissue."""
    return series[:, _pure(probability)].mean(1, dtype=float)


def framewise_displacement(parameters: np.ndarray) -> np.ndarray:
    """Power's framewise displacement (n,) in mm, NaN first: sum of absolute changes, 50 mm arm."""
    change = np.abs(np.diff(parameters, axis=0))
    change[:, 3:] *= _HEAD_RADIUS
    return np.concatenate([[np.nan], change.sum(1)])


def dvars(series: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """DVARS and its standardised form, each (n,), NaN first.

    Standardised by what DVARS would be from each voxel's robust spread and lag-one autocorrelation
    alone (Nichols 2013, "Notes on creating a standardized version of DVARS"): 1 means ordinary.
    """
    change = np.diff(series, axis=0)
    raw = np.sqrt((change.astype(float) ** 2).mean(1))
    low, high = np.percentile(series, [25, 75], axis=0)
    spread = (high - low) / 1.349
    centred = series - series.mean(0)
    power = (centred**2).sum(0)
    lagged = (centred[1:] * centred[:-1]).sum(0) / np.maximum(power, 1e-12)
    expected = np.sqrt(np.mean(2.0 * (1.0 - np.clip(lagged, -1, 1)) * spread**2, dtype=float))
    standard = raw / expected if expected > 0 else np.zeros_like(raw)
    return np.concatenate([[np.nan], raw]), np.concatenate([[np.nan], standard])


def cosine_basis(count: int, t_r: float, period: float) -> np.ndarray:
    """Discrete cosines (n, k) slower than `period` seconds, unit norm, without the constant."""
    order = int(np.floor(2.0 * count * t_r / period))
    k = np.arange(1, order + 1)
    return np.sqrt(2.0 / count) * np.cos(np.pi * (np.arange(count)[:, None] + 0.5) * k / count)


def non_steady_volumes(course: np.ndarray) -> int:
    """How many volumes at the start are brighter than the run (T1 not yet in equilibrium).

    A volume counts while it lies more than six robust standard deviations above the median.
    """
    middle = np.median(course)
    spread = 1.4826 * np.median(np.abs(course - middle))
    count = 0
    while count < min(_NON_STEADY_SEARCHED, len(course) // 4):
        if course[count] - middle <= 6.0 * spread or spread == 0:
            break
        count += 1
    return count


def _comp_cor(
    series: np.ndarray, tissue: Tissue, cosines: np.ndarray, count: int
) -> dict[str, np.ndarray]:
    """Principal components of white matter and CSF together (Behzadi 2007), without slow drift."""
    probability = np.maximum(tissue.white, tissue.csf) * tissue.brain
    part = series[:, _pure(probability)].astype(float)
    drift = np.column_stack([np.ones(len(series)), cosines])
    part -= drift @ np.linalg.lstsq(drift, part, rcond=None)[0]
    spread = part.std(0)
    part = part[:, spread > 0] / spread[spread > 0]
    count = min(count, *part.shape) if part.size else 0
    if not count:
        return {}
    _, vectors = np.linalg.eigh(part @ part.T)
    return {f"a_comp_cor_{k:02d}": vectors[:, -1 - k] for k in range(count)}


def _pure(probability: np.ndarray) -> np.ndarray:
    """Indices of the voxels of (nearly) only this tissue, or of the purest where there are few."""
    pure = np.flatnonzero(probability > _PURE)
    if len(pure) < _FEWEST:
        pure = np.argsort(probability)[-_FEWEST:]
    return pure


def _difference(column: np.ndarray) -> np.ndarray:
    return np.concatenate([[np.nan], np.diff(column)])


def _one_hot(name: str, marked: np.ndarray) -> dict[str, np.ndarray]:
    """One column for each marked volume, 1 there and 0 elsewhere."""
    return {
        f"{name}{k:02d}": (np.arange(len(marked)) == volume).astype(float)
        for k, volume in enumerate(np.flatnonzero(marked))
    }
