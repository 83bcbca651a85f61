"""Spheres as TemplateFlow or the HCP name them, with points that are made here."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np


def even(count: int, turned: float = 0.0) -> np.ndarray:
    """Points (count, 3) on a sphere of radius 100, as evenly as a spiral has them."""
    k = np.arange(count) + 0.5
    z = 1 - 2 * k / count
    angle = k * np.pi * (3 - 5**0.5) + turned
    flat = np.sqrt(1 - z * z)
    return 100 * np.stack([flat * np.cos(angle), flat * np.sin(angle), z], axis=1)


def write(path: Path, points: np.ndarray) -> Path:
    """A surface of GIFTI with these points and one triangle."""
    arrays = [
        nib.gifti.GiftiDataArray(points.astype(np.float32), intent="NIFTI_INTENT_POINTSET"),
        nib.gifti.GiftiDataArray(np.array([[0, 1, 2]], np.int32), intent="NIFTI_INTENT_TRIANGLE"),
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.gifti.GiftiImage(darrays=arrays), path)
    return path
