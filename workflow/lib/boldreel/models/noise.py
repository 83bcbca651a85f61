"""Spatial correlations of noise: what a cohort's series teach about every subject.

Takes series (volumes, V) and positions in mm; returns correlation matrices (V, V). Noise of neighbours is
alike, and a decoder that knows how much gains: its windows are whitened with this matrix. Positions are
anatomical, so a matrix that was estimated from one group of subjects serves others.

The sample correlation of some hundreds of volumes is too noisy to be inverted. It is shrunk towards a curve
over distance plus a part that all positions share. The weight minimises the expected squared error (Ledoit
and Wolf 2003, J. Empirical Finance 10, 603-621, for any target; Schaefer and Strimmer 2005, Stat. Appl.
Genet. Mol. Biol. 4, 32). The error of each correlation is measured between blocks of consecutive volumes:
slow noise gives fewer independent samples than volumes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

# Lengths (mm) of the exponentials and Gaussians that the curve is a mixture of; each is positive definite
# in three dimensions, and so is any mixture with weights that are not negative.
LENGTHS = (1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0, 48.0, 64.0)
# Volumes of a block: long enough for a correlation, and at 2 s longer than noise remembers.
BLOCK = 60
# Volumes that are gathered before they are added, and rows of a matrix that are added at once: a bound on
# memory, and what a processor's cache holds.
_GATHERED, _STRIPE = 2000, 64
# Rows of a matrix of pairs of positions that are looked at together.
_ROWS = 256
# Part of each position's variance that is its own at least, so that no direction is taken for noiseless.
NUGGET = 0.02
# Smallest eigenvalue of a mixture with a sample.
LEAST = NUGGET / 10


@dataclass(frozen=True)
class DistanceCurve:
    """Correlation over distance: non-negative weights that add to 1.

    exponential, gaussian : weight of each length in LENGTHS; common : of what all positions share;
    own : of what no other position shares.
    """

    exponential: tuple[float, ...]
    gaussian: tuple[float, ...]
    common: float
    own: float

    def at(self, distance: np.ndarray | float) -> np.ndarray:
        """Correlation of two positions `distance` mm apart, any shape; 1 - own at 0."""
        out = np.full(np.shape(distance), self.common, dtype=np.float64)
        for length, sharp, smooth in zip(LENGTHS, self.exponential, self.gaussian, strict=True):
            if sharp > 0:
                out += sharp * np.exp(-np.asarray(distance) / length)
            if smooth > 0:
                out += smooth * np.exp(-0.5 * (np.asarray(distance) / length) ** 2)
        return out

    def matrix(self, xyz: np.ndarray) -> np.ndarray:
        """Correlation matrix (n, n) of positions xyz (n, 3) in mm, ones on the diagonal; a position without
        coordinates (NaN) is correlated with none."""
        from scipy.spatial.distance import cdist

        out = np.empty((len(xyz), len(xyz)))
        for low in range(0, len(xyz), _STRIPE):
            own = slice(low, low + _STRIPE)
            out[own, low:] = np.nan_to_num(self.at(cdist(xyz[own], xyz[low:])))
            out[low:, own] = out[own, low:].T
        np.fill_diagonal(out, 1.0)
        return out


@dataclass(frozen=True)
class SampleCorrelation:
    """Mean correlations (V, V) between positions over blocks of volumes.

    error : (V, V), squared standard error of each mean; blocks : int (V, V), blocks with both positions.
    Pairs that no block has are 0, with an error of 1.
    """

    mean: np.ndarray
    error: np.ndarray
    blocks: np.ndarray


@dataclass(frozen=True)
class Sums:
    """Sums over blocks of volumes, float32 (V, V), from which those of some runs can be taken away.

    products : of correlations; squares : of their squares; blocks : how many have both positions
    """

    products: np.ndarray
    squares: np.ndarray
    blocks: np.ndarray

    @classmethod
    def of(cls, runs: Iterable[np.ndarray]) -> Sums:
        """Of series (volumes, V), one run in memory at a time; see `sample_correlation`.

        Raises
        ------
        ValueError : no run, or runs of different width.
        """
        sums: Sums | None = None
        gathered: list[np.ndarray] = []
        rows = 0
        for run in runs:
            if len(run) < 4:
                continue
            values = np.asarray(run, dtype=np.float32)
            if sums is None:
                sums = cls(*np.zeros((3, values.shape[1], values.shape[1]), np.float32))
            if len(sums.products) != values.shape[1]:
                raise ValueError(f"runs of {len(sums.products)} and of {values.shape[1]} positions")
            values = values - values.mean(0)
            size = values.std(0)
            there = size > 1e-6
            values = np.where(there, values / np.maximum(size, 1e-6), 0)
            blocks = np.array_split(values, max(2, round(len(values) / BLOCK)))
            if there.all():
                sums.blocks[:] += len(blocks)
            else:
                sums.blocks[np.ix_(there, there)] += len(blocks)
            gathered += [block / np.float32(np.sqrt(len(block))) for block in blocks]
            rows += len(values)
            if rows > _GATHERED:
                sums._add(gathered)
                gathered, rows = [], 0
        if sums is None:
            raise ValueError("no run of four volumes or more")
        sums._add(gathered)
        return sums

    def _add(self, blocks: list[np.ndarray]) -> None:
        """Add blocks (volumes, V) of unit power. By stripes that stay in the processor's cache; the lower
        triangle is the upper one's mirror image."""
        count = len(self.products)
        for low in range(0, count, _STRIPE):
            own = slice(low, low + _STRIPE)
            total, squares = np.zeros((2, len(range(*own.indices(count))), count - low), np.float32)
            one = np.empty_like(total)
            for block in blocks:
                np.matmul(block[:, own].T, block[:, low:], out=one)
                total += one
                np.square(one, out=one)
                squares += one
            self.products[own, low:] += total
            self.squares[own, low:] += squares
            self.products[low:, own] = self.products[own, low:].T
            self.squares[low:, own] = self.squares[own, low:].T

    def __sub__(self, other: Sums) -> Sums:
        return Sums(
            self.products - other.products,
            self.squares - other.squares,
            self.blocks - other.blocks,
        )

    def correlation(self) -> SampleCorrelation:
        """Means over blocks, and their errors."""
        count = np.maximum(self.blocks, 1)
        mean = self.products / count
        error = self.squares / count
        error -= np.square(mean)
        np.maximum(error, 0, out=error)
        error /= np.maximum(count - 1, 1)
        error[self.blocks <= 1] = 1
        # Blocks differ in power; divided by it the mean is a correlation again, and still positive.
        power = np.sqrt(np.maximum(np.diag(mean), 1e-6))
        mean /= power[:, None]
        mean /= power
        np.fill_diagonal(mean, 1)
        return SampleCorrelation(mean, error, self.blocks.astype(np.int32))


