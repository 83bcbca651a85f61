"""The cleaned series of one run at the positions of the atlas.

Takes the positions and a preprocessed run (with its sidecar and confounds); leaves an array (volumes,
positions), z-scored per position over this run alone, and its sidecar. Padding, and positions that
the run does not cover or that hold no finite, varying signal, are 0; the sidecar lists the latter.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from boldreel import step
from boldreel.data import arrays, bids, nifti, provenance, tables
from boldreel.errors import UserError
from boldreel.roi import cleaning
from boldreel.roi.settings import Settings


def extract(bold: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """Series (n, V) of a run (x, y, z, n) at voxel indices (3, V); NaN where an index is -1."""
    series = np.full((bold.shape[3], indices.shape[1]), np.nan, np.float32)
    real = indices[0] >= 0
    series[:, real] = bold[tuple(indices[:, real])].T
    return series


def load_indices(positions: Path, bold: Path) -> np.ndarray:
    """Voxel indices (3, V) of the positions, checked against the grid of a run."""
    table = tables.numbers(positions, "positions", ["i", "j", "k", "x", "y", "z"])
    indices = np.array([table[axis] for axis in "ijk"])
    real = indices[0] >= 0
    image = nifti.load(bold)
    shape = np.array(image.shape[:3])[:, None]
    if len(image.shape) != 4:
        raise UserError(f"{bold}: shape {image.shape}; a run has four dimensions")
    if (indices[:, real] >= shape).any():
        raise UserError(
            f"{positions}: positions lie outside the grid {image.shape[:3]} of {bold}; run the "
            "template step again for this grid"
        )
    places = np.array([table[axis] for axis in "xyz"])[:, real]
    found = image.affine[:3, :3] @ indices[:, real] + image.affine[:3, 3:]
    if not np.allclose(found, places, atol=0.1):
        raise UserError(
            f"{bold}: its grid is not the one of {positions} (voxel centres differ by up to "
            f"{np.abs(found - places).max():.1f} mm); run the template step again for this grid"
        )
    return indices


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    started = time.time()
    parser = step.parser(__doc__)
    parser.add_argument("--positions", type=Path, required=True, help="positions.parquet")
    parser.add_argument("--bold", type=Path, required=True, help="preprocessed run")
    parser.add_argument("--output", type=Path, required=True, help="series, .npy")
    arguments = parser.parse_args(argv)
    settings = Settings.from_config(arguments.config)
    indices = load_indices(arguments.positions, arguments.bold)
    image = nifti.load(arguments.bold)
    sidecar = bids.read_sidecar(arguments.bold.with_name(_stem(arguments.bold) + ".json"))
    raw = extract(nifti.values(image), indices)
    confounds_path = arguments.bold.with_name(
        _stem(arguments.bold).split("_space-")[0] + "_desc-confounds_timeseries.tsv"
    )
    confounds = cleaning.read_confounds(confounds_path, len(raw))
    try:
        regressors = cleaning.regressors(confounds, len(raw), settings)
    except UserError as error:
        raise UserError(f"{confounds_path}: {error}") from None
    series = cleaning.clean(raw, regressors)
    absent = np.flatnonzero((series == 0).all(0) & (indices[0] >= 0))
    if len(absent) == int((indices[0] >= 0).sum()):
        raise UserError(
            f"{arguments.bold}: none of the {len(absent)} positions of {arguments.positions} has a "
            "signal; check that the run's field of view covers the areas of roi.groups"
        )
    segment, repeat = bids.parse_label(arguments.bold)
    arrays.save(
        arguments.output,
        series,
        kind="series",
        t_r=float(sidecar["RepetitionTime"]),
        start_time=float(sidecar.get("StartTime", 0.0)),
        run=bids.run_label(segment, repeat),
        segment=segment,
        repeat=repeat,
        units="z over the run",
        regressors=regressors.shape[1],
        absent=absent.tolist(),
        source=str(arguments.bold),
    )
    provenance.record(
        arguments.output,
        inputs=[arguments.bold, confounds_path, arguments.positions],
        config=arguments.config,
        started=started,
    )
    print(
        f"{bids.run_label(segment, repeat)}: {series.shape[0]} volumes, "
        f"{int((indices[0] >= 0).sum()) - len(absent)} positions present, {len(absent)} absent, "
        f"{regressors.shape[1]} regressors taken out"
    )


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".nii")


if __name__ == "__main__":
    step.run(main)
