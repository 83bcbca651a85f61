"""The template space: MNI152 2009a symmetric, as nilearn ships it.

Takes nothing but nilearn's files (nilearn itself is not imported: its import costs seconds);
returns template images as arrays with affines, and the output grid that all subjects share.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy import ndimage

from boldreel.bold.settings import GridSettings
from boldreel.bold.transforms import apply
from boldreel.errors import UserError

SPACE = "MNI152NLin2009aSym"
_FILES = {
    "T1w": "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz",
    "GM": "mni_icbm152_gm_tal_nlin_sym_09a_converted.nii.gz",
    "WM": "mni_icbm152_wm_tal_nlin_sym_09a_converted.nii.gz",
}
TISSUES = ("GM", "WM", "CSF")


@dataclass(frozen=True)
class Grid:
    """A regular grid: affine (4, 4) from voxel index to world mm, and shape (3,)."""

    affine: np.ndarray
    shape: tuple[int, ...]

    def points(self) -> np.ndarray:
        """World coordinates (3, n) of all voxels in C order."""
        return apply(self.affine, np.indices(self.shape).reshape(3, -1).astype(float))


def output_grid(settings: GridSettings) -> Grid:
    """The grid of every preprocessed run: settings.output_box at settings.resolution."""
    step = settings.resolution
    shape = tuple(
        int(np.floor((high - low) / step + 1e-6)) + 1 for low, high in settings.output_box
    )
    affine = np.diag([step, step, step, 1.0])
    affine[:3, 3] = [low for low, _ in settings.output_box]
    return Grid(affine, shape)


@lru_cache(maxsize=4)
def load(name: str) -> tuple[np.ndarray, np.ndarray]:
    """A template image at 1 mm: ("T1w" scaled to 0-1 | "GM" | "WM" | "CSF" probability), affine.

    The T1w is without skull. CSF is what is neither grey nor white inside the brain mask.
    """
    if name == "CSF":
        inside = brain_mask()[0]
        grey, affine = load("GM")
        return np.clip(inside - grey - load("WM")[0], 0.0, 1.0), affine
    found = importlib.util.find_spec("nilearn")
    if found is None or not found.submodule_search_locations:
        raise UserError(
            "nilearn is not installed; its MNI template is needed (pip install nilearn)"
        )
    path = Path(found.submodule_search_locations[0]) / "datasets" / "data" / _FILES[name]
    if not path.exists():
        raise UserError(f"{path}: nilearn's template is not there; install nilearn 0.13 or later")
    image = nib.Nifti1Image.from_filename(str(path))
    values = np.asanyarray(image.dataobj).astype(np.float32)
    return values / np.float32(255.0), image.affine


@lru_cache(maxsize=1)
def brain_mask() -> tuple[np.ndarray, np.ndarray]:
    """(float32 0 or 1, affine): where the skull-stripped template is not empty, holes filled."""
    values, affine = load("T1w")
    return ndimage.binary_fill_holes(values > 0.02).astype(np.float32), affine


def coarse(values: np.ndarray, affine: np.ndarray, factor: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean over blocks of `factor` voxels a side: (values, affine) of the coarser grid."""
    if factor == 1:
        return values, affine
    shape = [n // factor for n in values.shape]
    cut = values[tuple(slice(0, n * factor) for n in shape)]
    blocks = cut.reshape(shape[0], factor, shape[1], factor, shape[2], factor)
    moved = affine.copy()
    moved[:3, :3] *= factor
    moved[:3, 3] += affine[:3, :3] @ np.full(3, (factor - 1) / 2)
    return blocks.mean((1, 3, 5), dtype=np.float32), moved


def on_grid(name: str, grid: Grid) -> np.ndarray:
    """A template image ("brain", "T1w" or a tissue) averaged over the voxels of a coarser grid."""
    values, affine = brain_mask() if name == "brain" else load(name)
    widths = np.maximum(1, np.sqrt((grid.affine[:3, :3] ** 2).sum(0)).round().astype(int))
    inverse = np.linalg.inv(affine)
    coordinates = apply(inverse, grid.points())
    low = np.clip(np.floor(coordinates.min(1)).astype(int) - widths, 0, None)
    high = np.minimum(np.ceil(coordinates.max(1)).astype(int) + widths + 1, values.shape)
    if (high <= low).any():
        raise UserError("configuration: bold.output_box lies outside the template; give MNI mm")
    crop = values[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    smooth = ndimage.uniform_filter(crop, tuple(widths), mode="constant")
    # An even filter is centred half a voxel low.
    shift = np.where(widths % 2 == 0, 0.5, 0.0) - low
    sampled = ndimage.map_coordinates(
        smooth, coordinates + shift[:, None], order=1, mode="constant", output=np.float32
    )
    return sampled.reshape(grid.shape)
