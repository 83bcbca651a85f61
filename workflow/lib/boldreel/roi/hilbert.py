"""An order of places in which neighbours stay together.

Takes places in space; returns their order along a Hilbert curve: unlike a scan by rows, or Morton's
order, it never jumps, so that a patch of consecutive places is one small piece of cortex.
"""

from __future__ import annotations

import itertools

import numpy as np

_BITS = 6  # 64 cells along each axis


def order(places: np.ndarray) -> np.ndarray:
    """Indices (n,) that sort places (3, n) along a Hilbert curve through their bounding cube."""
    low = places.min(1, keepdims=True)
    extent = float((places - low).max()) or 1.0
    cells = np.floor((places - low) / extent * (2**_BITS - 1) + 0.5).astype(np.int64)
    return np.argsort(hilbert(cells, _BITS), kind="stable")


def hilbert(cells: np.ndarray, bits: int) -> np.ndarray:
    """Distance (n,) along a Hilbert curve of integer cells (d, n) below 2**bits.

    Skilling 2004, "Programming the Hilbert curve", AIP Conf. Proc. 707:381: the axes are turned
    into a transposed index, whose bits are then interleaved.
    """
    axes = [np.array(axis, dtype=np.int64) for axis in cells]
    bit = 1 << (bits - 1)
    while bit > 1:
        below = bit - 1
        for axis in axes:
            high = (axis & bit) > 0
            swap = np.where(high, 0, (axes[0] ^ axis) & below)
            axes[0] ^= np.where(high, below, swap)
            if axis is not axes[0]:
                axis ^= swap
        bit >>= 1
    for previous, axis in itertools.pairwise(axes):
        axis ^= previous
    flips = np.zeros_like(axes[0])
    bit = 1 << (bits - 1)
    while bit > 1:
        flips ^= np.where((axes[-1] & bit) > 0, bit - 1, 0)
        bit >>= 1
    index = np.zeros_like(axes[0])
    for place in range(bits - 1, -1, -1):
        for axis in axes:
            index = (index << 1) | (((axis ^ flips) >> place) & 1)
    return index
