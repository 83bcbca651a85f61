"""A small scanner: the template with BOLD-like and T1-like contrast, moved as one wishes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage
from tests.fixtures_settings import words

from boldreel.bold import anatomy, run, template, transforms
from boldreel.data import nifti

SHAPE = (40, 26, 28)
T_R = 2.0
POSTERIOR = np.array(
    [[-4.0, 0, 0, 78], [0, 4.0, 0, -112], [0, 0, 4.0, -44], [0, 0, 0, 1]]
)  # stored from right to left, as scanners do


@dataclass(frozen=True)
class Phantom:
    """A head at 1 mm: BOLD contrast, T1 contrast with a bright scalp, and their affine."""

    epi: np.ndarray
    t1w: np.ndarray
    brain: np.ndarray
    affine: np.ndarray
    view: template.Grid

    @property
    def centre(self) -> np.ndarray:
        """The middle of the scanner's field of view."""
        return transforms.centre_of_grid(POSTERIOR, SHAPE)

    def poses(self, seed: int, count: int, spread: float) -> np.ndarray:
        """Poses (count, 4, 4) that wander smoothly, of this standard deviation (mm, degrees)."""
        walk = np.cumsum(np.random.default_rng(seed).normal(size=(count, 6)), axis=0)
        walk = (walk - walk.mean(0)) / walk.std(0) * spread
        walk[:, 3:] = np.deg2rad(walk[:, 3:])
        return np.array([transforms.rigid(row, self.centre) for row in walk])

    def see(
        self, values: np.ndarray, affine: np.ndarray, shape: tuple[int, ...], to_head: np.ndarray
    ) -> np.ndarray:
        """What a grid sees of the head; to_head maps the grid's world to the head's."""
        points = transforms.grid_points(affine, np.indices(shape).reshape(3, -1))
        places = transforms.apply(np.linalg.inv(self.affine) @ to_head, points)
        return ndimage.map_coordinates(values, places, order=1, output=np.float32).reshape(shape)

    def scan(self, poses: np.ndarray, to_head: np.ndarray | None = None) -> np.ndarray:
        """Volumes (n, *SHAPE) of a head that is moved by each pose in the scanner's world."""
        lying = np.eye(4) if to_head is None else to_head
        return 1000.0 * np.stack(
            [self.see(self.epi, POSTERIOR, SHAPE, lying @ np.linalg.inv(pose)) for pose in poses]
        )


@pytest.fixture(scope="session")
def phantom() -> Phantom:
    brain, affine = template.brain_mask()
    grey, white, csf = (template.load(name)[0] for name in ("GM", "WM", "CSF"))
    # A voxel of 4 mm sees the mean over itself; odd filters keep their place.
    epi = ndimage.uniform_filter(0.75 * grey + 0.6 * white + 1.0 * csf, 5)
    # Skull and scalp follow the brain at a distance (mm).
    thick, coarse_affine = template.coarse(brain, affine, 4)
    distance = 4.0 * ndimage.distance_transform_edt(thick < 0.5)
    scalp = 0.9 * ((distance > 7) & (distance < 15)).astype(np.float32)
    to_coarse = np.linalg.inv(coarse_affine) @ affine
    scalp = ndimage.affine_transform(
        scalp, to_coarse[:3, :3], to_coarse[:3, 3], output_shape=brain.shape, order=1
    )
    t1w = template.load("T1w")[0] + scalp * (brain == 0)
    return Phantom(epi, t1w, brain, affine, template.Grid(POSTERIOR, SHAPE))


@pytest.fixture(scope="session")
def brain_points(phantom: Phantom) -> np.ndarray:
    """World points (3, n) of the brain in the posterior field of view."""
    grid = transforms.grid_points(POSTERIOR, np.indices(SHAPE).reshape(3, -1))
    inside = phantom.see(phantom.brain, POSTERIOR, SHAPE, np.eye(4)).ravel() > 0.5
    return grid[:, inside][:, ::5]


@dataclass(frozen=True)
class Subject:
    """A scanned and preprocessed subject on disk, with what is true of it."""

    raw: Path
    derivatives: Path
    bold: Path
    poses: np.ndarray
    t1w_to_scanner: np.ndarray
    t1w_to_template: np.ndarray
    course: np.ndarray
    place: np.ndarray


@pytest.fixture(scope="session")
def subject(phantom: Phantom, tmp_path_factory: pytest.TempPathFactory) -> Subject:
    """One subject, one run of 40 volumes: a flickering spot in the RIGHT occipital lobe."""
    rng = np.random.default_rng(7)
    root = tmp_path_factory.mktemp("subject")
    raw, derivatives = root / "bids" / "sub-01", root / "derivatives" / "sub-01"
    stretch = np.eye(4)
    stretch[:3, :3] = np.diag([1.04, 0.96, 1.02])
    t1w_to_template = stretch @ transforms.rigid(np.r_[4.0, -5, 3, np.deg2rad([3, -2, 4])])
    t1w_affine = np.array([[-2.0, 0, 0, 100], [0, 2.0, 0, -140], [0, 0, 2.0, -85], [0, 0, 0, 1]])
    image = phantom.see(phantom.t1w, t1w_affine, (100, 120, 95), t1w_to_template)
    place = np.indices(image.shape) - np.array([50, 60, 47])[:, None, None, None]
    image = 500 * image * np.exp(0.004 * place[1] - 0.003 * place[0]) + rng.normal(
        0, 5, image.shape
    )
    nifti.save(raw / "anat/sub-01_T1w.nii.gz", np.abs(image), t1w_affine, dtype=np.int16)

    lying = transforms.rigid(np.r_[-3.0, 2, 4, np.deg2rad([2, 3, -2])], np.array([0.0, -70, 0]))
    poses = phantom.poses(8, 40, 0.3)
    volumes = phantom.scan(poses, t1w_to_template @ np.linalg.inv(lying))
    spot = np.array([16.0, -92.0, 4.0])
    head = lying @ np.linalg.inv(t1w_to_template)
    middle = transforms.apply(head, spot[:, None])
    grid = transforms.grid_points(POSTERIOR, np.indices(SHAPE).reshape(3, -1))
    glow = np.exp(-((grid - middle) ** 2).sum(0) / (2 * 8.0**2)).reshape(SHAPE)
    course = np.sin(2 * np.pi * np.arange(40) * T_R / 16.0)
    volumes *= 1 + 0.02 * course[:, None, None, None] * glow
    volumes += rng.normal(0, 4, volumes.shape)
    path = raw / "func/sub-01_task-train01_run-1_bold.nii"
    data = np.abs(np.moveaxis(volumes, 0, 3)).astype(np.int16)
    nifti.save(path, data, POSTERIOR, t_r=T_R)
    about = {"RepetitionTime": T_R, "TaskName": "train01"}
    path.with_suffix(".json").write_text(json.dumps(about))

    anatomy.main(
        ["--t1w", str(raw / "anat/sub-01_T1w.nii.gz"), "--output", str(derivatives / "anat")]
        + ["--config", words("bold")]
    )
    bold = derivatives / (
        f"func/sub-01_task-train01_run-1_space-{template.SPACE}_desc-preproc_bold.nii"
    )
    arguments = ["--bold", str(path), "--anat", str(derivatives / "anat")]
    run.main([*arguments, "--output-bold", str(bold), "--config", words("bold")])
    return Subject(raw, derivatives, bold, poses, lying, t1w_to_template, course, spot)
