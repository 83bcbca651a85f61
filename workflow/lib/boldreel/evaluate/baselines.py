"""What a reconstruction has to beat: pictures that need no decoding of the clip.

Takes the clips table and the stimuli; returns uint8 clips for each baseline. `gray`: mid-gray.
`true_colour`: the mean colour of the clip itself, held still. `mean_frame`: the mean of all training
frames. `random_training`: a training clip drawn by seed. `nearest_training`: the training clip whose
BOLD is most like the test clip's.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from boldreel.stats import correlation

if TYPE_CHECKING:
    import pandas as pd

MID_GRAY = 128


def still(frame: np.ndarray, frames: int) -> np.ndarray:
    """One frame (h, w, 3) held for a clip: (1, frames, h, w, 3)."""
    return np.broadcast_to(frame, (1, frames, *frame.shape))


def gray(frames: int, size: tuple[int, int]) -> np.ndarray:
    """A mid-gray clip (1, frames, h, w, 3)."""
    return still(np.full((*size, 3), MID_GRAY, dtype=np.uint8), frames)


def mean_colour(clip: np.ndarray) -> np.ndarray:
    """Mean colour (3,) uint8 of a clip (F, h, w, 3)."""
    return np.round(clip.reshape(-1, 3).mean(axis=0, dtype=np.float64)).astype(np.uint8)


def true_colour(colours: np.ndarray, frames: int, size: tuple[int, int]) -> np.ndarray:
    """Clips (n, frames, h, w, 3) of one colour each, from colours (n, 3); takes no memory."""
    return np.broadcast_to(colours[:, None, None, None, :], (len(colours), frames, *size, 3))


def random_clips(
    table: pd.DataFrame, movies: Collection[str], count: int, seed: int
) -> pd.DataFrame:
    """`count` rows of a clips table, of these movies, drawn with replacement by seed.

    By movie, not by the windows of a subject, so that whoever watched the same movies has the same
    clips, which are then judged once. Empty where no clip is of these movies.
    """
    pool = table[table["movie"].isin(list(movies))]
    drawn = np.random.default_rng([seed, 3]).integers(max(len(pool), 1), size=count)
    return pool.iloc[drawn] if len(pool) else pool


def nearest_rows(test: np.ndarray, training: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Row (test,) of the training response that correlates best with each test response, and its r.

    Parameters
    ----------
    test, training : (n, ...) responses, flattened; a response without variance takes row 0.
    """
    flat = (x.reshape(len(x), -1).astype(np.float32) for x in (test, training))
    alike = correlation.of_rows(*flat)
    best = alike.argmax(axis=1)
    return best, alike[np.arange(len(best)), best]
