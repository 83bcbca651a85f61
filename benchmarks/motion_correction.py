"""Motion correction: boldreel's engine beside ANTs, on the same volumes and the same cores.

Simulates a head at 3 mm (the MNI template that nilearn ships, seen through voxels of 3 mm) that wanders by
up to 3 mm and 3 degrees, clean and with what a scanner adds (drift, spikes, a bright activation, noise);
prints error and seconds of both programs and their ratio. ANTs is no dependency of boldreel:

    .venv/bin/python -m pip install antspyx
    OMP_NUM_THREADS=2 ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS=2 .venv/bin/python benchmarks/motion_correction.py
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import time
from collections.abc import Callable

import numpy as np

SHAPE = (64, 76, 60)
AFFINE = np.array([[-3.0, 0, 0, 96], [0, 3.0, 0, -130], [0, 0, 3.0, -75], [0, 0, 0, 1]])
LARGEST = 3.0  # mm and degrees


def head() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(BOLD-like contrast at 1 mm, brain mask, affine)."""
    from scipy import ndimage

    from boldreel.bold import template

    mask, affine = template.brain_mask()
    grey, white, csf = (template.load(name)[0] for name in ("GM", "WM", "CSF"))
    # A voxel of 3 mm sees the mean over itself.
    return ndimage.uniform_filter(0.75 * grey + 0.6 * white + csf, 3), mask, affine


def poses(count: int, seed: int) -> np.ndarray:
    """(count, 4, 4) a smooth walk whose largest excursion in each direction is LARGEST."""
    from boldreel.bold import transforms

    walk = np.cumsum(np.random.default_rng(seed).normal(size=(count, 6)), axis=0)
    walk -= walk[count // 2]
    walk *= LARGEST / np.abs(walk).max(0)
    walk[:, 3:] = np.deg2rad(walk[:, 3:])
    centre = transforms.centre_of_grid(AFFINE, SHAPE)
    return np.array([transforms.rigid(row, centre) for row in walk])


def scan(contrast: np.ndarray, affine: np.ndarray, moved: np.ndarray) -> np.ndarray:
    """Volumes (count, *SHAPE) of the moved head."""
    from scipy import ndimage

    from boldreel.bold import transforms

    grid = transforms.grid_points(AFFINE, np.indices(SHAPE).reshape(3, -1))
    coefficients = ndimage.spline_filter(contrast, order=3, output=np.float32, mode="nearest")
    volumes = np.empty((len(moved), *SHAPE), np.float32)
    for number, pose in enumerate(moved):
        places = transforms.apply(np.linalg.inv(affine) @ np.linalg.inv(pose), grid)
        seen = ndimage.map_coordinates(coefficients, places, order=3, prefilter=False)
        volumes[number] = 1000 * np.maximum(seen, 0).reshape(SHAPE)
    return volumes


def spoilt(volumes: np.ndarray, seed: int) -> np.ndarray:
    """Drift of 2 %, spikes of 30 %, an activation of 5 % in blocks, noise of 0.8 %."""
    rng = np.random.default_rng(seed)
    count = len(volumes)
    along = np.linspace(0, 1, count)[:, None, None, None]
    out = volumes * (1 + along * rng.normal(0, 0.02, SHAPE))
    spot = ((np.indices(SHAPE).T - [32, 14, 28]) ** 2).sum(-1).T < 49
    out[(np.arange(count) // 10) % 2 == 1] *= 1 + 0.05 * spot
    out[:: max(count // 4, 1)] *= 1.3
    return (out + rng.normal(0, 8, out.shape)).astype(np.float32)


def error(to_reference: np.ndarray, moved: np.ndarray, points: np.ndarray) -> float:
    """RMS mm over brain and volumes, whatever pose the program's reference has."""
    from boldreel.bold import transforms

    estimated = np.linalg.inv(to_reference)
    middle = len(moved) // 2
    common = np.linalg.inv(moved[middle]) @ estimated[middle]
    squares = [
        transforms.displacement_rms(own, pose @ common, points) ** 2
        for own, pose in zip(estimated, moved, strict=True)
    ]
    return float(np.sqrt(np.mean(squares)))


def by_boldreel(volumes: np.ndarray) -> np.ndarray:
    """Matrices (count, 4, 4) of the embedded engine."""
    from boldreel.bold import motion

    return motion.estimate(volumes, AFFINE).to_reference


def by_ants(volumes: np.ndarray) -> np.ndarray:
    """Matrices (count, 4, 4) of `ants.motion_correction`, in the world of NIfTI."""
    import ants
    import nibabel as nib

    flipped = np.diag([-1.0, -1, 1, 1])  # ITK's world is left-posterior-superior

    def image(values: np.ndarray) -> object:
        return ants.from_nibabel_nifti(nib.Nifti1Image(values, AFFINE))

    series = image(np.moveaxis(volumes, 0, -1))
    found = ants.motion_correction(series, fixed=image(volumes.mean(0)))
    matrices = []
    for files in found["motion_parameters"]:
        # The transform maps places of the reference to places of the volume.
        transform = ants.read_transform(files if isinstance(files, str) else files[0])
        own = np.eye(4)
        parameters = np.asarray(transform.parameters)
        centre = np.asarray(transform.fixed_parameters)
        own[:3, :3] = parameters[:9].reshape(3, 3)
        own[:3, 3] = parameters[9:] + centre - own[:3, :3] @ centre
        matrices.append(np.linalg.inv(flipped @ own @ flipped))
    return np.array(matrices)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--volumes", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    from boldreel.bold import transforms

    contrast, mask, affine = head()
    moved = poses(args.volumes, args.seed)
    clean = scan(contrast, affine, moved)
    inside = transforms.grid_points(affine, np.argwhere(mask > 0.5)[::997].T)
    programs: dict[str, Callable[[np.ndarray], np.ndarray]] = {"boldreel": by_boldreel}
    if importlib.util.find_spec("ants"):
        programs["ants"] = by_ants
    for kind, volumes in (("clean", clean), ("spoilt", spoilt(clean, args.seed + 1))):
        row: dict[str, float | str | int] = {"volumes": args.volumes, "data": kind}
        for name, program in programs.items():
            started = time.perf_counter()
            found = program(volumes)
            row[f"{name}_s"] = round(time.perf_counter() - started, 2)
            row[f"{name}_error_mm"] = round(error(found, moved, inside), 4)
        if "ants" in programs:
            row["ratio"] = round(float(row["ants_s"]) / float(row["boldreel_s"]), 1)
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
