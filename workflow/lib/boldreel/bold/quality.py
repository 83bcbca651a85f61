"""Numbers about the quality of a preprocessed run.

Takes the derivatives of a run; returns its displacement, marked volumes and temporal signal-to-noise.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from boldreel.bold import content, coregistration, template
from boldreel.bold.confounds import framewise_displacement
from boldreel.bold.naming import RunFiles
from boldreel.data import bids, cifti, confounds, nifti
from boldreel.data.bold_runs import Run
from boldreel.errors import UserError

_MOTION = ("trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z")
_COLUMNS = (*_MOTION, "framewise_displacement")
_CARPET_ROWS = 300
_TREND_ORDER = 2
_UNSTEADY = "before the steady state"


@dataclass(frozen=True)
class RunQuality:
    """Quality of one run.

    name : task-..._run-...
    motion : (n, 6) mm and rad, NaN if it is not known; displacement : (n,) mm, NaN first
    marked : {volume: why}, volumes before the steady state and those of sudden motion or change
    tsnr : float32, shape of the grid, NaN outside the brain; of CIFTI one value a grayordinate
    carpet : (rows, n) z-scored series of voxels spread over the brain
    content : hash of the raw run; ratio : correlation ratio of the coregistration (of adopted runs: with
        the template), NaN if unknown
    mean : float32, mean over volumes, shape as tsnr
    affine : (4, 4) voxel to world mm, None of CIFTI
    """

    name: str
    motion: np.ndarray
    displacement: np.ndarray
    marked: dict[int, str]
    tsnr: np.ndarray
    carpet: np.ndarray
    content: str
    ratio: float
    mean: np.ndarray
    affine: np.ndarray | None

    @property
    def outliers(self) -> list[int]:
        """Volumes of sudden motion or change, as fMRIPrep counts them: not those of the run's start."""
        return [volume for volume, why in self.marked.items() if why != _UNSTEADY]

    @property
    def motion_known(self) -> bool:
        """Whether anything is known of the head's motion."""
        return bool(np.isfinite(self.displacement).any())

    @property
    def mean_displacement(self) -> float:
        """Mean framewise displacement, mm; NaN where motion is not known."""
        return float(np.nanmean(self.displacement)) if self.motion_known else float("nan")

    @property
    def largest_displacement(self) -> float:
        """Largest framewise displacement, mm; NaN where motion is not known."""
        return float(np.fmax.reduce(self.displacement))

    @property
    def median_tsnr(self) -> float:
        """Median over the brain."""
        return float(np.nanmedian(self.tsnr))


def measure(bold: Path, raw: Path | None = None) -> RunQuality:
    """Quality of a preprocessed run.

    Parameters
    ----------
    bold : preprocessed run, with mask, sidecar and confounds next to it
    raw : the raw run, read only where the sidecar does not tell its hash
    """
    files = RunFiles(bold)
    image = nifti.load(bold)
    mask = nifti.values(nifti.load(files.mask)) > 0
    if not mask.any():
        raise UserError(f"{files.mask}: the brain mask is empty; run the bold stage again")
    tsnr = np.full(mask.shape, np.nan, np.float32)
    tsnr[mask], carpet = _signal(nifti.values(image)[mask].T)
    columns = confounds.read(files.confounds, image.shape[3], _COLUMNS)
    about = json.loads(files.sidecar.read_text(encoding="utf-8"))
    digest = about.get("RawContentHash")
    if digest is None and raw is not None:
        digest = content.content_hash(content.read_volumes(raw)[0])
    return RunQuality(
        bids.run_label(*bids.parse_label(bold)),
        np.stack([columns[name] for name in _MOTION], axis=1),
        columns["framewise_displacement"],
        _marked(columns),
        tsnr,
        carpet,
        digest or "unknown",
        float(about.get("CorrelationRatio", np.nan)),
        nifti.values(nifti.load(files.boldref)),
        image.affine,
    )


def measure_adopted(run: Run) -> RunQuality:
    """Quality of a run of fMRIPrep or the HCP pipelines, where it lies.

    Head motion comes from fMRIPrep's confounds, or from the HCP's Movement_Regressors.txt (mm and
    degrees); where there is neither it is NaN. Volumes in an MNI space are held against the template.
    """
    path = Path(run.bold)
    affine, ratio = None, float("nan")
    if run.kind == "cifti":
        series = cifti.load(path).values()
        tsnr, carpet = _signal(series)
        mean = series.mean(0)
    else:
        image = nifti.load(path)
        values, affine = nifti.values(image), image.affine
        mask = nifti.values(nifti.load(run.mask)) > 0 if run.mask else values.any(axis=3)
        if not mask.any():
            raise UserError(f"{run.mask or path}: no voxel of the brain; preprocess the run again")
        series = values[mask].T
        tsnr = np.full(mask.shape, np.nan, np.float32)
        tsnr[mask], carpet = _signal(series)
        mean = values.mean(axis=3)
        if run.space.startswith("MNI"):
            ratio = coregistration.correlation_ratio(mean, affine, *template.load("T1w"))
    motion = np.full((len(series), 6), np.nan)
    displacement = np.full(len(series), np.nan)
    regressors = path.with_name("Movement_Regressors.txt")
    columns: dict[str, np.ndarray] = {}
    if run.confounds:
        columns = confounds.read(Path(run.confounds), len(series))
        # Shared tables hold what somebody kept of fMRIPrep's.
        if all(name in columns for name in _MOTION):
            motion = np.stack([columns[name] for name in _MOTION], axis=1)
            known = columns.get("framewise_displacement")
            displacement = framewise_displacement(motion) if known is None else known
    elif regressors.exists():
        motion = np.loadtxt(regressors)[:, :6]
        motion[:, 3:] = np.deg2rad(motion[:, 3:])
        displacement = framewise_displacement(motion)
    return RunQuality(
        bids.run_label(run.segment, run.repeat),
        motion,
        displacement,
        _marked(columns),
        tsnr,
        carpet,
        content.content_hash(series[:, None, None]),
        ratio,
        mean,
        affine,
    )


def _signal(series: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(tSNR (p,), carpet (rows, n)) of the brain's series (n, p)."""
    residual = _without_trend(series)
    spread = residual.std(0)
    chosen = np.linspace(0, series.shape[1] - 1, min(_CARPET_ROWS, series.shape[1])).astype(int)
    carpet = (residual[:, chosen] / np.where(spread > 0, spread, 1.0)[chosen]).T
    return series.mean(0) / np.where(spread > 0, spread, np.nan), carpet


def _marked(columns: dict[str, np.ndarray]) -> dict[int, str]:
    """Volumes that a confounds table marks, in order, and what it says of them."""
    found = {}
    for name, values in columns.items():
        volume = int(np.argmax(values))
        if name.startswith("non_steady_state_outlier"):
            found[volume] = _UNSTEADY
        elif name.startswith("motion_outlier"):
            told = [
                f"{what} {columns[column][volume]:.2f}{unit}"
                for column, what, unit in (
                    ("framewise_displacement", "displacement", " mm"),
                    ("std_dvars", "standardised DVARS", ""),
                )
                if column in columns and np.isfinite(columns[column][volume])
            ]
            found.setdefault(volume, ", ".join(told) or "sudden change")
    return dict(sorted(found.items()))


def _without_trend(series: np.ndarray) -> np.ndarray:
    """Series (n, p) without mean and quadratic trend."""
    time = np.linspace(-1.0, 1.0, len(series))
    basis = np.linalg.qr(np.polynomial.legendre.legvander(time, _TREND_ORDER))[0]
    basis = basis.astype(np.float32)
    return series - basis @ (basis.T @ series)
