"""The scanner: what it records of a head that moves and whose brain changes.

Takes a subject, poses, noise and signal; returns int16 volumes. Signal and noise belong to the brain
and move with the head; every slice is sampled at its own time.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from boldreel.insilico import encoding, features, noise, template
from boldreel.insilico.subject import Subject

BASELINE = 3000.0  # stored value of grey matter
THERMAL = 0.25  # sd of the scanner's own noise, percent of grey matter
# Where the still head is darker than this (grey matter is 1) there is only the scanner's noise.
HEAD = 0.02


def slice_times(n_slices: int, t_r: float) -> np.ndarray:
    """When each slice is acquired, in s from the volume's start: even slices first, then odd ones."""
    order = [*range(0, n_slices, 2), *range(1, n_slices, 2)]
    times = np.empty(n_slices)
    times[order] = np.arange(n_slices) * t_r / n_slices
    return np.round(times, 4)


def at_slices(courses: np.ndarray, times: np.ndarray, n_volumes: int, t_r: float) -> np.ndarray:
    """Time courses (n, samples) at every slice's own time: float32 (n_volumes, n + 1, n_slices).

    The last row is 0: places without signal point to it.
    """
    when = (np.arange(n_volumes)[:, None] * t_r + times) / features.INTERVAL
    before = np.minimum(np.floor(when).astype(int), courses.shape[1] - 2)
    part = (when - before).astype(np.float32)
    sampled = np.zeros((n_volumes, len(courses) + 1, len(times)), dtype=np.float32)
    for volume in range(n_volumes):
        left = courses[:, before[volume]]
        sampled[volume, :-1] = left + part[volume] * (courses[:, before[volume] + 1] - left)
    return sampled


class _Signal:
    """Looks up the signal between the grid's places: linear in space, exact in time per slice."""

    def __init__(self, model: encoding.Encoding, sampled: np.ndarray) -> None:
        self.sampled = sampled
        rows = np.full(tuple(n + 2 for n in model.shape), len(model.index), dtype=np.int64)
        rows[tuple(model.index.T + 1)] = np.arange(len(model.index))
        self.rows = rows.ravel()
        self.strides = np.array([rows.shape[1] * rows.shape[2], rows.shape[2], 1])
        self.top = np.array(model.shape)[:, None] - 1e-6

    def __call__(self, volume: int, grid_points: np.ndarray, slices: np.ndarray) -> np.ndarray:
        """Percent change (n,) at grid coordinates (3, n), seen by voxels of the slices (n,)."""
        inside = np.clip(grid_points, -1, self.top) + 1
        corner = np.floor(inside).astype(np.int64)
        part = (inside - corner).astype(np.float32)
        corner = self.strides @ corner
        courses, n_slices = self.sampled[volume].ravel(), self.sampled.shape[2]
        total = np.zeros(grid_points.shape[1], dtype=np.float32)
        for x, y, z in np.ndindex(2, 2, 2):
            weight = np.ones_like(total)
            for axis, far in enumerate((x, y, z)):
                weight *= part[axis] if far else 1 - part[axis]
            row = self.rows[corner + self.strides @ (x, y, z)]
            total += weight * courses[row * n_slices + slices]
        return total


def acquire(
    subject: Subject,
    poses: np.ndarray,
    changes: np.ndarray,
    signal: np.ndarray,
    times: np.ndarray,
    t_r: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Scan a head that moves and whose brain changes.

    Parameters
    ----------
    poses : (n_volumes, 4, 4), from the T1w image's world to the scanner's
    changes : float32 (n_volumes, *grid shape), noise in percent of baseline, on the encoding grid
    signal : float32 (n_places, n), percent, at features.INTERVAL from the run's start
    times : (n_slices,) s, when each slice is acquired

    Returns
    -------
    int16 (x, y, z, n_volumes)
    """
    view, model, n_volumes = subject.view, subject.model, len(poses)
    index = np.indices(view.shape).reshape(3, -1)
    to_still = np.linalg.inv(subject.still.affine)
    to_grid = np.linalg.inv(model.affine)
    # What never holds the head in any pose is left out.
    loose = ndimage.maximum_filter(subject.still.values[::2, ::2, ::2], 3)
    half = template.Volume(loose, subject.still.affine @ np.diag([2, 2, 2, 1]))
    resting = template.move(
        subject.to_mni @ np.linalg.inv(poses[n_volumes // 2]) @ view.affine, index.astype(float)
    )
    index = index[:, half.sample(resting) > HEAD]
    flat = np.ravel_multi_index(tuple(index), view.shape)
    resting = template.move(
        to_grid @ subject.to_mni @ np.linalg.inv(poses[n_volumes // 2]) @ view.affine,
        index.astype(float),
    )
    visual = np.zeros(model.shape, dtype=np.float32)
    visual[tuple(model.index.T)] = 1
    visual = ndimage.maximum_filter(visual, 3)
    near = np.flatnonzero(template.interpolate(visual, resting) > 0)
    near_slices = index[2, near]
    look_up = _Signal(model, at_slices(signal, times, n_volumes, t_r)) if signal.any() else None

    middle = (np.array(view.shape)[:, None] - 1) / 2
    drift = noise.drift(rng, n_volumes, ((index - middle) / middle).T)
    image = np.empty((n_volumes, int(np.prod(view.shape))), dtype=np.float32)
    for volume in range(n_volumes):
        to_mni = subject.to_mni @ np.linalg.inv(poses[volume]) @ view.affine
        points = template.move(to_still @ to_mni, index.astype(float))
        still = template.interpolate(subject.still.values, points)
        points = template.move(to_grid @ to_mni, index.astype(float))
        percent = drift[volume] + template.interpolate(changes[volume], points, beyond=True)
        if look_up is not None:
            percent[near] += look_up(volume, points[:, near], near_slices)
        image[volume] = 0
        image[volume, flat] = BASELINE * still * (1 + percent / 100)
    thermal = np.float32(BASELINE * THERMAL / 100)
    image += thermal * rng.standard_normal(image.shape, dtype=np.float32)
    # Magnitude images have no negative values.
    np.abs(image, out=image)
    return np.rint(image.T.reshape(*view.shape, n_volumes)).astype(np.int16)
