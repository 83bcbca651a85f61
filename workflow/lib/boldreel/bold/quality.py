"""Numbers about the quality of a preprocessed run.

Takes the derivatives of a run; returns its displacement, marked volumes and temporal signal-to-noise.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from boldreel.bold import content_hash, coregistration, template
from boldreel.bold.confounds import framewise_displacement
from boldreel.bold.naming import RunFiles
from boldreel.data import bids_names, cifti, confounds, nifti
from boldreel.data.preprocessed_runs import Run
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
    signal = _Signal(image.shape[3], int(mask.sum()))
    for _, slab in nifti.slabs(bold):
        signal.add(slab[mask].T)
    tsnr = np.full(mask.shape, np.nan, np.float32)
    tsnr[mask], carpet = signal.tsnr(), signal.carpet()
    columns = confounds.read(files.confounds, image.shape[3], _COLUMNS)
    about = json.loads(files.sidecar.read_text(encoding="utf-8"))
    digest = about.get("RawContentHash")
    if digest is None and raw is not None:
        digest = content_hash.of_file(raw)
    return RunQuality(
        bids_names.run_label(*bids_names.parse_label(bold)),
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
        dense = cifti.load(path)
        count, places = dense.volumes, len(dense.models)
        signal = _Signal(count, places)
        rows = (row for _, slab in dense.slabs() for row in signal.add(slab))
        # The hash takes the rows one by one, and so reads the file.
        digest = content_hash.of_values(rows, (count, 1, 1, places))
        tsnr, mean = signal.tsnr(), signal.mean()
    else:
        image = nifti.load(path)
        count, affine = image.shape[3], image.affine
        mask = nifti.values(nifti.load(run.mask)) > 0 if run.mask else _signal_anywhere(path)
        if not mask.any():
            raise UserError(f"{run.mask or path}: no voxel of the brain; preprocess the run again")
        places = int(mask.sum())
        signal = _Signal(count, places)
        total = np.zeros(mask.shape)
        rows = (row for part in _inside(path, mask, total) for row in signal.add(part))
        digest = content_hash.of_values(rows, (count, 1, 1, places))
        tsnr = np.full(mask.shape, np.nan, np.float32)
        tsnr[mask] = signal.tsnr()
        mean = (total / count).astype(np.float32)
        if run.space.startswith("MNI"):
            ratio = coregistration.correlation_ratio(mean, affine, *template.load("T1w"))
    motion = np.full((count, 6), np.nan)
    displacement = np.full(count, np.nan)
    regressors = path.with_name("Movement_Regressors.txt")
    columns: dict[str, np.ndarray] = {}
    if run.confounds:
        columns = confounds.read(Path(run.confounds), count)
        # Shared tables may hold only some of fMRIPrep's columns.
        if all(name in columns for name in _MOTION):
            motion = np.stack([columns[name] for name in _MOTION], axis=1)
            known = columns.get("framewise_displacement")
            displacement = framewise_displacement(motion) if known is None else known
    elif regressors.exists():
        motion = np.loadtxt(regressors)[:, :6]
        motion[:, 3:] = np.deg2rad(motion[:, 3:])
        displacement = framewise_displacement(motion)
    return RunQuality(
        bids_names.run_label(run.segment, run.repeat),
        motion,
        displacement,
        _marked(columns),
        tsnr,
        signal.carpet(),
        digest,
        ratio,
        mean,
        affine,
    )


class _Signal:
    """tSNR and carpet of a brain's series, of which parts arrive in order of time.

    count : volumes of the run; places : voxels or grayordinates. What is kept does not grow with the run,
    but for the few series of the carpet. Sums are float64, of differences from the first volume: a place that
    never changes then has no spread at all.
    """

    def __init__(self, count: int, places: int) -> None:
        time = np.linspace(-1.0, 1.0, count)
        self._basis = np.linalg.qr(np.polynomial.legendre.legvander(time, _TREND_ORDER))[0]
        self._chosen = np.linspace(0, places - 1, min(_CARPET_ROWS, places)).astype(int)
        self._shown: list[np.ndarray] = []
        self._seen = 0
        self._first = np.zeros(places)
        self._sum, self._squares = np.zeros(places), np.zeros(places)
        self._trend = np.zeros((self._basis.shape[1], places))

    def add(self, part: np.ndarray) -> np.ndarray:
        """Take in the next volumes (k, places), and return them."""
        if self._seen == 0:
            self._first = part[0].astype(float)
        rows = self._basis[self._seen : self._seen + len(part)]
        for row, volume in zip(rows, part, strict=True):
            difference = volume - self._first
            self._sum += difference
            self._squares += difference**2
            self._trend += row[:, None] * difference
        self._shown.append(part[:, self._chosen].astype(float))
        self._seen += len(part)
        return part

    def mean(self) -> np.ndarray:
        """Mean over the volumes, float32 (places,)."""
        return (self._first + self._sum / self._seen).astype(np.float32)

    def tsnr(self) -> np.ndarray:
        """Mean over the standard deviation around a quadratic trend, float32 (places,); NaN without any."""
        spread = self._spread()
        return self.mean() / np.where(spread > 0, spread, np.nan).astype(np.float32)

    def carpet(self) -> np.ndarray:
        """Series (rows, n) of places spread over the brain, z-scored around the trend, float32."""
        series = np.concatenate(self._shown)
        residual = series - self._basis @ (self._basis.T @ series)
        spread = self._spread()[self._chosen]
        residual[:, spread == 0] = 0.0
        return (residual / np.where(spread > 0, spread, 1.0)).T.astype(np.float32)

    def _spread(self) -> np.ndarray:
        # The basis is orthonormal and holds the constant: what it explains is the sum of its squares.
        left = self._squares - (self._trend**2).sum(0)
        # Below what rounding leaves of the sum of squares there is no variation.
        left[left <= 1e-12 * self._squares] = 0.0
        return np.sqrt(left / self._seen)


def _inside(path: Path, mask: np.ndarray, total: np.ndarray) -> Iterator[np.ndarray]:
    """Volumes (k, p) inside a mask in order of time; adds all values to `total` (x, y, z)."""
    for _, slab in nifti.slabs(path):
        total += slab.sum(axis=3, dtype=float)
        yield np.ascontiguousarray(slab[mask].T)


def _signal_anywhere(path: Path) -> np.ndarray:
    """Voxels (x, y, z) that are not 0 in every volume."""
    found = np.zeros(nifti.load(path).shape[:3], bool)
    for _, slab in nifti.slabs(path):
        found |= (slab != 0).any(axis=3)
    return found


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
