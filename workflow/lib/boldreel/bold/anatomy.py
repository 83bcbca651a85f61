"""Anatomy of one subject: T1w to template, brain mask, normalised intensities.

Reads a T1w image; writes, in fMRIPrep's naming, the intensity-normalised T1w, its brain mask, the
affine transforms between T1w and template, the brain at 2 mm that runs are coregistered to, and the
template's brain and tissues on the output grid of the runs.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
from scipy import ndimage

from boldreel import step
from boldreel.bold import affine as affine_registration
from boldreel.bold import intensity, template, transforms
from boldreel.bold.description import describe
from boldreel.bold.naming import AnatomyFiles
from boldreel.bold.settings import BoldSettings
from boldreel.data import atomic, nifti, provenance
from boldreel.errors import UserError
from boldreel.settings import read

MIN_CORRELATION = 0.7  # with the template, below which a registration is not believed
_TARGET_VOXEL = 2.0  # mm


def load_t1w(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """A T1w (x, y, z) float32, not negative, and its affine; UserError if it cannot be one."""
    image = nifti.load(path)
    if len(image.shape) != 3 and not (len(image.shape) == 4 and image.shape[3] == 1):
        raise UserError(f"{path}: shape {image.shape}; a T1w has three dimensions")
    nifti.check_orientation(image)
    values = nifti.values(image).reshape(image.shape[:3])
    bad = int((~np.isfinite(values)).sum())
    if bad:
        raise UserError(f"{path}: {bad} voxels are NaN or infinite; convert the image again")
    if float(np.ptp(values)) == 0:
        raise UserError(f"{path}: every voxel is {values.flat[0]:g}; convert the image again")
    extent = np.array(values.shape) * transforms.voxel_sizes(image.affine)
    if extent.min() < 80:
        raise UserError(
            f"{path}: covers {' x '.join(f'{e:.0f}' for e in extent)} mm; a T1w of the whole head "
            "is needed"
        )
    return np.maximum(values, 0.0), image.affine


def brain_mask(shape: tuple[int, ...], affine: np.ndarray, to_template: np.ndarray) -> np.ndarray:
    """The template's brain mask in the T1w's grid: bool (x, y, z)."""
    mask, mask_affine = template.brain_mask()
    to_voxel = np.linalg.inv(mask_affine) @ to_template @ affine
    inside = ndimage.affine_transform(
        mask, to_voxel[:3, :3], to_voxel[:3, 3], output_shape=shape, order=1, output=np.float32
    )
    return inside > 0.5


def coregistration_target(
    t1w: np.ndarray, affine: np.ndarray, mask: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The brain at about 2 mm, cut to its box: (x, y, z) float32 and affine."""
    factor = max(1, round(_TARGET_VOXEL / float(transforms.voxel_sizes(affine).mean())))
    small, small_affine = template.coarse((t1w * mask).astype(np.float32), affine, factor)
    filled = np.array(np.nonzero(small > 0))
    low = np.maximum(filled.min(1) - 2, 0)
    high = filled.max(1) + 3
    moved = small_affine.copy()
    moved[:3, 3] += small_affine[:3, :3] @ low
    return small[tuple(slice(a, b) for a, b in zip(low, high, strict=True))], moved


def process(t1w_path: Path, folder: Path, settings: BoldSettings) -> float:
    """Write a subject's anatomical derivatives; returns the correlation with the template."""
    files = AnatomyFiles(folder)
    t1w, affine = load_t1w(t1w_path)
    found = affine_registration.register(t1w, affine)
    if found.correlation < MIN_CORRELATION:
        raise UserError(
            f"{t1w_path}: could not be laid on the template (correlation {found.correlation:.2f}); "
            "check that it is a T1w of a human head and that its header's orientation is right"
        )
    normal = intensity.normalise(t1w, affine, found.to_template)
    refined = affine_registration.register(normal, affine, found.to_template)
    if refined.correlation > found.correlation:
        found = refined
    mask = brain_mask(t1w.shape, affine, found.to_template)

    sources = {"Sources": [str(t1w_path)], "GeneratedBy": "boldreel embedded engine"}
    nifti.save(files.t1w, np.minimum(normal, 32767.0), affine, dtype=np.float32)
    nifti.save(files.mask, mask.astype(np.uint8), affine, dtype=np.uint8)
    target, target_affine = coregistration_target(normal, affine, mask)
    nifti.save(files.coregistration_target, target, target_affine, dtype=np.float32)
    grid = template.output_grid(settings)
    for tissue in template.TISSUES:
        path = files.on_grid(f"label-{tissue}_probseg")
        nifti.save(path, template.on_grid(tissue, grid), grid.affine, dtype=np.float32)
    inside = (template.on_grid("brain", grid) > 0.5).astype(np.uint8)
    nifti.save(files.on_grid("desc-brain_mask"), inside, grid.affine, dtype=np.uint8)
    _write_matrix(files.to_template, found.to_template)
    _write_matrix(files.from_template, np.linalg.inv(found.to_template))
    about = {**sources, "TemplateCorrelation": round(found.correlation, 4), "SkullStripped": False}
    atomic.write_text(
        files.t1w.with_name(files.t1w.name.removesuffix(".nii.gz") + ".json"),
        json.dumps(about, indent=1) + "\n",
    )
    return found.correlation


def _write_matrix(path: Path, matrix: np.ndarray) -> None:
    with atomic.file(path) as aside:
        np.savetxt(aside, matrix, fmt="%.10f", header="4 x 4, maps points, world mm, RAS")


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    started = time.time()
    parser = step.parser(__doc__)
    parser.add_argument("--t1w", type=Path, required=True, help="T1w image of the subject")
    parser.add_argument("--output", type=Path, required=True, help="folder .../sub-<label>/anat")
    arguments = parser.parse_args(argv)
    settings = read(BoldSettings, arguments.config, "bold")
    correlation = process(arguments.t1w, arguments.output, settings)
    describe(arguments.output.parent.parent)
    files = AnatomyFiles(arguments.output)
    provenance.record(
        files.t1w,
        inputs=[arguments.t1w],
        config=arguments.config,
        started=started,
        extra={"template_correlation": correlation},
    )
    print(f"{files.subject}: correlation with the template {correlation:.3f}")


if __name__ == "__main__":
    step.run(main)