def sample_correlation(runs: Iterable[np.ndarray]) -> SampleCorrelation:
    """Correlations of series (volumes, V), one run in memory at a time.

    A position that is constant in a run (absent) does not count there. Each run is split into blocks of
    about `BLOCK` volumes, a short run into two; all are centred and scaled by the run.

    Raises
    ------
    ValueError : no run, or runs of different width.
    """
    return Sums.of(runs).correlation()


def distance_curve(sample: SampleCorrelation, xyz: np.ndarray) -> DistanceCurve:
    """The mixture that lies nearest to the sample's correlations by distance, each pair counting alike.

    xyz : (V, 3) mm, NaN where there is no position.
    """
    from scipy.optimize import nnls
    from scipy.spatial.distance import cdist

    edges = np.concatenate(
        [np.arange(1, 20, 1.0), np.arange(20, 60, 4.0), np.arange(60, 201, 20.0)]
    )
    count, values, where = np.zeros((3, len(edges) + 1))
    n = len(count)
    for low in range(0, len(xyz), _ROWS):  # some rows at a time: no matrix of all distances
        own = slice(low, low + _ROWS)
        apart = cdist(xyz[own], xyz[low:])
        known = (sample.blocks[own, low:] > 0) & np.isfinite(apart)
        known &= np.arange(apart.shape[1]) > np.arange(len(apart))[:, None]  # each pair once
        apart = apart[known]
        cell = np.digitize(apart, edges)
        count += np.bincount(cell, minlength=n)
        values += np.bincount(cell, sample.mean[own, low:][known], minlength=n)
        where += np.bincount(cell, apart, minlength=n)
    filled = count > 0
    if not filled.any():
        return DistanceCurve((0.0,) * len(LENGTHS), (0.0,) * len(LENGTHS), 0.0, 1.0)
    centre, mean = where[filled] / count[filled], values[filled] / count[filled]
    columns = [np.exp(-centre / length) for length in LENGTHS]
    columns += [np.exp(-0.5 * (centre / length) ** 2) for length in LENGTHS]
    columns += [np.ones_like(centre), np.zeros_like(centre)]
    weight = np.sqrt(count[filled])
    design = np.stack(columns, axis=1) * weight[:, None]
    # A heavy row in place of the constraint that all parts add to 1.
    heavy = 1e3 * weight.max()
    solved, _ = nnls(
        np.vstack([design, np.full(design.shape[1], heavy)]), np.append(mean * weight, heavy)
    )
    solved /= solved.sum()
    if solved[-1] < NUGGET:
        solved[:-1] *= (1 - NUGGET) / solved[:-1].sum()
        solved[-1] = NUGGET
    n = len(LENGTHS)
    return DistanceCurve(
        tuple(map(float, solved[:n])),
        tuple(map(float, solved[n : 2 * n])),
        float(solved[-2]),
        float(solved[-1]),
    )


