"""The head of the embedded data set, in the space of the MNI152 2009a symmetric template.

Takes the tissue maps that nilearn ships (its files only: importing nilearn costs seconds); returns a
T1-weighted head with skull and scalp, and the contrast of an echo-planar image of the same brain.
"""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import nibabel as nib
import numpy as np
from scipy import ndimage

from boldreel.errors import UserError

_FILES = {
    "t1": "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz",
    "grey": "mni_icbm152_gm_tal_nlin_sym_09a_converted.nii.gz",
    "white": "mni_icbm152_wm_tal_nlin_sym_09a_converted.nii.gz",
}
# Echo-planar signal of grey matter, white matter and fluid; T2* weighting makes fluid bright.
EPI_CONTRAST = {"grey": 1.0, "white": 0.8, "fluid": 1.2}
# Distance from the brain in mm: dark skull up to the first, bright scalp up to the second.
SKULL, SCALP = 6.0, 12.0


class Volume(NamedTuple):
    """Values on a grid and the matrix from voxel index to MNI world coordinates (mm, RAS)."""

    values: np.ndarray
    affine: np.ndarray

    def sample(self, points: np.ndarray) -> np.ndarray:
        """Linear interpolation at MNI points (3, ...); 0 outside the grid."""
        return interpolate(self.values, move(np.linalg.inv(self.affine), points))


def interpolate(values: np.ndarray, points: np.ndarray, beyond: bool = False) -> np.ndarray:
    """Linear interpolation, float32, of the same values as scipy.ndimage.map_coordinates.

    Parameters
    ----------
    values : float32 (x, y, z), at least two along each axis
    points : (3, ...), voxel indices
    beyond : whether points outside the grid take the nearest value; else they are 0
    """
    top = np.array(values.shape).reshape(3, *[1] * (points.ndim - 1)) - 1
    inside = np.clip(points, 0, top)
    corner = np.minimum(inside.astype(np.int32), (top - 1).astype(np.int32))
    x, y, z = (inside - corner).astype(np.float32)
    steps = [values.shape[1] * values.shape[2], values.shape[2], 1]
    first = sum(step * axis for step, axis in zip(steps, corner, strict=True))
    flat = np.ascontiguousarray(values, np.float32).ravel()

    def between(low: np.ndarray, high: np.ndarray, part: np.ndarray) -> np.ndarray:
        high -= low
        high *= part
        high += low
        return high

    def edge(offset: int) -> np.ndarray:
        return between(flat.take(first + offset), flat.take(first + (offset + 1)), z)

    def face(offset: int) -> np.ndarray:
        return between(edge(offset), edge(offset + steps[1]), y)

    found = between(face(0), face(steps[0]), x)
    if not beyond:
        found[((points < 0) | (points > top)).any(0)] = 0
    return found


def move(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points (3, ...) through a 4 x 4 matrix."""
    shift = matrix[:3, 3].reshape(3, *[1] * (points.ndim - 1))
    return np.tensordot(matrix[:3, :3], points, 1) + shift


@lru_cache(maxsize=3)
def load(name: str) -> Volume:
    """ "t1" (0 to 1, without skull), "grey" or "white" (probability), float32 at 1 mm."""
    found = importlib.util.find_spec("nilearn")
    if found is None or not found.submodule_search_locations:
        raise UserError("nilearn is not installed; its MNI template makes the embedded head")
    path = Path(next(iter(found.submodule_search_locations))) / "datasets" / "data" / _FILES[name]
    if not path.is_file():
        raise UserError(f"{path}: nilearn's template is not there; install nilearn 0.10 or later")
    image = nib.Nifti1Image.from_filename(str(path))
    return Volume(np.asarray(image.dataobj, dtype=np.float32) / np.float32(255), image.affine)


def crop(volume: Volume, box: np.ndarray) -> Volume:
    """The part of a volume with an axis-parallel affine that holds a box (3, 2) of MNI mm."""
    corners = move(np.linalg.inv(volume.affine), box)
    low = np.maximum(np.floor(corners.min(1)).astype(int), 0)
    high = np.minimum(np.ceil(corners.max(1)).astype(int) + 1, volume.values.shape)
    affine = volume.affine.copy()
    affine[:3, 3] = move(volume.affine, low.astype(float))
    return Volume(volume.values[tuple(slice(a, b) for a, b in zip(low, high, strict=True))], affine)


def head() -> Volume:
    """T1-weighted head at 2 mm, float32: brain up to 1, dark skull, bright scalp."""
    t1 = load("t1")
    brain = t1.values[:196, :232, :188].reshape(98, 2, 116, 2, 94, 2).mean((1, 3, 5))
    affine = t1.affine @ np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = move(t1.affine, np.full(3, 0.5))
    # Room for the scalp above and in front of the brain.
    brain = np.pad(brain, 8)
    affine[:3, 3] -= 16
    inside = ndimage.binary_fill_holes(brain > 0.05)
    distance = 2.0 * ndimage.distance_transform_edt(~inside)
    shell = np.where(distance <= SKULL, 0.10, np.where(distance <= SCALP, 0.75, 0.0))
    values = np.where(inside, brain, shell)
    return Volume(ndimage.gaussian_filter(values, 0.4).astype(np.float32), affine)


def echo_planar(box: np.ndarray, voxel_size: float) -> Volume:
    """What a voxel of `voxel_size` mm sees at every place of a box (3, 2) of MNI mm, at 1 mm.

    Averaged over the voxel and blurred a little more (FWHM 3 mm, the point spread of the readout),
    so that linear interpolation between the 1 mm samples is exact to under 1 %.
    """
    grey, white = (crop(load(name), box) for name in ("grey", "white"))
    inside = ndimage.binary_fill_holes(crop(load("t1"), box).values > 0.02)
    fluid = np.clip(inside - grey.values - white.values, 0, 1)
    contrast = (
        EPI_CONTRAST["grey"] * grey.values
        + EPI_CONTRAST["white"] * white.values
        + EPI_CONTRAST["fluid"] * fluid
    )
    seen = ndimage.gaussian_filter(contrast, 3 / 2.355, truncate=3)
    # Odd widths keep the average centred.
    return Volume(ndimage.uniform_filter(seen, 2 * round((voxel_size - 1) / 2) + 1), grey.affine)
