from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from boldreel.insilico import encoding, head, template
from boldreel.insilico.template import move


def test_rigid_and_back():
    centre = np.array([3.0, -60.0, 8.0])
    parameters = np.array([1.0, -0.5, 2.0, 3.0, -7.0, 1.5])
    matrix = head.rigid(parameters, centre)
    assert np.allclose(matrix[:3, :3] @ matrix[:3, :3].T, np.eye(3))
    assert np.allclose(head.rigid_parameters(matrix, centre), parameters)
    assert np.allclose(move(matrix, centre), centre + parameters[:3])


def test_rotation_turns_the_right_way():
    # 90 degrees about z: x goes to y.
    assert np.allclose(head.rotation(np.array([0, 0, 90.0])) @ [1, 0, 0], [0, 1, 0])


def test_motion_relative_to_the_first_volume():
    rng = np.random.default_rng(4)
    centre = np.array([0.0, -70.0, 5.0])
    poses = head.poses(head.motion(rng, 50), centre)
    moved = head.relative(poses, centre)
    assert np.allclose(moved[0], 0, atol=1e-9)
    assert np.allclose(head.rigid(moved[30], centre) @ poses[0], poses[30])


def test_motion_is_of_a_size_that_subjects_keep():
    paths = [head.motion(np.random.default_rng(k), 120) for k in range(40)]
    assert max(np.abs(path[0]).max() for path in paths) <= 1.7
    ranges = [np.ptp(path, axis=0).max() for path in paths]
    assert 0.15 < np.median(ranges) < 1.5
    jumps = [np.abs(np.diff(path, axis=0)).max() for path in paths]
    assert 0.05 < np.mean(np.array(jumps) > 0.2) < 0.7


@pytest.mark.parametrize("seed", range(5))
def test_the_field_of_view_holds_the_box_of_a_moved_head(seed):
    rng = np.random.default_rng(seed)
    to_mni = head.t1w_to_mni(rng)
    view = head.field_of_view(rng, to_mni, encoding.BOX, 4.0)
    assert np.linalg.det(view.affine[:3, :3]) < 0
    corners = np.stack(np.meshgrid(*encoding.BOX, indexing="ij")).reshape(3, -1)
    for pose in head.poses(head.motion(rng, 40), view.centre)[::10]:
        to_voxel = np.linalg.inv(view.affine) @ pose @ np.linalg.inv(to_mni)
        index = move(to_voxel, corners)
        assert index.min() > 0
        assert (index.max(1) < np.array(view.shape) - 1).all()


@given(st.integers(0, 2**31), st.booleans())
@settings(max_examples=30)
def test_interpolation_is_scipys(seed, beyond):
    rng = np.random.default_rng(seed)
    shape = rng.integers(2, 9, 3)
    values = rng.normal(size=shape).astype(np.float32)
    points = rng.uniform(-2, 10, (3, 4, 25))
    # on the grid and on its faces too
    points[:, 0, :8] = np.round(points[:, 0, :8])
    points[:, 1, 0], points[:, 1, 1] = shape - 1, 0
    mode = "nearest" if beyond else "constant"
    expected = ndimage.map_coordinates(values, points, order=1, prefilter=False, mode=mode)
    np.testing.assert_allclose(template.interpolate(values, points, beyond), expected, atol=1e-5)
