"""Quality control of a subject's runs.

Reads the preprocessed runs of one subject; writes qc.tsv (a row a run), PNGs (motion, carpet, tSNR,
coregistration with the T1w or, of adopted volumes, with the template) and qc.html with every run. Two
runs that hold the same data are refused.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from scipy import ndimage

from boldreel import step
from boldreel.bold import content_hash, qc_page, quality, template, transforms
from boldreel.bold.intensity import WHITE_MATTER
from boldreel.bold.naming import BOLD_ENDING, AnatomyFiles, RunFiles
from boldreel.bold.settings import BoldSettings
from boldreel.data import atomic, nifti, preprocessed_runs, provenance, tables
from boldreel.errors import UserError
from boldreel.names import natural
from boldreel.settings import read
from boldreel.training.progress import Progress

_OWN_ENGINE = "Preprocessed by boldreel's own engine, which is not fMRIPrep."
_ADOPTED = "Preprocessed by another program."
_FINER = 2  # voxels of the T1w shown per voxel of the BOLD, along each axis
# Rim of the brain, and border between grey and white matter, in units of white matter's intensity.
_EDGES = (0.3, 0.85)


def t1w_on_grid(anat: Path, grid: template.Grid) -> np.ndarray:
    """The subject's T1w brain in template space, on a grid _FINER times as fine."""
    files = AnatomyFiles(anat)
    target = nifti.load(files.coregistration_target)
    to_voxel = np.linalg.inv(target.affine) @ np.loadtxt(files.from_template)
    return _finer(nifti.values(target), to_voxel, grid)


def template_on_grid(grid: template.Grid) -> np.ndarray:
    """The template's brain, white matter about 1, on a grid _FINER times as fine."""
    values, affine = template.load("T1w")
    white = template.load("WM")[0] > 0.9
    return _finer(values / np.median(values[white]), np.linalg.inv(affine), grid)


def _finer(values: np.ndarray, to_voxel: np.ndarray, grid: template.Grid) -> np.ndarray:
    shape = tuple(length * _FINER for length in grid.shape)
    indices = (np.indices(shape).reshape(3, -1) + 0.5) / _FINER - 0.5
    places = transforms.apply(to_voxel, transforms.grid_points(grid.affine, indices))
    return ndimage.map_coordinates(values, places, order=1, output=np.float32).reshape(shape)


def find_runs(derivatives: Path) -> list[Path]:
    """The preprocessed runs in a subject's derivatives folder; UserError if there are none."""
    files = (derivatives / "func").glob(f"sub-*{BOLD_ENDING}")
    found = sorted(files, key=lambda path: natural(path.name))
    if not found:
        raise UserError(f"{derivatives}: no func/*{BOLD_ENDING}; run the bold stage")
    return found


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    started = time.time()
    parser = step.parser(__doc__)
    parser.add_argument("--subject", required=True, help="label, without sub-")
    parser.add_argument("--derivatives", type=Path, help="the subject's folder, embedded engine")
    parser.add_argument("--bold", type=Path, nargs="*", help="its runs; default: all in the folder")
    parser.add_argument("--raw", type=Path, nargs="*", help="the raw runs, in the same order")
    parser.add_argument("--runs", type=Path, help="instead: table of adopted runs")
    parser.add_argument("--output-table", type=Path, required=True, help="qc.tsv")
    parser.add_argument("--output-figures", type=Path, required=True, help="folder for the PNGs")
    parser.add_argument("--output-page", type=Path, required=True, help="qc.html")
    arguments = parser.parse_args(argv)
    settings = read(BoldSettings, arguments.config, "bold")
    if (arguments.runs is None) == (arguments.derivatives is None):
        raise UserError("give either --derivatives or --runs")
    if arguments.runs is not None:
        adopted = preprocessed_runs.read_all(arguments.runs)
        runs = _measure([partial(quality.measure_adopted, run) for run in adopted])
        inputs = [arguments.runs]
    else:
        bold = arguments.bold or find_runs(arguments.derivatives)
        raw: list[Path | None] = list(arguments.raw or [None] * len(bold))
        if len(raw) != len(bold):
            raise UserError(f"--raw names {len(raw)} runs, --bold {len(bold)}; name the same runs")
        pairs = zip(bold, raw, strict=True)
        runs = _measure([partial(quality.measure, path, source) for path, source in pairs])
        inputs = [RunFiles(path).confounds for path in bold]
    known = {
        f"sub-{arguments.subject} {run.name}": run.content
        for run in runs
        if run.content != "unknown"
    }
    content_hash.refuse_duplicates(known)
    _write_table(arguments.output_table, runs)
    _draw(arguments.output_figures, arguments.subject, runs, settings.fd_threshold)
    coregistered = ""
    if any(np.isfinite(run.ratio) for run in runs) or arguments.runs is None:
        ratios = [np.inf if np.isnan(run.ratio) else run.ratio for run in runs]
        worst = runs[int(np.argmin(ratios))]
        anat = None if arguments.runs else bold[0].parents[1] / "anat"
        _draw_coregistration(arguments.output_figures, arguments.subject, worst, anat)
        against = "T1w" if anat else "MNI template, from which other MNI spaces differ by a little"
        coregistered = f"{worst.name} with the contours of the {against}"
    note = _OWN_ENGINE if arguments.runs is None else _ADOPTED
    page = qc_page.render(
        arguments.subject,
        runs,
        arguments.output_figures,
        settings.fd_threshold,
        [note],
        coregistered,
    )
    atomic.write_text(arguments.output_page, page)
    provenance.record(
        arguments.output_table, inputs=inputs, config=arguments.config, started=started
    )
    typical = np.nanmedian([run.median_tsnr for run in runs])
    print(
        f"sub-{arguments.subject}: {len(runs)} runs, median tSNR {typical:.0f}{_most_moved(runs)}"
    )


