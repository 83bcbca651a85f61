"""Pixel-wise agreement: mean squared error, PSNR and correlation.

Takes uint8 clips; leaves one value per pair of clips. All three reward blur and gray: read them
beside their baselines.
"""

from __future__ import annotations

import numpy as np


def mse(a: np.ndarray, b: np.ndarray, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Mean squared error (8-bit units squared) of clip pairs (a[i], b[j]), per frame.

    Parameters
    ----------
    a, b : uint8 (n, F, h, w, 3). i, j : integer arrays of one shape.

    Returns
    -------
    float64 (..., F).
    """
    frames = a.shape[1]
    out = np.empty((*np.shape(i), frames))
    for f in range(frames):
        x = a[:, f].reshape(len(a), -1).astype(np.float32)
        y = b[:, f].reshape(len(b), -1).astype(np.float32)
        for place in np.ndindex(*np.shape(i)):
            difference = x[i[place]] - y[j[place]]
            out[*place, f] = difference @ difference / difference.size
    return out


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
    for f in range(a.shape[1]):
        x, y = _standard(a[:, f]), _standard(b[:, f])
        for place in np.ndindex(*np.shape(i)):
            total[place] += x[i[place]] @ y[j[place]]
    return total / a.shape[1]


def _standard(frames: np.ndarray) -> np.ndarray:
    """(n, pixels) float32 with mean 0 and length 1; rows of zeros where there is no variance."""
    x = frames.reshape(len(frames), -1).astype(np.float32)
    x -= x.mean(axis=1, keepdims=True)
    length = np.linalg.norm(x, axis=1, keepdims=True)
    return np.divide(x, length, out=np.zeros_like(x), where=length > 1e-3)
