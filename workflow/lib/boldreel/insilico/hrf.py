"""The haemodynamic response: a double gamma of known lag.

Takes the time to peak (s) and samples of a neural time course; returns the BOLD time course, in
arbitrary units. Form: Friston et al. 1998 (NeuroImage 7, 30-40) and Glover 1999 (NeuroImage 9,
416-429): a gamma density for the response and a later one, a sixth as large, for the undershoot.
"""

from __future__ import annotations

import math

import numpy as np

# Shapes of the two gamma densities and their ratio, as in the canonical response.
RESPONSE_SHAPE, UNDERSHOOT_SHAPE, UNDERSHOOT_RATIO = 6.0, 16.0, 1 / 6
# The canonical response peaks at 5 s (shape 6, scale 1 s); a slower one is stretched as a whole.
DURATION = 32.0


def double_gamma(time: np.ndarray, time_to_peak: float) -> np.ndarray:
    """The response to an impulse at time 0, largest value 1, at times in seconds (any shape)."""
    scale = time_to_peak / (RESPONSE_SHAPE - 1)

    def density(shape: float, t: np.ndarray) -> np.ndarray:
        return t ** (shape - 1) * np.exp(-t) / math.gamma(shape)

    def both(seconds: np.ndarray) -> np.ndarray:
        t = np.maximum(seconds, 0) / scale
        return density(RESPONSE_SHAPE, t) - UNDERSHOOT_RATIO * density(UNDERSHOOT_SHAPE, t)

    peak = both(np.array([time_to_peak]))[0]
    return both(np.asarray(time, dtype=np.float64)) / peak


def convolve(neural: np.ndarray, interval: float, time_to_peak: float) -> np.ndarray:
    """BOLD at the times k * interval of neural activity that is constant over each interval.

    Parameters
    ----------
    neural : (n_features, n), sample k holds from k * interval to (k + 1) * interval
    interval : s

    Returns
    -------
    bold : float32 (n_features, n); entry k is the response at k * interval, so entry 0 is 0.
    """
    from scipy.fft import irfft, next_fast_len, rfft

    n = neural.shape[1]
    lags = (np.arange(math.ceil(DURATION / interval)) + 0.5) * interval
    kernel = np.concatenate([[0.0], double_gamma(lags, time_to_peak) * interval])
    size = next_fast_len(n + len(kernel), real=True)
    spectrum = rfft(neural.astype(np.float32), size, axis=1)
    spectrum *= rfft(kernel.astype(np.float32), size)
    return irfft(spectrum, size, axis=1)[:, :n].astype(np.float32)


def response_peak(time_to_peak: float, duration: float = 2.0) -> float:
    """When the response to a stimulus of `duration` s is largest, in s from the stimulus' onset."""
    step = 0.01
    time = np.arange(0, DURATION, step)
    response = np.convolve(double_gamma(time, time_to_peak), np.ones(round(duration / step)))
    return float(np.argmax(response) * step)