def shrunk(
    sample: SampleCorrelation, target: np.ndarray, least: float = 0.0
) -> tuple[np.ndarray, float]:
    """The sample shrunk towards `target` (V, V), and the target's weight, between 0 and 1.

    least : what no eigenvalue of the target is below, where that is known; the mixture is then often known to
        be positive without a look at its own.

    The weight is the sum of the sample's squared errors over the sum of its squared distances from the
    target; it is larger where the mixture would not be positive definite. Pairs that the sample does not
    have are the target's.
    """
    parts = [slice(low, low + _ROWS) for low in range(0, len(target), _ROWS)]

    def known(rows: slice) -> np.ndarray:
        found = sample.blocks[rows] > 1
        every = np.arange(len(found))
        found[every, rows.start + every] = False
        return found

    distance = error = 0.0
    for rows in parts:
        those = known(rows)
        distance += float((np.square(sample.mean[rows] - target[rows]) * those).sum())
        error += float(sample.error[rows].sum(where=those, dtype=np.float64))
    weight = 1.0 if distance <= error else error / distance
    # a mean of correlations of the same blocks has no negative eigenvalues
    complete = sample.blocks.min() == sample.blocks.max() > 1
    while True:
        mixed = np.array(target, dtype=np.float64)
        for rows in parts:
            change = (sample.mean[rows] - mixed[rows]) * known(rows)
            mixed[rows] += (1 - weight) * change
        if (complete and weight * least >= 2 * LEAST) or positive(mixed, LEAST):
            return mixed, weight
        if weight > 0.999:
            return target, 1.0
        weight = (1 + weight) / 2  # correlations from different runs may contradict each other


def positive(matrix: np.ndarray, least: float) -> bool:
    """Whether all eigenvalues of a symmetric matrix are at least `least`."""
    from scipy.linalg import LinAlgError, cholesky

    lower = matrix.T.copy(order="F")  # which LAPACK factors in place
    lower[np.diag_indices(len(lower))] -= least
    try:
        cholesky(lower, overwrite_a=True, check_finite=False)
    except LinAlgError:
        return False
    return True
