"""Pixel-wise agreement: mean squared error, PSNR and correlation.

Takes uint8 clips; leaves one value per pair of clips. All three reward blur and gray: read them
beside their baselines.
"""

from __future__ import annotations

import numpy as np

BAND_BYTES = 2e8


def _bands(a: np.ndarray, b: np.ndarray) -> list[slice]:
    """Rows of the frames, in bands whose float copies of all clips together take BAND_BYTES."""
    per_row = 4 * (len(a) + len(b)) * a.shape[3] * a.shape[4]
    step = max(1, int(BAND_BYTES / per_row))
    return [slice(top, top + step) for top in range(0, a.shape[2], step)]


def _rows(clips: np.ndarray, f: int, rows: slice) -> np.ndarray:
    """(n, values) float32 of a band of frame f."""
    return clips[:, f, rows].reshape(len(clips), -1).astype(np.float32)


def mse(a: np.ndarray, b: np.ndarray, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Mean squared error (8-bit units squared) of clip pairs (a[i], b[j]), per frame.

    Parameters
    ----------
    a, b : uint8 (n, F, h, w, 3). i, j : integer arrays of one shape.

    Returns
    -------
    float64 (..., F).
    """
    frames, size = a.shape[1], int(np.prod(a.shape[2:]))
    out = np.zeros((*np.shape(i), frames))
    for f in range(frames):
        for rows in _bands(a, b):
            x, y = _rows(a, f, rows), _rows(b, f, rows)
            for place in np.ndindex(*np.shape(i)):
                difference = x[i[place]] - y[j[place]]
                out[*place, f] += difference @ difference
    return out / size


def psnr(error: np.ndarray) -> np.ndarray:
    """Peak signal-to-noise ratio in dB, 10 log10(255^2 / mse), mean over the last axis (frames).

    An error below 1e-3 (a perfect frame) counts as 1e-3: 78 dB.
    """
    return (10 * np.log10(255.0**2 / np.maximum(error, 1e-3))).mean(axis=-1)


def correlation(a: np.ndarray, b: np.ndarray, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Pearson correlation over a frame's RGB values, mean over frames, of pairs (a[i], b[j]).

    A frame without variance has correlation 0. Shapes as in `mse`; returns the shape of `i`.
    """
    total = np.zeros(np.shape(i))
    bands = _bands(a, b)
    for f in range(a.shape[1]):
        left, right = _moments(a, f, bands), _moments(b, f, bands)
        for rows in bands:
            x = (_rows(a, f, rows) - left[0]) * left[1]
            y = (_rows(b, f, rows) - right[0]) * right[1]
            for place in np.ndindex(*np.shape(i)):
                total[place] += x[i[place]] @ y[j[place]]
    return total / a.shape[1]


def _moments(clips: np.ndarray, f: int, bands: list[slice]) -> tuple[np.ndarray, np.ndarray]:
    """Mean (n, 1) of frame f, and what brings its spread to length 1: 0 where there is none."""
    values = int(np.prod(clips.shape[2:]))
    sums, squares = np.zeros(len(clips)), np.zeros(len(clips))
    for rows in bands:
        x = _rows(clips, f, rows)
        sums += x.sum(axis=1, dtype=np.float64)
        squares += np.einsum("np,np->n", x, x, dtype=np.float64)
    length = np.sqrt(np.maximum(squares - sums * sums / values, 0.0))
    scale = np.divide(1.0, length, out=np.zeros(len(clips)), where=length > 1e-3)
    return (sums / values).astype(np.float32)[:, None], scale.astype(np.float32)[:, None]
