"""Structural similarity of frames in the two definitions that the field mixes up.

Takes uint8 frames; returns one value per pair. `rgb_uniform`: RGB, 7x7 uniform window, sample
covariance, data range 255 (MinD-Video's script). `gray_gaussian`: luma, Gaussian window of sigma
1.5, population covariance (NeuroClips'). The two differ by about 0.06 on the same frames, and a
mid-gray frame is a strong baseline for both.

Many pairings of the same frames are needed for shift tests: `pairs` filters each frame's moments
once and only the products per pairing, in groups of clips and bands of rows that bound the memory.
It equals `skimage.metrics.structural_similarity`, which stands in `frame`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from boldreel.training.progress import Progress

C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
MID = 127.5
LUMA = np.array([0.2125, 0.7154, 0.0721])  # scikit-image's rgb2gray
BAND_BYTES = 2.5e8


@dataclass(frozen=True)
class Definition:
    """Window (1-D, sums to 1; applied to rows and columns), covariance factor, gray or RGB."""

    window: np.ndarray
    covariance: float
    gray: bool


def _gaussian(sigma: float = 1.5, truncate: float = 3.5) -> np.ndarray:
    radius = int(truncate * sigma + 0.5)
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    return weights / weights.sum()


DEFINITIONS: dict[str, Definition] = {
    "rgb_uniform": Definition(np.full(7, 1 / 7), 49 / 48, gray=False),
    "gray_gaussian": Definition(_gaussian(), 1.0, gray=True),
}


def frame(a: np.ndarray, b: np.ndarray, definition: str = "rgb_uniform") -> float:
    """SSIM of two uint8 frames (h, w, 3) by scikit-image."""
    from skimage.color import rgb2gray
    from skimage.metrics import structural_similarity

    if definition == "rgb_uniform":
        return float(structural_similarity(a, b, data_range=255, channel_axis=-1))
    return float(
        structural_similarity(
            rgb2gray(a),
            rgb2gray(b),
            data_range=1.0,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
    )


def smallest_frame(definition: str) -> int:
    """Smallest side, in pixels, that the definition's window fits into."""
    return len(DEFINITIONS[definition].window)


def _rows(frames: np.ndarray, gray: bool) -> np.ndarray:
    """(n, h, w, 3) uint8 -> (n, h, c * w), centred on mid-gray so that products keep their digits."""
    if gray:
        return frames @ LUMA - MID
    n, height, width, _ = frames.shape
    planes = frames.transpose(0, 1, 3, 2).reshape(n, height, 3 * width)
    return planes.astype(np.float64) - MID


def _places(window: np.ndarray, length: int) -> np.ndarray:
    """Matrix (length - taps + 1, length): the window at every place where it fits."""
    taps = len(window)
    matrix: np.ndarray = np.zeros((length - taps + 1, length))
    for offset, weight in enumerate(window):
        matrix[np.arange(len(matrix)), np.arange(len(matrix)) + offset] = weight
    return matrix


class _Band:
    """The moments of one band of rows of a set of frames, scaled as the SSIM formula needs them."""

    def __init__(self, frames: np.ndarray, kind: Definition) -> None:
        self.width = frames.shape[2]
        self.down = _places(kind.window, frames.shape[1])
        self.across = np.ascontiguousarray(_places(kind.window, self.width).T)
        rows = _rows(frames, kind.gray)
        mean = self.smooth(rows)
        variance = self.smooth(rows * rows) - mean * mean
        level = mean + MID
        # sqrt(2 * covariance factor) in each frame makes 2 cov(x, y) of a product of two.
        scale = np.sqrt(2 * kind.covariance)
        self.rows = rows * scale
        self.mean = mean * scale
        self.level = level * np.sqrt(2.0)
        self.square = level * level + C1 / 2
        self.spread = variance * kind.covariance + C2 / 2

    def smooth(self, rows: np.ndarray) -> np.ndarray:
        """Filter (..., h, c * w) in both directions: (..., c * places down, places across)."""
        down = self.down @ rows
        return down.reshape(*rows.shape[:-2], -1, self.width) @ self.across


def _similarity(a: _Band, b: _Band, p: int, q: int) -> float:
    """Sum of the SSIM map of frames a[p] and b[q] over the band."""
    contrast = a.smooth(a.rows[p] * b.rows[q])
    contrast -= a.mean[p] * b.mean[q]
    contrast += C2
    light = a.level[p] * b.level[q]
    light += C1
    light *= contrast
    norm = a.square[p] + b.square[q]
    norm *= a.spread[p] + b.spread[q]
    light /= norm
    return float(light.sum())


def pairs(
    a: np.ndarray,
    b: np.ndarray,
    i: np.ndarray,
    j: np.ndarray,
    definition: str = "rgb_uniform",
) -> np.ndarray:
    """Mean SSIM over the frames of clip pairs (a[i], b[j]).

    Parameters
    ----------
    a, b : uint8 (n, F, h, w, 3) and (m, F, h, w, 3), memory-mapped or not.
    i, j : integer arrays of one shape.

    Returns
    -------
    float64 array of the shape of `i`. Raises ValueError if the window does not fit the frames.
    """
    kind = DEFINITIONS[definition]
    taps, height, width = len(kind.window), a.shape[2], a.shape[3]
    if min(height, width) < taps:
        raise ValueError(f"frames of {height} x {width} are smaller than the {taps}-pixel window")
    channels = 1 if kind.gray else 3
    per_row = 6 * width * channels * np.dtype(np.float64).itemsize
    places = height - taps + 1

    def step(clips: int) -> int:
        return max(1, int(BAND_BYTES / (per_row * clips)) - taps + 1)

    first, second = np.ravel(i), np.ravel(j)
    total = np.zeros(first.size)
    fits = step(len(a) + len(b)) >= places
    groups = [np.arange(first.size)] if fits else _groups(first, second)
    progress = Progress(a.shape[1] * first.size, f"SSIM {definition}", unit="pairs of frames")
    for group in groups:
        left, p = np.unique(first[group], return_inverse=True)
        right, q = np.unique(second[group], return_inverse=True)
        bands = range(0, places, step(len(left) + len(right)))
        for f in range(a.shape[1]):
            for top in bands:
                rows = slice(top, min(top + bands.step, places) + taps - 1)
                x = _Band(a[left, f, rows], kind)
                y = _Band(b[right, f, rows], kind)
                for k, place in enumerate(group):
                    total[place] += _similarity(x, y, int(p[k]), int(q[k]))
            progress.update(len(group))
    return (total / (places * (width - taps + 1) * channels * a.shape[1])).reshape(np.shape(i))


def _groups(i: np.ndarray, j: np.ndarray) -> list[np.ndarray]:
    """Places of the pairs, in groups of few clips, so that moments are taken once for many pairs.

    A group is one b and those numbered like the a it is paired with. Evenly spaced circular shifts
    link clips in rings, so that these have their partners in common.
    """
    places: dict[int, list[int]] = {}
    for place, own in enumerate(j.tolist()):
        places.setdefault(own, []).append(place)
    out = []
    while places:
        own = next(iter(places))
        ring = dict.fromkeys([own, *i[places[own]].tolist()])
        out.append(np.concatenate([places.pop(k) for k in ring if k in places]))
    return out
