"""Known affines between T1w and template are recovered, with and without a skull."""

import numpy as np
import pytest

from boldreel.bold import affine, transforms

GRID = np.array([[-2.0, 0, 0, 100], [0, 2.0, 0, -140], [0, 0, 2.0, -90], [0, 0, 0, 1]])


@pytest.mark.parametrize("seed", [1, 2])
def test_known_affine_is_recovered(phantom, seed):
    rng = np.random.default_rng(seed)
    move = transforms.rigid(rng.uniform(-1, 1, 6) * [10, 10, 10, *np.deg2rad([8.0, 8.0, 8.0])])
    stretch = np.eye(4)
    stretch[:3, :3] += np.diag(rng.uniform(-0.08, 0.08, 3)) + rng.uniform(-0.02, 0.02, (3, 3))
    truth = stretch @ move
    values = phantom.t1w if seed == 1 else phantom.t1w * phantom.brain
    image = 400 * phantom.see(values, GRID, (100, 120, 100), truth)
    image *= np.exp(0.004 * np.indices(image.shape)[1])
    image += rng.normal(0, 6, image.shape)
    found = affine.register(np.abs(image).astype(np.float32), GRID)
    points = transforms.grid_points(phantom.affine, np.array(np.nonzero(phantom.brain))[:, ::997])
    places = transforms.apply(np.linalg.inv(truth), points)
    assert transforms.displacement_rms(found.to_template, truth, places) < 1.0
    assert found.correlation > 0.95
