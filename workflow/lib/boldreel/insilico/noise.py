"""BOLD noise: smooth over cortex, autocorrelated in time as real BOLD is.

Takes the spectrum P(f) = a f^-b + c in noise_spectrum.json, which
benchmarks/estimate_noise_spectrum.py fitted to real BOLD; returns noise of unit variance. The noise
has nothing below 0.01 Hz: slower changes are drift, which detrending removes, and are made apart.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import ndimage
from scipy.fft import irfft, rfft, rfftfreq

from boldreel import packaged
from boldreel.errors import UserError

SPECTRUM = packaged.path("boldreel.insilico", "noise_spectrum.json")
LOWEST = 0.01  # Hz
GLOBAL = 0.15  # sd of the part that the whole brain shares, of a total of 1
DRIFT = 0.8  # sd in percent of baseline of each drift term


class Spectrum(NamedTuple):
    """P(f) = a f^-b + c; f in Hz, any unit of power."""

    a: float
    b: float
    c: float

    def power(self, frequency: np.ndarray) -> np.ndarray:
        """P at frequencies in Hz; 0 below LOWEST."""
        shape = self.a * np.maximum(frequency, LOWEST) ** -self.b + self.c
        return np.where(frequency < LOWEST - 1e-9, 0.0, shape)


def read_spectrum(path: Path = SPECTRUM) -> Spectrum:
    """The fitted spectrum; UserError if the file is not one."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        return Spectrum(float(stored["a"]), float(stored["b"]), float(stored["c"]))
    except (OSError, KeyError, ValueError) as error:
        raise UserError(f"{path}: not a noise spectrum ({error}); restore the file") from None


def shape_in_time(white: np.ndarray, t_r: float, spectrum: Spectrum) -> np.ndarray:
    """Give white noise (n_volumes, ...) the spectrum along axis 0, at unit variance."""
    n = white.shape[0]
    power = spectrum.power(rfftfreq(n, t_r))
    # Both halves of the spectrum count, the highest frequency of an even length once.
    twice = np.full(len(power), 2.0)
    twice[0] = 1.0
    if n % 2 == 0:
        twice[-1] = 1.0
    gain = np.sqrt(power * n / (twice * power).sum()).astype(np.float32)
    spectrum_of_noise = rfft(white, axis=0)
    spectrum_of_noise *= gain.reshape(-1, *[1] * (white.ndim - 1))
    return irfft(spectrum_of_noise, n, axis=0)


def field(
    rng: np.random.Generator,
    shape: tuple[int, int, int],
    n_volumes: int,
    t_r: float,
    sigma: float,
    spectrum: Spectrum,
) -> np.ndarray:
    """Noise on a grid.

    Parameters
    ----------
    t_r : s; sigma : sd of the spatial smoothing in voxels (0: none).

    Returns
    -------
    float32 (n_volumes, *shape) of unit variance everywhere, GLOBAL of whose sd is common to all.
    """
    noise = shape_in_time(rng.standard_normal((n_volumes, *shape), dtype=np.float32), t_r, spectrum)
    if sigma:
        for axis in (1, 2, 3):
            noise = ndimage.gaussian_filter1d(noise, sigma, axis, mode="wrap", truncate=4)
        point = np.zeros(65)
        point[32] = 1
        kernel = ndimage.gaussian_filter1d(point, sigma, truncate=4)
        noise /= np.float32((kernel**2).sum() ** 1.5)
    common = shape_in_time(rng.standard_normal((n_volumes, 1, 1, 1)), t_r, spectrum)
    noise *= np.float32(np.sqrt(1 - GLOBAL**2))
    noise += (GLOBAL * common).astype(np.float32)
    return noise


def drift(rng: np.random.Generator, n_volumes: int, places: np.ndarray) -> np.ndarray:
    """Slow scanner drift in percent of baseline.

    Polynomials of first to third order in time, each with an amplitude that changes linearly over
    the field of view.

    Parameters
    ----------
    places : (n, 3) places in the field of view, -1 to 1 along each axis

    Returns
    -------
    float32 (n_volumes, n)
    """
    time = np.linspace(-1, 1, n_volumes)
    terms = np.polynomial.legendre.legvander(time, 3)[:, 1:] * (DRIFT / np.array([1, 1.5, 3]))
    gradients = rng.standard_normal((3, 4)) * np.array([1, 0.3, 0.3, 0.3])
    everywhere = np.concatenate([np.ones((len(places), 1)), places], axis=1)
    return (terms @ (gradients @ everywhere.T)).astype(np.float32)
