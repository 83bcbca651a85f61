"""The cleaned series of one run at the positions of the atlas.

Reads the positions and a preprocessed run (with its sidecar and confounds); writes an array (volumes,
positions), z-scored per position over this run alone, and its sidecar. Padding, and positions that
the run does not cover or that hold no finite, varying signal, are 0; the sidecar lists the latter.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from boldreel import step
from boldreel.data import (
    arrays,
    bids_inheritance,
    bids_names,
    cifti,
    derivatives,
    nifti,
    preprocessed_runs,
    provenance,
    tables,
)
from boldreel.errors import UserError
from boldreel.roi import cleaning, confounds, locations
from boldreel.roi import finer as averaged
from boldreel.roi.settings import RoiSettings
from boldreel.settings import read


@dataclass(frozen=True)
class Source:
    """What a run's series are made from: timing in s, confounds "" where there are none.

    fmriprep : whether fMRIPrep preprocessed the run
    begin, end : s of the run that are used; None for no limit
    """

    bold: Path
    confounds: str
    segment: str
    repeat: int
    t_r: float
    start_time: float
    fmriprep: bool = False
    begin: float | None = None
    end: float | None = None

    def volumes(self, count: int) -> slice:
        """The volumes that are used, of a run of `count`; UserError if there are none."""
        times = self.start_time + self.t_r * np.arange(count) + 1e-6
        low = -np.inf if self.begin is None else self.begin
        high = np.inf if self.end is None else self.end
        used = np.flatnonzero((times >= low) & (times < high))
        if not len(used):
            raise UserError(
                f"{self.bold}: no volume between {low:g} and {high:g} s; correct the times in segments or "
                "presentations.rules"
            )
        return slice(int(used[0]), int(used[-1]) + 1)


def extract(bold: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """Series (n, V) of a run (x, y, z, n) at voxel indices (3, V); NaN if an index is -1."""
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


def read_volume(positions: Path, bold: Path) -> tuple[np.ndarray, np.ndarray]:
    """(series (n, V), real (V,)) of a volume at the positions; NaN in padding."""
    indices = load_indices(positions, bold)
    series = np.empty((nifti.load(bold).shape[3], indices.shape[1]), np.float32)
    for start, slab in nifti.slabs(bold):
        series[start : start + slab.shape[3]] = extract(slab, indices)
    return series, indices[0] >= 0


def read_cifti(
    positions: Path, bold: Path, spheres: Sequence[Path] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """(series (n, V), real (V,)) of a dense series at the positions; NaN in padding.

    spheres : left and right, for a series on the mesh of 59k vertices, which is averaged onto the 32k mesh

    Raises
    ------
    UserError : the positions are voxels, or their grayordinates are not this file's cortex.
    """
    table = tables.numbers(positions, "positions", ["i", "x", "y", "z"])
    dense = cifti.load(bold)
    real = table["i"] >= 0
    wanted = table["i"][real]
    finer = locations.is_finer(dense)
    known = locations.standard() if finer else {side: dense.vertices(side) for side in cifti.CORTEX}
    cortex = {side: grayordinates for side, (grayordinates, _) in known.items()}
    hemisphere = np.array(tables.read(positions, "positions")["hemisphere"])[real]
    for side, own in cortex.items():
        if not np.isin(wanted[hemisphere == side], own).all():
            raise UserError(
                f"{bold}: its grayordinates are not those of {positions}; run the template step "
                "again for this kind of data"
            )
    series = np.full((dense.volumes, len(real)), np.nan, np.float32)
    if not finer:
        series[:, real] = dense.values(wanted)
        return series, real
    vertices = np.zeros(len(wanted), int)
    places = np.zeros((len(wanted), 3))
    for side, (grayordinates, own) in known.items():
        here = hemisphere == side
        vertices[here] = own[np.searchsorted(grayordinates, wanted[here])]
        places[here] = locations.mesh(side, "midthickness_MSMAll")[vertices[here]]
    # A file of 32k vertices may list others than the HCP's, and then its grayordinates mean something else.
    if not np.allclose(places.T, [table[axis][real] for axis in "xyz"], atol=0.1):
        raise UserError(
            f"{positions}: its grayordinates are not the 91,282 of the HCP, onto which {bold} is averaged; "
            "make positions from runs of one kind"
        )
    coarse = {side: locations.mesh(side, "sphere") for side in cifti.CORTEX}
    series[:, real] = averaged.series(dense, vertices, hemisphere, coarse, spheres)
    return series, real


def source_beside(bold: Path) -> Source:
    """A run whose sidecar and confounds lie next to it, as the embedded engine leaves them."""
    sidecar = bids_inheritance.read_sidecar(bold.with_name(_stem(bold) + ".json"))
    table = bold.with_name(_stem(bold).split("_space-")[0] + "_desc-confounds_timeseries.tsv")
    segment, repeat = bids_names.parse_label(bold)
    t_r, start = float(sidecar["RepetitionTime"]), float(sidecar.get("StartTime", 0.0))
    return Source(bold, str(table), segment, repeat, t_r, start)


def source_of(runs: Path, segment: str, repeat: int) -> Source:
    """A run of the table of preprocessed runs."""
    run = preprocessed_runs.read(runs, segment, repeat)
    timing = run.t_r, run.start_time
    fmriprep = run.pipeline == derivatives.FMRIPREP
    return Source(Path(run.bold), run.confounds, segment, repeat, *timing, fmriprep)


def stretch_of(source: Source, label: str | None, begin: float | None, end: float | None) -> Source:
    """A stretch of a run (s of it), under a label of its own."""
    segment, repeat = bids_names.parse_label(label) if label else (source.segment, source.repeat)
    return replace(source, segment=segment, repeat=repeat, begin=begin, end=end)


def regressors_of(source: Source, count: int, settings: RoiSettings) -> np.ndarray:
    """The regressors (used, k) that the section declares, for the volumes that are used of a run of `count`.

    Raises
    ------
    UserError : they cannot be had.
    """
    if not source.confounds and (settings.confounds != "none" or settings.high_pass):
        raise UserError(
            f"{source.bold}: has no confounds table, which roi.confounds {settings.confounds} needs; "
            "fetch it, or set roi.confounds: none (FIX cleaned the HCP's runs, XCP-D its own) and "
            "roi.high_pass: false"
        )
    chosen = np.zeros((count, 0))
    if source.confounds:
        chosen = confounds.load(Path(source.confounds), count, settings, source.fmriprep)
    try:
        return cleaning.regressors(chosen[source.volumes(count)], settings)
    except UserError as error:
        raise UserError(f"{source.bold}: {error}") from None


def write(
    source: Source,
    positions: Path,
    settings: RoiSettings,
    output: Path,
    spheres: Sequence[Path] = (),
) -> str:
    """Writes the cleaned series of a run, and returns a line about it.

    spheres : see `read_cifti`

    Raises
    ------
    UserError : no position has a signal, or what the section asks for cannot be had.
    """
    surface = source.bold.name.endswith(".dtseries.nii")
    if surface:
        raw, real = read_cifti(positions, source.bold, spheres)
    else:
        raw, real = read_volume(positions, source.bold)
    regressors = regressors_of(source, len(raw), settings)
    used = source.volumes(len(raw))
    raw = raw[used]
    series = cleaning.clean(raw, regressors)
    label = bids_names.run_label(source.segment, source.repeat)
    left = cleaning.degrees_of_freedom(regressors)
    if left < len(raw) / 2:
        print(
            f"warning: {label}: {regressors.shape[1]} regressors leave {left} degrees of freedom of "
            f"{len(raw)} volumes, and the same share of any response; choose fewer roi.confounds",
            file=sys.stderr,
        )
    absent = np.flatnonzero((series == 0).all(0) & real)
    if len(absent) == int(real.sum()):
        raise UserError(
            f"{source.bold}: none of the {len(absent)} positions of {positions} has a "
            "signal; check that the run's field of view covers the areas of roi.groups"
        )
    arrays.save(
        output,
        series,
        kind="series",
        t_r=source.t_r,
        start_time=source.start_time + source.t_r * used.start if used.start else source.start_time,
        run=label,
        segment=source.segment,
        repeat=source.repeat,
        units="z over the run",
        regressors=regressors.shape[1],
        absent=absent.tolist(),
        source=str(source.bold),
    )
    return (
        f"{label}: {series.shape[0]} volumes, {int(real.sum()) - len(absent)} positions present, "
        f"{len(absent)} absent, {regressors.shape[1]} regressors taken out, {left} degrees of freedom left"
    )


def add_spheres(parser: argparse.ArgumentParser) -> None:
    """The option for the spheres of the mesh of 59k vertices."""
    parser.add_argument(
        "--spheres",
        type=Path,
        nargs=2,
        default=[],
        metavar=("LEFT", "RIGHT"),
        help="of fsLR with 59k vertices, for series of 1.6 mm",
    )


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    started = time.time()
    parser = step.parser(__doc__)
    parser.add_argument("--positions", type=Path, required=True, help="positions.parquet")
    parser.add_argument(
        "--bold", type=Path, help="preprocessed run, sidecar and confounds next to it"
    )
    parser.add_argument("--runs", type=Path, help="instead: table of preprocessed runs, .tsv")
    parser.add_argument("--segment", help="with --runs")
    parser.add_argument("--repeat", type=int, default=1, help="with --runs")
    parser.add_argument(
        "--label", help="of a stretch of the run, task-NAME_run-N; default: the run's"
    )
    parser.add_argument("--begin", type=float, help="s of the run before which nothing is used")
    parser.add_argument("--end", type=float, help="s of the run from which on nothing is used")
    add_spheres(parser)
    parser.add_argument("--output", type=Path, required=True, help="series, .npy")
    arguments = parser.parse_args(argv)
    settings = read(RoiSettings, arguments.config, "roi")
    if (arguments.bold is None) == (arguments.runs is None):
        raise UserError("give either --bold or --runs with --segment and --repeat")
    source = (
        source_beside(arguments.bold)
        if arguments.bold
        else source_of(arguments.runs, arguments.segment, arguments.repeat)
    )
    source = stretch_of(source, arguments.label, arguments.begin, arguments.end)
    about = write(source, arguments.positions, settings, arguments.output, arguments.spheres)
    tables_read = [*([source.confounds] if source.confounds else []), *arguments.spheres]
    provenance.record(
        arguments.output,
        inputs=[source.bold, *tables_read, arguments.positions],
        config=arguments.config,
        started=started,
    )
    print(about)


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".nii")


if __name__ == "__main__":
    step.run(main)
