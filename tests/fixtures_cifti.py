"""CIFTI files of the right shape with generated content."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np

from boldreel.data.cifti import CORTEX

N_VERTICES = 32492


def models(left: int, right: int, voxels: int = 0) -> nib.cifti2.BrainModelAxis:
    """Grayordinates: every second vertex of each hemisphere from 0 on, then subcortical voxels."""
    axis = nib.cifti2.BrainModelAxis.from_surface(
        2 * np.arange(left), N_VERTICES, name=CORTEX["L"]
    ) + nib.cifti2.BrainModelAxis.from_surface(2 * np.arange(right), N_VERTICES, name=CORTEX["R"])
    if voxels:
        mask = np.zeros((91, 109, 91), bool)
        mask.ravel()[:voxels] = True
        affine = np.array([[-2.0, 0, 0, 90], [0, 2, 0, -126], [0, 0, 2, -72], [0, 0, 0, 1]])
        axis += nib.cifti2.BrainModelAxis.from_mask(mask, "CIFTI_STRUCTURE_THALAMUS_LEFT", affine)
    return axis


def write_dense(
    path: Path,
    values: np.ndarray,
    t_r: float = 2.0,
    left: int = 0,
    right: int = 0,
    axis: nib.cifti2.BrainModelAxis | None = None,
) -> Path:
    """A dtseries.nii of values (volumes, grayordinates)."""
    series = nib.cifti2.SeriesAxis(0.0, t_r, len(values), "SECOND")
    image = nib.Cifti2Image(values, (series, axis or models(left, right)))
    image.nifti_header.set_data_dtype(np.float32)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.to_filename(str(path))
    return path
