"""Preprocessing of one BOLD run by the embedded engine.

Reads a raw run (with its sidecar) and the subject's anatomical derivatives; writes, in fMRIPrep's
naming, the run on the output grid in template space (slice-time- and motion-corrected, interpolated
once, brain only, mean 1000), its mean, mask, confounds, and the transforms that were found.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from boldreel import step
from boldreel.bold import (
    check,
    confounds,
    content_hash,
    coregistration,
    motion,
    resample,
    slice_timing,
    template,
)
from boldreel.bold.naming import AnatomyFiles, RunFiles
from boldreel.bold.settings import BoldSettings
from boldreel.data import atomic, bids_inheritance, nifti, provenance
from boldreel.errors import UserError
from boldreel.settings import read

GRAND_MEAN = 1000.0  # of a preprocessed run, over time and brain
MIN_CORRELATION_RATIO = 0.1
_DARK = 0.15  # of the brain's median: darker voxels hold no BOLD signal (dropout)


@dataclass(frozen=True)
class Anatomy:
    """What a run needs of a subject's anatomy.

    t1w, t1w_affine : brain at about 2 mm and its (4, 4) voxel to world mm
    to_template : (4, 4) T1w to template, world mm
    grid : output grid; brain, white, csf : its template maps, each with the grid's shape
    """

    t1w: np.ndarray
    t1w_affine: np.ndarray
    to_template: np.ndarray
    grid: template.Grid
    brain: np.ndarray
    white: np.ndarray
    csf: np.ndarray

    @classmethod
    def load(cls, folder: Path, settings: BoldSettings) -> Anatomy:
        """Read the derivatives of the anatomy step; UserError if they are of another grid."""
        files = AnatomyFiles(folder)
        target = nifti.load(files.coregistration_target)
        grid = template.output_grid(settings)
        images = {}
        for ending in ("desc-brain_mask", "label-WM_probseg", "label-CSF_probseg"):
            path = files.on_grid(ending)
            image = nifti.load(path)
            if image.shape != grid.shape or not np.allclose(image.affine, grid.affine):
                raise UserError(
                    f"{path}: not on the grid of bold.resolution and bold.output_box; run the "
                    "anatomy step again"
                )
            images[ending] = nifti.values(image)
        brain, white, csf = images.values()
        return cls(
            nifti.values(target),
            target.affine,
            np.loadtxt(files.to_template),
            grid,
            brain > 0,
            white,
            csf,
        )


@dataclass(frozen=True)
class Preprocessed:
    """A run on the output grid.

    series : (n, p) float32 at the voxels `places`, mean GRAND_MEAN in `mask`
    places : bool, shape of the grid: brain inside the field of view of every volume
    mask : bool, shape of the grid: `places` with BOLD signal
    """

    series: np.ndarray
    places: np.ndarray
    mask: np.ndarray
    motion: motion.Motion
    coregistration: coregistration.Coregistration
    confounds: dict[str, np.ndarray]


def preprocess(
    volumes: np.ndarray,
    affine: np.ndarray,
    t_r: float,
    slices: tuple[np.ndarray, str] | None,
    anatomy: Anatomy,
    settings: BoldSettings,
) -> Preprocessed:
    """The whole engine, from raw volumes to series in template space.

    Parameters
    ----------
    volumes : (n, x, y, z) float32, raw
    affine : (4, 4) voxel to world mm
    t_r : s
    slices : slice times (s) and their direction, None for no slice-time correction

    Raises
    ------
    UserError : the run is empty, cannot be laid on the T1w, or covers nothing of the output grid.
    """
    if not np.ptp(volumes.mean(0)) > 0:
        raise UserError("the run holds NaN, or the same value everywhere; convert it again")
    moved = motion.estimate(volumes, affine)
    laid = coregistration.coregister(moved.reference, affine, anatomy.t1w, anatomy.t1w_affine)
    if not laid.correlation_ratio >= MIN_CORRELATION_RATIO:
        raise UserError(
            f"the run could not be laid on the T1w (correlation ratio {laid.correlation_ratio:.2f}); "
            "check that both are of the same head and that their headers' orientations are right"
        )
    if slices is not None:
        volumes = slice_timing.correct(volumes, slices[0], t_r, t_r / 2, slices[1])
    # Output space to T1w to boldref to the voxels of each volume.
    to_boldref = np.linalg.inv(anatomy.to_template @ laid.to_t1w)
    to_voxels = np.linalg.inv(affine) @ np.linalg.inv(moved.to_reference) @ to_boldref
    inside = anatomy.brain.ravel()
    points = anatomy.grid.points()[:, inside]
    seen = resample.field_of_view(points, to_voxels, volumes.shape[1:])
    if not seen.any():
        raise UserError(
            "the run covers nothing of bold.output_box; check the box (MNI, mm) against the "
            "scanner's field of view"
        )
    series = resample.sample(volumes, to_voxels, points[:, seen])
    mean = series.mean(0)
    bright = mean > _DARK * np.median(mean)
    series *= np.float32(GRAND_MEAN / series[:, bright].mean(dtype=float))
    places = np.zeros(anatomy.grid.shape, bool)
    places[anatomy.brain] = seen
    mask = np.zeros_like(places)
    mask[places] = bright
    tissue = confounds.Tissue(anatomy.white[places], anatomy.csf[places], bright)
    table = confounds.columns(moved.parameters, series, tissue, t_r, settings)
    return Preprocessed(series, places, mask, moved, laid, table)


def write(
    files: RunFiles, result: Preprocessed, grid: template.Grid, t_r: float, about: dict
) -> None:
    """Write a preprocessed run's files; the BOLD itself last, as the sign that all are there."""
    count = len(result.series)
    bold = np.zeros((*grid.shape, count), np.float32)
    bold[result.places] = result.series.T
    nifti.save(files.boldref, bold.mean(3), grid.affine, dtype=np.float32)
    nifti.save(files.mask, result.mask.astype(np.uint8), grid.affine, dtype=np.uint8)
    _write_confounds(files.confounds, result)
    rows = result.motion.to_reference.reshape(count, 16)
    header = "one volume a row: 4 x 4 matrix by rows, maps points, world mm, RAS"
    _write_numbers(files.motion, rows, header)
    header = "4 x 4, maps points, world mm, RAS"
    _write_numbers(files.coregistration, result.coregistration.to_t1w, header)
    atomic.write_text(files.sidecar, json.dumps(about, indent=1) + "\n")
    nifti.save(files.bold, bold, grid.affine, t_r=t_r, dtype=np.int16)


