"""The coil's shading goes, the anatomy stays, white matter has its value."""

import numpy as np

from boldreel.bold import intensity, template, transforms


def test_shading_is_removed(phantom):
    grid = np.diag([3.0, 3.0, 3.0, 1.0])
    grid[:3, 3] = [-98, -134, -72]
    shape = (66, 78, 63)
    t1w = phantom.see(phantom.t1w, grid, shape, np.eye(4))
    white = phantom.see(template.load("WM")[0], grid, shape, np.eye(4)) > 0.95
    x, y, z = transforms.grid_points(grid, np.indices(shape).reshape(3, -1)).reshape(3, *shape)
    shaded = 700 * t1w * np.exp(0.003 * x - 0.004 * y + 0.00002 * z**2)
    normal = intensity.normalise(shaded, grid, np.eye(4))

    def spread(values):
        return values[white].std() / values[white].mean()

    assert spread(shaded) > 0.15
    assert spread(normal) < 1.3 * spread(t1w) + 0.01
    assert abs(np.median(normal[white]) - intensity.WHITE_MATTER) < 5
