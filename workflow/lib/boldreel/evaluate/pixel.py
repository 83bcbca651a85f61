"""Pixel-wise agreement: mean squared error, PSNR, correlation of values and of hues, order in time.

Takes uint8 clips; returns one value per pair of clips. Most of them reward blur and gray: read them
next to their baselines.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

BAND_BYTES = 2e8


def _bands(a: np.ndarray, b: np.ndarray, dtype: type = np.float32) -> list[slice]:
    """Rows of the frames, in bands whose float copies of all clips together take BAND_BYTES."""
    per_row = np.dtype(dtype).itemsize * (len(a) + len(b)) * a.shape[3] * a.shape[4]
    step = max(1, int(BAND_BYTES / per_row))
    return [slice(top, top + step) for top in range(0, a.shape[2], step)]


def _rows(clips: np.ndarray, f: int, rows: slice) -> np.ndarray:
    """(n, values) float64 of a band of frame f."""
    return clips[:, f, rows].reshape(len(clips), -1).astype(np.float64)


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
        for rows in _bands(a, b, np.float64):
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


def correlation(
    a: np.ndarray,
    b: np.ndarray,
    i: np.ndarray,
    j: np.ndarray,
    view: str = "rgb",
    backwards: bool = False,
) -> np.ndarray:
    """Correlation over a frame's pixels, mean over frames, of pairs (a[i], b[j]).

    Parameters
    ----------
    a, b, i, j : as in `mse`.
    view : what is correlated. "rgb", Pearson over all channels. "hue", Pearson of HSV's hue (Kupershmidt
        et al. 2022), which takes red's two ends, 0 and 1, for opposites and gives gray pixels a hue.
        "chroma", cosine between the pixels' vectors in the colour plane: its angle is the hue, its
        length how much of a colour there is, so that gray has none.
    backwards : take the frames of `a` from last to first.

    Returns
    -------
    float64 array of the shape of `i`. A frame without variance, or without colour, has 0.
    """
    look, centred = _VIEWS[view]
    total = np.zeros(np.shape(i))
    bands = _bands(a, b)
    for f in range(a.shape[1]):
        left = _Frame(a, a.shape[1] - 1 - f if backwards else f, bands, look, centred)
        right = _Frame(b, f, bands, look, centred)
        for rows in bands:
            x, y = left.unit(rows), right.unit(rows)
            for place in np.ndindex(*np.shape(i)):
                total[place] += x[i[place]] @ y[j[place]]
    return total / a.shape[1]


def forward_order(a: np.ndarray, b: np.ndarray, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Whether a clip follows its truth better as it is than played backwards: 1, or 0; 0.5 if alike.

    Compares pixel correlations of pairs (a[i], b[j]), as `correlation`; a still picture has 0.5 in any
    order, and so has chance.
    """
    ahead, back = (correlation(a, b, i, j, backwards=way) for way in (False, True))
    alike = np.isclose(ahead, back, rtol=0, atol=1e-6)
    return np.where(alike, 0.5, ahead > back)


def _hue(rows: np.ndarray) -> np.ndarray:
    """HSV's hue, 0 to 1, of pixels (..., 3); 0 of gray. scikit-image's takes six times as long."""
    red, green, blue = np.moveaxis(rows.astype(np.float32), -1, 0)
    high = np.maximum(np.maximum(red, green), blue)
    spread = high - np.minimum(np.minimum(red, green), blue)
    # Where two channels are highest, the later of them decides, as in scikit-image.
    turned = np.where(high == red, green - blue, 0)
    turned = np.where(high == green, 2 * spread + blue - red, turned)
    turned = np.where(high == blue, 4 * spread + red - green, turned)
    return np.divide(turned, 6 * spread, out=np.zeros_like(spread), where=spread > 0) % 1


def _chroma(rows: np.ndarray) -> np.ndarray:
    red, green, blue = np.moveaxis(rows.astype(np.float32), -1, 0)
    return np.stack([red - (green + blue) / 2, np.sqrt(np.float32(0.75)) * (green - blue)], axis=-1)


# What is seen of a frame's pixels (n, h, w, 3), and whether its mean is taken off.
_VIEWS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], bool]] = {
    "rgb": (lambda rows: rows.astype(np.float32), True),
    "hue": (_hue, True),
    "chroma": (_chroma, False),
}


class _Frame:
    """Frame f of all clips, as vectors of length 1: one band of rows at a time."""

    def __init__(
        self,
        clips: np.ndarray,
        f: int,
        bands: list[slice],
        look: Callable[[np.ndarray], np.ndarray],
        centred: bool,
    ) -> None:
        self.clips, self.f, self.look = clips, f, look
        # The only band is kept, not looked at twice.
        self.kept: np.ndarray | None = None
        if len(bands) == 1:
            self.kept = self._rows(bands[0])
        sums, squares, values = np.zeros(len(clips)), np.zeros(len(clips)), 0
        for rows in bands:
            x = self._rows(rows)
            values += x.shape[1]
            sums += x.sum(axis=1, dtype=np.float64)
            squares += np.einsum("np,np->n", x, x, dtype=np.float64)
        mean = sums / values if centred else np.zeros_like(sums)
        length = np.sqrt(np.maximum(squares - mean * mean * values, 0.0))
        scale = np.divide(1.0, length, out=np.zeros(len(clips)), where=length > 1e-3)
        self.mean, self.scale = mean.astype(np.float32)[:, None], scale.astype(np.float32)[:, None]

    def _rows(self, rows: slice) -> np.ndarray:
        if self.kept is not None:
            return self.kept
        return self.look(self.clips[:, self.f, rows]).reshape(len(self.clips), -1)

    def unit(self, rows: slice) -> np.ndarray:
        """(n, values) float32 of a band."""
        return (self._rows(rows) - self.mean) * self.scale
