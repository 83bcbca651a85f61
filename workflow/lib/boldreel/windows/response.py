"""When the response to a clip peaks, from how strongly responses carry the clips at each lag.

Takes the alignment of responses with features over a grid of lags; returns the time from clip onset to
the peak of the response. The curve fitted is the square of a canonical haemodynamic response (two gamma
functions; Glover 1999, the shape of SPM) to a clip of the given duration, delayed by an unknown time.
Neighbouring clips resemble each other, so responses carry a clip at a wrong lag too: the curve is first
blurred by that resemblance as measured in the features.
"""

from __future__ import annotations

import math

import numpy as np

_STEP = 0.1  # s, time resolution of the curves
_PEAK, _UNDERSHOOT, _SHARE = 6.0, 16.0, 1 / 6  # shapes of the gammas (1 s scale) and their ratio


def double_gamma(times: np.ndarray) -> np.ndarray:
    """Canonical haemodynamic response at times (s) after a brief event; largest near 5 s, 0 before 0."""
    t = np.maximum(np.asarray(times, dtype=float), 0)

    def gamma(shape: float) -> np.ndarray:
        return t ** (shape - 1) * np.exp(-t) / math.gamma(shape)

    return gamma(_PEAK) - _SHARE * gamma(_UNDERSHOOT)


def clip_response(times: np.ndarray, duration: float) -> np.ndarray:
    """Response at times (s) after its onset to a clip of a duration (s), 1 at its peak."""
    inner = np.arange(_STEP / 2, duration, _STEP)
    curve = double_gamma(np.asarray(times, float)[..., None] - inner).mean(axis=-1)
    fine = np.arange(0, 12 + duration, _STEP)
    return curve / double_gamma(fine[:, None] - inner).mean(axis=1).max()


def peak_time(duration: float) -> float:
    """Time (s) from clip onset to the peak of the undelayed response."""
    fine = np.arange(0, 12 + duration, _STEP / 10)
    return float(fine[clip_response(fine, duration).argmax()])


def resemblance(
    features: np.ndarray, movies: np.ndarray, index: np.ndarray, most: int
) -> np.ndarray:
    """Mean correlation of the features of clips that are 0 to most clips apart in a movie, (most + 1,).

    Parameters
    ----------
    features : (n, D), each column of mean zero
    movies, index : (n,), movie of each clip and its number in it
    """
    place = {(movie, int(k)): row for row, (movie, k) in enumerate(zip(movies, index, strict=True))}
    values = [1.0]
    power = float((features**2).sum(axis=1).mean())
    for apart in range(1, most + 1):
        pairs = [
            (row, place[movie, k + apart])
            for (movie, k), row in place.items()
            if (movie, k + apart) in place
        ]
        if not pairs or power == 0:
            values.append(0.0)
            continue
        left, right = np.array(pairs).T
        values.append(float((features[left] * features[right]).sum(axis=1).mean()) / power)
    return np.array(values)


def estimate_peak(
    lags: np.ndarray,
    aligned: np.ndarray,
    duration: float,
    alike: np.ndarray | None = None,
    earliest: float = 2.0,
    latest: float = 10.0,
) -> float:
    """Time (s) from clip onset to the response's peak that explains the alignment best.

    Parameters
    ----------
    lags : (n,), s from clip onset to the volumes' times, as they really were
    aligned : (n,), alignment of single volumes with the features
    duration : of a clip, s
    alike : resemblance of clips 0, 1, 2, ... apart; none is clips that share nothing
    earliest, latest : range of peak times (s) that are tried
    """
    alike = np.array([1.0]) if alike is None else np.asarray(alike, dtype=float)
    steps = np.arange(-(len(alike) - 1), len(alike)) * duration
    weights = np.concatenate([alike[:0:-1], alike])
    undelayed = peak_time(duration)
    best, found = -np.inf, undelayed
    for peak in np.arange(earliest, latest + _STEP / 2, _STEP):
        times = np.asarray(lags, float)[:, None] - steps - (peak - undelayed)
        curve = (clip_response(times, duration) * weights).sum(axis=1) ** 2
        norm = math.sqrt(float(curve @ curve))
        fit = float(curve @ np.asarray(aligned, dtype=float)) / norm if norm else -np.inf
        if fit > best:
            best, found = fit, float(peak)
    return round(found, 2)
