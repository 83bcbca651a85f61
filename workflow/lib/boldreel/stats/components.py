"""Principal components.

Takes rows; returns axes.
"""

from __future__ import annotations

import numpy as np


def principal_axes(values: np.ndarray, at_most: int, variance: float) -> np.ndarray:
    """Axes (rank, width), orthonormal, that hold a share `variance` of the centred rows' variance,
    but no more than `at_most`; at least one."""
    centred = values.astype(np.float64) - values.mean(0)
    wide = len(values) <= values.shape[1]
    eigenvalues, vectors = np.linalg.eigh(centred @ centred.T if wide else centred.T @ centred)
    order = np.argsort(eigenvalues)[::-1]
    kept = np.maximum(eigenvalues[order], 0)
    shares = np.cumsum(kept) / max(kept.sum(), 1e-30)
    rank = max(1, min(at_most, int(np.searchsorted(shares, variance)) + 1, len(values) - 1))
    axes = vectors[:, order[:rank]].T
    axes = axes @ centred if wide else axes
    return axes / np.maximum(np.linalg.norm(axes, axis=1, keepdims=True), 1e-12)
