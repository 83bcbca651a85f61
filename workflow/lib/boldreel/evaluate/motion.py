"""How much a video moves, against the truth.

Takes uint8 clips; returns change per clip. A reconstruction that flickers has a ratio far above 1,
a frozen one 0.
"""

from __future__ import annotations

import numpy as np


def change(clips: np.ndarray) -> np.ndarray:
    """Mean absolute difference of neighbouring frames (8-bit units), per clip.

    Parameters
    ----------
    clips : uint8 (n, F, h, w, 3); with one frame the change is 0.

    Returns
    -------
    float64 (n,).
    """
    total = np.zeros(len(clips))
    for n, clip in enumerate(clips):
        if len(clip) > 1:
            moved = np.abs(np.diff(clip.astype(np.int16), axis=0))
            total[n] = moved.mean()
    return total
