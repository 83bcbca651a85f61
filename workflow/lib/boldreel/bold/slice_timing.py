"""Slice-time correction: every slice as if acquired at one moment of its volume.

Takes a run and the acquisition time of each slice; returns the run interpolated along time by cubic
splines, as one matrix product a slice.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

_AXES = {"i": 0, "j": 1, "k": 2}


def correct(
    volumes: np.ndarray,
    slice_times: np.ndarray,
    t_r: float,
    reference: float,
    direction: str = "k",
) -> np.ndarray:
    """Move each slice's series to the reference time.

    Parameters
    ----------
    volumes : (n, x, y, z)
    slice_times : (slices,) acquisition time of each slice from the start of the volume, s
    t_r : repetition time, s
    reference : moment from the start of the volume that all slices shall show, s
    direction : BIDS' SliceEncodingDirection: i, j or k; with "-" the first time is the last slice's

    Returns
    -------
    corrected : float32, shape of `volumes`
    """
    times = np.asarray(slice_times, float)
    if direction.endswith("-"):
        times = times[::-1]
    axis = 1 + _AXES[direction[0]]
    # Slices first: each one's series then lie together in memory.
    slices = np.ascontiguousarray(np.moveaxis(volumes, axis, 0), dtype=np.float32)
    for index, time in enumerate(times):
        weights = shift_matrix(len(volumes), (reference - time) / t_r).astype(np.float32)
        part = slices[index]
        part[:] = (weights @ part.reshape(len(part), -1)).reshape(part.shape)
    return np.ascontiguousarray(np.moveaxis(slices, 0, axis))


def shift_matrix(count: int, shift: float) -> np.ndarray:
    """(count, count) weights that read a series of `count` samples `shift` samples later.

    Cubic spline interpolation; the series is mirrored at its ends.
    """
    coefficients = ndimage.spline_filter1d(np.eye(count), order=3, axis=0, mode="mirror")
    position = np.arange(count) + shift
    base = np.floor(position).astype(int)
    t = (position - base)[:, None]
    basis = np.concatenate(
        [(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], axis=1
    )
    weights = np.zeros((count, count))
    for step in range(4):
        source = base + step - 1
        if count > 1:
            source = np.abs(source) % (2 * count - 2)
            source = np.where(source >= count, 2 * count - 2 - source, source)
        else:
            source = np.zeros_like(source)
        weights += basis[:, step, None] / 6.0 * coefficients[source]
    return weights
