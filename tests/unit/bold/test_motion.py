"""Known head motion is recovered, also under drift, noise, spikes and a bright activation."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from boldreel.bold import motion, transforms


def error(found, poses, points):
    """RMS mm of the motion between volumes; where the reference itself lies is left open."""
    estimated = np.linalg.inv(found.to_reference)
    middle = len(poses) // 2
    common = np.linalg.inv(poses[middle]) @ estimated[middle]
    squares = [
        transforms.displacement_rms(own, pose @ common, points) ** 2
        for own, pose in zip(estimated, poses, strict=True)
    ]
    return np.sqrt(np.mean(squares))


@pytest.fixture(scope="module")
def wandering(phantom):
    poses = phantom.poses(1, 24, 0.8)
    return poses, phantom.scan(poses).astype(np.float32)


def test_clean_motion_is_found_exactly(phantom, wandering, brain_points):
    poses, volumes = wandering
    found = motion.estimate(volumes, phantom.view.affine)
    assert error(found, poses, brain_points) < 0.05


def test_drift_noise_spikes_and_activation_do_not_pull(phantom, wandering, brain_points):
    poses, volumes = wandering
    rng = np.random.default_rng(2)
    hurt = volumes * (
        1 + np.linspace(0, 1, 24)[:, None, None, None] * rng.normal(0, 0.02, (40, 26, 28))
    )
    spot = ((np.indices(phantom.view.shape).T - [20, 6, 12]) ** 2).sum(-1).T < 36
    hurt[8:16] *= 1 + 0.05 * spot
    hurt[5] *= 1.3
    hurt += rng.normal(0, 8, hurt.shape)
    found = motion.estimate(hurt.astype(np.float32), phantom.view.affine)
    assert error(found, poses, brain_points) < 0.1


def test_large_steps_are_followed(phantom, brain_points):
    rows = np.zeros((8, 6))
    rows[4:] = [2.0, -3.0, 1.5, *np.deg2rad([3.0, -2.0, 2.0])]
    poses = np.array([transforms.rigid(row, phantom.centre) for row in rows])
    found = motion.estimate(phantom.scan(poses).astype(np.float32), phantom.view.affine)
    assert error(found, poses, brain_points) < 0.05


def test_parameters_are_the_heads_movement(phantom):
    """A head that moves right and turns about z shows it with that sign."""
    rows = np.zeros((6, 6))
    rows[3:] = [1.0, 0, 0, 0, 0, np.deg2rad(1.0)]
    poses = np.array([transforms.rigid(row, phantom.centre) for row in rows])
    found = motion.estimate(phantom.scan(poses).astype(np.float32), phantom.view.affine)
    change = found.parameters[-1] - found.parameters[0]
    np.testing.assert_allclose(change[:3], [1, 0, 0], atol=0.03)
    np.testing.assert_allclose(np.rad2deg(change[3:]), [0, 0, 1], atol=0.03)


def test_one_volume_and_an_empty_one_do_not_break(phantom):
    still = phantom.scan(np.eye(4)[None]).astype(np.float32)
    np.testing.assert_allclose(
        motion.estimate(still, phantom.view.affine).to_reference[0], np.eye(4), atol=1e-3
    )
    gone = np.concatenate([still, still, 0 * still, still, still])
    assert np.isfinite(motion.estimate(gone, phantom.view.affine).to_reference).all()


@pytest.fixture(scope="module")
def benchmark():
    """benchmarks/motion_correction.py: a whole head at 3 mm that wanders by up to 3 mm and 3 degrees."""
    path = Path(__file__).parents[3] / "benchmarks" / "motion_correction.py"
    spec = importlib.util.spec_from_file_location("motion_correction", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_whole_head_at_3_mm(benchmark):
    """.02 mm on clean data; .1 mm with drift, spikes, an activation and noise."""
    contrast, mask, affine = benchmark.head()
    poses = benchmark.poses(12, 3)
    clean = benchmark.scan(contrast, affine, poses)
    points = transforms.grid_points(affine, np.argwhere(mask > 0.5)[::997].T)
    for volumes, limit in ((clean, 0.02), (benchmark.spoilt(clean, 4), 0.1)):
        assert benchmark.error(benchmark.by_boldreel(volumes), poses, points) < limit
