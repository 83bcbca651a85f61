"""Hash the voxel values of a run, to detect the same data under two names.

Takes BOLD images; returns hashes of their values. Header, name and compression do not count.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from boldreel.data import cifti, nifti
from boldreel.errors import UserError

_DENSE = ".dtseries.nii"


def of_values(
    volumes: np.ndarray | Iterable[np.ndarray], shape: tuple[int, ...] | None = None
) -> str:
    """BLAKE2b (128 bit, hex) of a run (n, x, y, z), as float32 values with the shape.

    shape : of the whole, where the volumes come one by one
    """
    if shape is None:
        shape = np.asarray(volumes).shape
    state = hashlib.blake2b(repr(shape).encode(), digest_size=16)
    for volume in volumes:
        state.update(np.ascontiguousarray(volume, dtype="<f4").data)
    return state.hexdigest()


def of_file(path: Path | str) -> str:
    """The hash of a 4-D image (n, x, y, z) or a dense series (n, grayordinates), read in parts."""
    path = Path(path)
    if path.name.endswith(_DENSE):
        dense = cifti.load(path)
        parts = (row for _, slab in dense.slabs() for row in slab)
        return of_values(parts, (dense.volumes, len(dense.models)))
    shape = tuple(map(int, nifti.load(path).shape))
    _refuse_shape(path, shape)
    volumes = (volume for _, slab in nifti.slabs(path) for volume in np.moveaxis(slab, 3, 0))
    return of_values(volumes, (shape[3], *shape[:3]))


def _refuse_shape(path: Path | str, shape: tuple[int, ...]) -> None:
    if len(shape) != 4:
        raise UserError(f"{path}: shape {shape}; a BOLD run has four dimensions")


def read_volumes(path: Path | str) -> tuple[np.ndarray, np.ndarray]:
    """A 4-D image as float32 (n, x, y, z), contiguous, and its affine."""
    image = nifti.load(path)
    _refuse_shape(path, image.shape)
    values = nifti.values(image)
    return np.ascontiguousarray(np.moveaxis(values, 3, 0)), image.affine


def refuse_duplicates(hashes: Mapping[str, str]) -> None:
    """UserError naming two runs if two hold the same content. Takes run (or path) to hash."""
    seen: dict[str, str] = {}
    for run, content in hashes.items():
        if content in seen:
            raise UserError(
                f"{run}: holds exactly the same data as {seen[content]}; one is a copy under a "
                "wrong name: fetch the right data or take one of the two away"
            )
        seen[content] = run


def check_duplicates(paths: Iterable[Path | str]) -> None:
    """UserError if two BOLD files (volumes or dense CIFTI series) hold the same values.

    A part from the middle is compared first; whole runs are read only where those agree.
    """
    groups: dict[str, list[str]] = {}
    for path in paths:
        part, shape = _part(Path(path))
        groups.setdefault(of_values(part[None]) + str(shape), []).append(str(path))
    for group in groups.values():
        if len(group) > 1:
            refuse_duplicates({path: of_file(path) for path in group})


def _part(path: Path) -> tuple[np.ndarray, tuple[int, ...]]:
    """A part of a run that is quickly read, and the run's shape."""
    if path.name.endswith(_DENSE):
        about = cifti.outline(path)
        return cifti.sample(path), (about.volumes, about.grayordinates)
    volume = nifti.load(path)
    return np.asarray(volume.dataobj[..., volume.shape[-1] // 2], "<f4"), volume.shape