def _write_numbers(path: Path, numbers: np.ndarray, header: str) -> None:
    with atomic.file(path) as aside:
        np.savetxt(aside, numbers, fmt="%.10f", header=header)


def _write_confounds(path: Path, result: Preprocessed) -> None:
    table = result.confounds
    lines = ["\t".join(table)]
    for row in zip(*table.values(), strict=True):
        lines.append("\t".join("n/a" if value != value else f"{value:.8g}" for value in row))
    atomic.write_text(path, "\n".join(lines) + "\n")
    centre = [round(float(value), 3) for value in result.motion.centre]
    about = {
        "trans_x": {"Units": "mm", "Description": "movement of the head from boldref, RAS"},
        "rot_x": {"Units": "rad", "Description": "R = Rx Ry Rz about RotationCentre"},
        "RotationCentre": centre,
        "framewise_displacement": {"Units": "mm", "Description": "Power 2012, radius 50 mm"},
        "a_comp_cor": {"Description": "white matter and CSF of the template together"},
    }
    atomic.write_text(path.with_suffix(".json"), json.dumps(about, indent=1) + "\n")


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    started = time.time()
    parser = step.parser(__doc__)
    parser.add_argument("--bold", type=Path, required=True, help="raw run, .nii or .nii.gz")
    parser.add_argument("--anat", type=Path, required=True, help="folder .../sub-<label>/anat")
    parser.add_argument("--output-bold", type=Path, required=True, help="preprocessed run, .nii")
    arguments = parser.parse_args(argv)
    settings = read(BoldSettings, arguments.config, "bold")
    files = RunFiles(arguments.output_bold)
    sidecar = bids_inheritance.read_sidecar(arguments.bold)
    t_r = check.repetition_time(arguments.bold, sidecar)
    volumes, affine = content_hash.read_volumes(arguments.bold)
    slices = None
    if settings.slice_timing:
        slices = check.slice_times(arguments.bold, sidecar, volumes.shape[1:], t_r)
    anatomy = Anatomy.load(arguments.anat, settings)
    try:
        result = preprocess(volumes, affine, t_r, slices, anatomy, settings)
    except UserError as error:
        raise UserError(f"{arguments.bold}: {error}") from None
    about = {
        "RepetitionTime": t_r,
        "StartTime": t_r / 2,
        "SliceTimingCorrected": slices is not None,
        "SkullStripped": True,
        "TaskName": sidecar.get("TaskName"),
        "Sources": [str(arguments.bold)],
        "SpatialReference": template.SPACE,
        "GrandMean": GRAND_MEAN,
        "CorrelationRatio": round(result.coregistration.correlation_ratio, 4),
        "RawContentHash": content_hash.of_values(volumes),
        "GeneratedBy": "boldreel embedded engine (not fMRIPrep)",
    }
    write(files, result, anatomy.grid, t_r, about)
    target = AnatomyFiles(arguments.anat).coregistration_target
    provenance.record(
        files.bold, inputs=[arguments.bold, target], config=arguments.config, started=started
    )
    displacement = np.nanmean(result.confounds["framewise_displacement"])
    print(f"{files.stem}: {len(volumes)} volumes, mean displacement {displacement:.2f} mm")


if __name__ == "__main__":
    step.run(main)
