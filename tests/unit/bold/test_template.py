"""The template and the output grid."""

import numpy as np
import pytest
from tests.fixtures_settings import settings as chosen

from boldreel.bold import template
from boldreel.errors import UserError


def test_grid_of_the_demo():
    grid = template.output_grid(chosen("bold"))
    assert grid.shape == (37, 19, 20)
    points = grid.points()
    assert points.min(1).tolist() == [-72, -108, -32]
    assert points.max(1).tolist() == [72, -36, 44]


def test_tissues_add_up_inside_the_brain():
    grid = template.output_grid(chosen("bold"))
    total = sum(template.on_grid(tissue, grid) for tissue in template.TISSUES)
    brain = template.on_grid("brain", grid)
    np.testing.assert_allclose(total[brain > 0.999], 1.0, atol=0.05)
    assert total[brain == 0].max() < 0.2


def test_averaging_keeps_its_place():
    """The template is symmetric: its coarse version must be too, to the voxel."""
    grid = template.output_grid(chosen("bold"))
    grey = template.on_grid("GM", grid)
    assert np.abs(grey - grey[::-1]).max() < 0.02


def test_coarse_blocks_are_means_with_the_right_centre():
    values = np.arange(4 * 4 * 4, dtype=np.float32).reshape(4, 4, 4)
    small, affine = template.coarse(values, np.diag([1.0, 1, 1, 1]), 2)
    assert small.shape == (2, 2, 2)
    assert small[0, 0, 0] == values[:2, :2, :2].mean()
    np.testing.assert_allclose(affine[:3, 3], 0.5)


def test_a_box_outside_the_template_is_refused():
    grid = template.output_grid(chosen("bold", output_box=((500, 520), (0, 20), (0, 20))))
    with pytest.raises(UserError, match="outside the template"):
        template.on_grid("GM", grid)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"resolutoin": 4}, "bold.resolutoin is not a key"),
        ({"resolution": -1}, "bold.resolution"),
        ({"output_box": [[1, 2], [3, 4]]}, "bold.output_box"),
        ({"output_box": [[2, 1], [3, 4], [5, 6]]}, "each rising"),
    ],
)
def test_bad_settings_are_refused(section, message):
    with pytest.raises(UserError, match=message):
        chosen("bold", **section)
