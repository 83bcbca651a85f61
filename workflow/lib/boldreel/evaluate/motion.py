"""How much a video moves, against the truth.

Takes uint8 clips; returns change per clip. A frozen reconstruction has a ratio of 0; one that flickers has a
ratio of second differences far above 1, for what moves steadily hardly has any.
"""

from __future__ import annotations

import numpy as np


def change(clips: np.ndarray, order: int = 1) -> np.ndarray:
    """Mean absolute difference of neighbouring frames (8-bit units), per clip.

    Parameters
    ----------
    clips : uint8 (n, F, h, w, 3); with no more frames than the order the change is 0.
    order : 2 takes differences of the differences: flicker.

    Returns
    -------
    float64 (n,).
    """
    total = np.zeros(len(clips))
    for n, clip in enumerate(clips):
        if len(clip) > order:
            total[n] = np.abs(np.diff(clip.astype(np.int16), n=order, axis=0)).mean()
    return total
