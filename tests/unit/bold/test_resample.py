"""The interpolation is exact at voxels, smooth between, and knows what it saw."""

import numpy as np

from boldreel.bold import resample, transforms

SHAPE = (9, 8, 7)


def test_values_at_voxels_are_the_voxels():
    volumes = np.random.default_rng(0).normal(size=(2, *SHAPE)).astype(np.float32)
    points = np.indices(SHAPE).reshape(3, -1).astype(float)
    seen = resample.sample(volumes, np.stack([np.eye(4)] * 2), points)
    np.testing.assert_allclose(seen, volumes.reshape(2, -1), atol=1e-5)


def test_a_smooth_field_is_read_between_voxels():
    grid = np.indices((20, 20, 20)).astype(float)
    field = np.sin(grid[0] / 4) + np.cos(grid[1] / 5) * np.sin(grid[2] / 6)
    points = np.random.default_rng(1).uniform(4, 15, (3, 200))
    move = transforms.rigid(np.array([0.3, -0.2, 0.1, 0.02, 0.01, -0.03]), np.full(3, 9.5))
    x, y, z = transforms.apply(move, points)
    wanted = np.sin(x / 4) + np.cos(y / 5) * np.sin(z / 6)
    seen = resample.sample(field[None].astype(np.float32), move[None], points)[0]
    np.testing.assert_allclose(seen, wanted, atol=1e-3)


def test_a_place_must_be_seen_by_every_volume():
    points = np.array([[0.0, 8.0, 8.4, 9.0], [0, 0, 0, 0], [0, 0, 0, 0]])
    still, moved = np.eye(4), transforms.rigid(np.array([0.3, 0, 0, 0, 0, 0]))
    alone = resample.field_of_view(points, still[None], SHAPE)
    both = resample.field_of_view(points, np.stack([still, moved]), SHAPE)
    assert alone.tolist() == [True, True, True, False]
    assert both.tolist() == [True, True, False, False]
