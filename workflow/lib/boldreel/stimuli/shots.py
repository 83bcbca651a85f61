"""Where shots begin: hard cuts found in the pictures.

Takes small frames of a movie at (near) its own rate; returns the times of the cuts. Two pictures
differ by a cut when both their pixels and their colours in place differ far more than those of the
neighbouring pairs: motion and drifts of light go on for several pictures, a cut happens once. The
threshold so follows the movie. A single odd picture (a flash) is no cut. Dissolves and wipes are
not looked for.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np

# Side in pixels that frames are reduced to, and frames per second that are looked at, at most.
SIDE = 32
FRAME_RATE = 15.0
_GRID = 4  # colour histograms are taken in 4 x 4 places, so that a new arrangement counts
_BINS = 6  # levels per colour channel
_FLOOR = 0.10  # jumps below this share of the largest possible are never cuts
_PEAK = 1.5  # a cut is this many times any other jump near it: motion lasts, a cut does not ...
_NEAR = 0.3  # ... within this many s to each side (two pictures at least)
_RATIO = 2.5  # and this many times the median jump ...
_AROUND = 2.0  # ... within this many s to each side


def detect(frames: Iterable[np.ndarray], frame_rate: float) -> list[tuple[float, float]]:
    """(onset, duration) in s of the shots of a movie; takes the same as `jumps` and `cut_times`."""
    scores = jumps(frames)
    return shot_bounds(_cuts(scores, frame_rate) / frame_rate, len(scores) / frame_rate)


def cut_times(frames: Iterable[np.ndarray], frame_rate: float) -> np.ndarray:
    """Times in s at which a new shot begins (the movie's beginning is not among them).

    Parameters
    ----------
    frames : uint8 (SIDE, SIDE, 3) each, or all of them (n, SIDE, SIDE, 3)
    frame_rate : frames per second
    """
    return _cuts(jumps(frames), frame_rate) / frame_rate


def jumps(frames: Iterable[np.ndarray], block: int = 1024) -> np.ndarray:
    """How much picture k differs from picture k - 1, (n,), 0 to 1; jumps[0] is 0.

    Geometric mean of two distances, each 0 to 1: mean absolute difference of pixels after the mean
    light of each picture is taken out, and half the absolute difference of colour histograms in
    place. To bridge a flash of one picture, the smaller of the difference between neighbours and
    between the next further ones (k - 2 and k + 1) counts.

    block : pictures that are held at once
    """
    scores = [np.zeros(1)]
    held: list[np.ndarray] = []
    first, following = 0, 1  # picture number of held[0], and the next one to be scored
    for frame in frames:
        held.append(frame)
        if len(held) == block:
            scores.append(_scores(np.stack(held), following - first, block - 1))
            following = first + block - 1
            # The next one is compared with those from two pictures before on.
            held, first = held[-3:], following - 2
    if held:
        scores.append(_scores(np.stack(held), following - first, len(held)))
    return np.concatenate(scores)[: first + len(held)]


def _scores(frames: np.ndarray, begin: int, end: int) -> np.ndarray:
    """How much each of the pictures from begin to end - 1 differs from those around it."""
    n = len(frames)
    pixels = frames.astype(np.float32) / 255
    pixels -= pixels.mean(axis=(1, 2), keepdims=True)
    colours = _histograms(frames)

    def distance(before: np.ndarray, after: np.ndarray) -> np.ndarray:
        pixel = np.abs(pixels[before] - pixels[after]).mean(axis=(1, 2, 3))
        colour = np.abs(colours[before] - colours[after]).sum(axis=(1, 2)) / 2
        return np.sqrt(np.minimum(2 * pixel, 1) * colour)

    k = np.arange(begin, end)
    near = distance(k - 1, k)
    far = distance(np.maximum(k - 2, 0), np.minimum(k + 1, n - 1))
    return np.minimum(near, far)


def shot_bounds(cuts: np.ndarray, duration: float) -> list[tuple[float, float]]:
    """(onset, duration) in s of the shots between the cuts of a movie of the given duration."""
    edges = [0.0, *(float(cut) for cut in cuts if 0 < cut < duration), duration]
    return [(begin, end - begin) for begin, end in itertools.pairwise(edges)]


def _histograms(frames: np.ndarray) -> np.ndarray:
    """Colour histograms in place (n, places, 3 * bins), each summing to 1 / places."""
    n, side = frames.shape[:2]
    level = frames.astype(np.int64) * _BINS // 256
    place = (np.arange(side) * _GRID // side)[:, None] * _GRID + np.arange(side) * _GRID // side
    cell = (place[..., None] * 3 + np.arange(3)) * _BINS + level
    per_frame = _GRID * _GRID * 3 * _BINS
    cell += np.arange(n)[:, None, None, None] * per_frame
    counts = np.bincount(cell.ravel(), minlength=n * per_frame)
    return counts.reshape(n, _GRID * _GRID, 3 * _BINS) / (side * side * 3)


def _cuts(scores: np.ndarray, frame_rate: float) -> np.ndarray:
    """Indices of pictures that begin a shot."""
    near = max(round(_NEAR * frame_rate), 2)
    around = max(round(_AROUND * frame_rate), 4)

    def others(k: int, reach: int) -> np.ndarray:
        low = max(1, k - reach)
        return np.delete(scores[low : k + reach + 1], k - low)

    found = [
        k
        for k in np.flatnonzero(scores >= _FLOOR).tolist()
        if scores[k] > _PEAK * others(k, near).max(initial=0)
        and scores[k] > _RATIO * np.median(np.append(others(k, around), 0))
    ]
    return np.array(found, dtype=np.int64)
