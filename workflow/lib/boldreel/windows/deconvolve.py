"""What neurons did, from what blood shows: a run's series deconvolved with each area's response.

Reads the cleaned series of one run, the areas and their haemodynamic responses (windows.kernels);
writes an array of the same shape, activity at the volumes' times, z-scored per position over the run.
Nothing is fitted: runs, test runs among them, do not see each other.

The activity a minimises ||y - H a||^2 + noise ||a||^2, with H the convolution by the response integrated
over one TR around each delay and scaled to unit norm: Wiener's filter for white activity and noise. It is
taken to be 0 before the run. A large `noise` leaves a matched filter, which smooths; a small one an
inverse, which is sharp and noisy.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path

import numpy as np

from boldreel import step
from boldreel.data import arrays, provenance, tables
from boldreel.errors import UserError
from boldreel.settings import read
from boldreel.windows.settings import WindowsSettings

_FINE = 20  # samples of the response within a TR


def weights(delays: np.ndarray, values: np.ndarray, t_r: float) -> np.ndarray:
    """Response integrated over one TR around the delays 0, t_r, 2 t_r, ... s, (n,), unit norm.

    Parameters
    ----------
    delays, values : (m,), s and response; linear between, 0 outside
    """
    count = int(np.ceil(delays[-1] / t_r)) + 1
    inner = ((np.arange(count * _FINE) + 0.5) / _FINE - 0.5) * t_r
    fine = np.interp(inner, delays, values, left=0.0, right=0.0)
    kernel = fine.reshape(count, _FINE).mean(axis=1)
    return kernel / np.linalg.norm(kernel)


def deconvolve(series: np.ndarray, kernel: np.ndarray, noise: float) -> np.ndarray:
    """Activity (n, p) float64 of series (n, p), given what a volume of activity leaves in later ones.

    Parameters
    ----------
    kernel : (k,), unit norm, first value: in the same volume
    noise : variance of the noise, in units of the activity's
    """
    from scipy.linalg import cho_factor, cho_solve, toeplitz

    count = len(series)
    column = np.zeros(count)
    column[: min(len(kernel), count)] = kernel[:count]
    forward = np.tril(toeplitz(column))
    factor = cho_factor(forward.T @ forward + noise * np.eye(count))
    return cho_solve(factor, forward.T @ np.asarray(series, np.float64))


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    arguments = step.parser(__doc__)
    arguments.add_argument("--series", type=Path, required=True, metavar="NPY")
    arguments.add_argument("--voxels", type=Path, required=True)
    arguments.add_argument("--hrf", type=Path, required=True, metavar="TSV")
    arguments.add_argument("--output", type=Path, required=True, metavar="NPY")
    args = arguments.parse_args(argv)
    started = time.time()
    settings = read(WindowsSettings, args.config, "windows")
    series, meta = arrays.load(args.series, kind="series")
    areas = tables.read(args.voxels, "voxels")["area"].to_numpy(object)
    if len(areas) != series.shape[1]:
        raise UserError(
            f"{args.series}: {series.shape[1]} positions, {args.voxels} has {len(areas)}; make both "
            "from one positions table"
        )
    curves = dict(iter(tables.read(args.hrf, "hrf").groupby("area")))
    activity = np.zeros(series.shape, np.float32)
    for area in dict.fromkeys(areas.tolist()):
        if area not in curves:
            raise UserError(f"{args.hrf}: no response of area {area}; make it again")
        members = areas == area
        curve = curves[area]
        kernel = weights(curve["delay"].to_numpy(), curve["value"].to_numpy(), float(meta["t_r"]))
        values = deconvolve(np.nan_to_num(series[:, members]), kernel, settings.hrf.noise)
        values -= values.mean(axis=0)
        spread = values.std(axis=0)
        activity[:, members] = np.divide(
            values, spread, out=np.zeros_like(values), where=spread > 1e-8
        )
    kept = {key: meta[key] for key in ("t_r", "start_time", "run", "segment", "repeat")}
    arrays.save(
        args.output,
        activity,
        kind="series",
        **kept,
        units="z over the run, of deconvolved activity",
        source=str(args.series),
    )
    provenance.record(
        args.output,
        inputs=[args.series, args.voxels, args.hrf],
        config=asdict(settings),
        started=started,
    )


if __name__ == "__main__":
    step.run(main)
