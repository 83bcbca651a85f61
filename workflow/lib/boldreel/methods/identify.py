"""How well drawn clips are told apart by their pixels: what epochs are chosen by.

Takes clips; returns a number. The judges of the evaluation are not asked, so that nothing is tuned to them.
"""

from __future__ import annotations

import numpy as np


def two_way(made: np.ndarray, true: np.ndarray) -> float:
    """How often a clip correlates better with its own truth than with another one's; .5 by chance.

    Parameters
    ----------
    made, true : uint8 (n, F, h, w, 3). Truths that are equal to a clip's own are no distractors; ties count
        one half.
    """
    a, b = (_standard(clips) for clips in (made, true))
    alike = a @ b.T
    other = np.abs(b @ b.T) < 1 - 1e-6
    own = np.diag(alike)[:, None]
    wins = (own > alike) + 0.5 * (own == alike)
    return float(wins[other].mean()) if other.any() else 0.5


def _standard(clips: np.ndarray) -> np.ndarray:
    flat = clips.reshape(len(clips), -1).astype(np.float64)
    flat = flat - flat.mean(axis=1, keepdims=True)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12)
