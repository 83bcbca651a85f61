"""How well drawn clips are told apart by their pixels: what epochs are chosen by.

Takes clips; returns a number. The judges of the evaluation are not asked, so that nothing is tuned to them.
"""

from __future__ import annotations

import numpy as np

from boldreel.stats.correlation import standardised
from boldreel.stats.identification import pooled_two_way


def two_way(made: np.ndarray, true: np.ndarray) -> float:
    """How often a clip correlates better with its own truth than with another one's; .5 by chance.

    Parameters
    ----------
    made, true : uint8 (n, F, h, w, 3). Truths that are equal to a clip's own are no distractors; ties count
        one half.
    """
    a, b = (
        standardised(clips.reshape(len(clips), -1).astype(np.float64)) for clips in (made, true)
    )
    other = np.abs(b @ b.T) < 1 - 1e-6
    return pooled_two_way(a @ b.T, other, np.arange(len(a)))