def _measure(ways: list[Callable[[], quality.RunQuality]]) -> list[quality.RunQuality]:
    progress = Progress(len(ways), "quality control", unit="runs")
    measured = []
    for way in ways:
        measured.append(way())
        progress.update()
    return measured


def _most_moved(runs: list[quality.RunQuality]) -> str:
    known = [run for run in runs if run.motion_known]
    if not known:
        return ", head motion not known"
    worst = max(known, key=lambda run: run.mean_displacement)
    return f", most movement in {worst.name} (mean displacement {worst.mean_displacement:.2f} mm)"


def _write_table(path: Path, runs: list[quality.RunQuality]) -> None:
    import pandas

    frame = pandas.DataFrame(
        {
            "run": [run.name for run in runs],
            "volumes": [len(run.motion) for run in runs],
            "mean_fd": [run.mean_displacement for run in runs],
            "max_fd": [run.largest_displacement for run in runs],
            "outliers": [len(run.outliers) for run in runs],
            "median_tsnr": [run.median_tsnr for run in runs],
            "content": [run.content for run in runs],
            "correlation_ratio": [run.ratio for run in runs],
            "outlier_volumes": [",".join(map(str, run.outliers)) or None for run in runs],
        }
    ).round(4)
    tables.write(path, frame, "qc")


def _draw(folder: Path, subject: str, runs: list[quality.RunQuality], threshold: float) -> None:
    # Matplotlib is imported where it is used: its import takes as long as the numbers.
    from boldreel.bold import figures

    stem = f"sub-{subject}"
    folder.mkdir(parents=True, exist_ok=True)
    if any(run.motion_known for run in runs):
        figures.motion(folder / f"{stem}_desc-motion_bold.png", runs, threshold)
    figures.carpet(folder / f"{stem}_desc-carpet_bold.png", runs)
    if runs[0].tsnr.ndim == 3:  # grayordinates have no slices
        figures.tsnr(folder / f"{stem}_desc-tsnr_bold.png", runs)


def _draw_coregistration(
    folder: Path, subject: str, run: quality.RunQuality, anat: Path | None
) -> None:
    from boldreel.bold import figures

    assert run.affine is not None
    grid = template.Grid(run.affine, run.mean.shape)
    if anat is not None:
        t1w, white = t1w_on_grid(anat, grid), WHITE_MATTER
    else:
        t1w, white = template_on_grid(grid), 1.0
    path = folder / f"sub-{subject}_desc-coregistration_bold.png"
    figures.coregistration(path, run.mean, t1w, [white * edge for edge in _EDGES])


if __name__ == "__main__":
    step.run(main)
