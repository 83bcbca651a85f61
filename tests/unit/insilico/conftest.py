"""A small embedded data set for the tests of its makers: two subjects, one movie, random drive."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage
from tests.fixtures_settings import settings

from boldreel.data import arrays
from boldreel.insilico import anatomy, features, head
from boldreel.insilico.seeding import generator
from boldreel.insilico.settings import InsilicoSettings
from boldreel.insilico.subject import Subject
from boldreel.insilico.template import move


@pytest.fixture(scope="session")
def cfg() -> InsilicoSettings:
    """An `insilico` section of few volumes and strong signal."""
    return settings(
        "insilico",
        seed=7,
        t_r=2.0,
        volumes=60,
        train_movies=2,
        test_movies=1,
        train_repeats=2,
        test_repeats=4,
        explainable_variance={"01": 0.3, "03": 0.0},
        rest={"subjects": ["rest01"], "runs": 1, "volumes": 60},
    )


@pytest.fixture(scope="session")
def drives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drive folder of two movies whose features change from clip to clip."""
    folder = tmp_path_factory.mktemp("drive")
    for movie in ("train01", "test01"):
        size = len(features.block_of_feature())
        clips = generator(1, "drive", movie).standard_normal((size, 60))
        course = np.repeat(clips, 4, axis=1).astype(np.float32)
        arrays.save(
            folder / f"{movie}.npy", course, kind="drive", movie=movie, interval=0.5, blocks={}
        )
    return folder


def _subject(cfg: InsilicoSettings, label: str) -> Subject:
    facts, model = anatomy.truth(cfg, label)
    view = facts["field_of_view"]
    to_mni = np.array(facts["t1w_to_mni"])
    view = head.FieldOfView(np.array(view["affine"]), tuple(view["shape"]))
    still = anatomy.still_image(generator(0, "coil"), view, to_mni, 4.0)
    return Subject(to_mni, view, facts["hrf"]["time_to_peak"], model, still)


@pytest.fixture(scope="session")
def subject(cfg: InsilicoSettings) -> Subject:
    """Subject 01, with signal."""
    return _subject(cfg, "01")


@pytest.fixture(scope="session")
def silent_subject(cfg: InsilicoSettings) -> Subject:
    """Subject 03, without."""
    return _subject(cfg, "03")


def _unwarp(subject, data, poses, order=1):
    """The run's values (n_volumes, n_places) at the places of the encoding model, by the truth."""
    to_voxel = np.linalg.inv(subject.view.affine)
    values = []
    for volume, pose in enumerate(poses):
        matrix = to_voxel @ pose @ np.linalg.inv(subject.to_mni)
        points = move(matrix, subject.model.mni.T)
        frame = data[..., volume].astype(np.float32)
        values.append(ndimage.map_coordinates(frame, points, order=order, mode="nearest"))
    return np.stack(values)


def _cleaned(series):
    """Percent change without the slow polynomials that the simulated drift is made of."""
    basis = np.polynomial.legendre.legvander(np.linspace(-1, 1, len(series)), 4)
    percent = 100 * series / series.mean(0)
    return percent - basis @ np.linalg.lstsq(basis, percent, rcond=None)[0]


@pytest.fixture(scope="session")
def unwarp() -> Callable[..., np.ndarray]:
    """Undoes the true motion: (subject, data, poses) to values (n_volumes, n_places)."""
    return _unwarp


@pytest.fixture(scope="session")
def brain_series() -> Callable[..., np.ndarray]:
    """Undoes the true motion and drift: (subject, data, poses) to percent (n_volumes, n_places)."""
    return lambda subject, data, poses: _cleaned(_unwarp(subject, data, poses))
