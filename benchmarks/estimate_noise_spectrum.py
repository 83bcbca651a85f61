"""Fit the spectrum of real BOLD noise: P(f) = a f^-b + c.

Takes a 4-D NIfTI of runs joined in time (for example a slice of Haxby et al. 2001), the number of
volumes per run and the repetition time; prints the fit, or writes it to --output as JSON. Only the
fitted numbers enter the repository, no data.

    python benchmarks/estimate_noise_spectrum.py BOLD.nii.gz --volumes 121 --t-r 2.5 --source "..."
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy import optimize, signal

LOWEST = 0.01  # Hz; slower is drift


def mean_spectrum(data: np.ndarray, volumes: int, t_r: float) -> tuple[np.ndarray, np.ndarray, int]:
    """Mean periodogram of percent change over brain voxels and runs.

    Parameters
    ----------
    data : (n_voxels, n_volumes) raw values, runs joined; volumes : per run; t_r : s

    Returns
    -------
    frequency (Hz), power (percent squared per Hz), number of series that were averaged
    """
    brain = data[data.mean(1) > 0.5 * np.percentile(data.mean(1), 98)]
    spectra = []
    for start in range(0, data.shape[1] - volumes + 1, volumes):
        run = brain[:, start : start + volumes]
        percent = 100 * (run / run.mean(1, keepdims=True) - 1)
        frequency, power = signal.periodogram(
            signal.detrend(percent, axis=1), 1 / t_r, window="hann", axis=1
        )
        spectra.append(power)
    stacked = np.concatenate(spectra)
    # The median of an exponential distribution is ln 2 of its mean: robust against spikes.
    return frequency, np.median(stacked, axis=0) / np.log(2), len(stacked)


def fit(frequency: np.ndarray, power: np.ndarray) -> tuple[float, float, float]:
    """(a, b, c) by least squares of log power above LOWEST, scaled to mean power 1 there."""
    kept = frequency >= LOWEST
    f, p = frequency[kept], power[kept] / power[kept].mean()

    def residual(logs: np.ndarray) -> np.ndarray:
        a, b, c = np.exp(logs)
        return np.log(a * f**-b + c) - np.log(p)

    a, b, c = np.exp(optimize.least_squares(residual, np.log([0.02, 1.0, 0.4])).x)
    return float(a), float(b), float(c)


def main() -> None:
    """Read the data, fit, print or write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bold", type=Path, help="4-D NIfTI, runs joined in time")
    parser.add_argument("--volumes", type=int, required=True, help="volumes per run")
    parser.add_argument("--t-r", type=float, required=True, help="repetition time in s")
    parser.add_argument("--source", default="", help="what the data is, for the record")
    parser.add_argument("--output", type=Path, help="JSON to write")
    args = parser.parse_args()
    image = np.asarray(nib.load(args.bold).dataobj, dtype=np.float32)
    frequency, power, n = mean_spectrum(image.reshape(-1, image.shape[-1]), args.volumes, args.t_r)
    a, b, c = fit(frequency, power)
    kept = frequency >= LOWEST
    percent = float(np.sqrt(power[kept].sum() * (frequency[1] - frequency[0])))
    result = {
        "form": "P(f) = a f^-b + c, f in Hz, mean 1 over the fitted frequencies",
        "a": round(a, 5),
        "b": round(b, 4),
        "c": round(c, 4),
        "fitted_hz": [round(float(frequency[kept][0]), 5), round(float(frequency[-1]), 5)],
        "sd_percent": round(percent, 3),
        "series": n,
        "t_r": args.t_r,
        "source": args.source,
    }
    text = json.dumps(result, indent=1) + "\n"
    print(text, end="")
    if args.output:
        args.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
