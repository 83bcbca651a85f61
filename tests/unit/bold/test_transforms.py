"""Rigid transforms form a group, and their parameters come back."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from boldreel.bold import transforms

parameters = st.tuples(*[st.floats(-50, 50)] * 3, *[st.floats(-1.2, 1.2)] * 3).map(np.array)
centres = st.tuples(*[st.floats(-100, 100)] * 3).map(np.array)


@settings(max_examples=60)
@given(parameters, centres)
def test_parameters_come_back(given_parameters, centre):
    matrix = transforms.rigid(given_parameters, centre)
    np.testing.assert_allclose(
        transforms.rigid_parameters(matrix, centre), given_parameters, atol=1e-8
    )


@settings(max_examples=60)
@given(parameters, parameters, centres)
def test_composition_is_rigid_and_has_an_inverse(first, second, centre):
    joined = transforms.rigid(first, centre) @ transforms.rigid(second)
    np.testing.assert_allclose(joined[:3, :3] @ joined[:3, :3].T, np.eye(3), atol=1e-12)
    assert np.linalg.det(joined) > 0
    again = transforms.rigid(transforms.rigid_parameters(joined, centre), centre)
    np.testing.assert_allclose(again, joined, atol=1e-8)
    np.testing.assert_allclose(np.linalg.inv(joined) @ joined, np.eye(4), atol=1e-9)


@settings(max_examples=30)
@given(parameters, centres)
def test_distances_are_kept(given_parameters, centre):
    points = np.array([[0.0, 10, -30], [5, 5, 60], [-20, 0, 7]])
    moved = transforms.apply(transforms.rigid(given_parameters, centre), points)
    before = np.linalg.norm(points[:, :1] - points, axis=0)
    np.testing.assert_allclose(np.linalg.norm(moved[:, :1] - moved, axis=0), before, atol=1e-8)


def test_rotation_leaves_its_centre_alone():
    centre = np.array([3.0, -70.0, 12.0])
    matrix = transforms.rigid(np.array([0, 0, 0, 0.3, -0.2, 0.1]), centre)
    np.testing.assert_allclose(transforms.apply(matrix, centre[:, None])[:, 0], centre)


def test_displacement_of_a_shift_is_its_length():
    points = np.random.default_rng(0).normal(size=(3, 50))
    shift = transforms.rigid(np.array([3.0, 4.0, 0, 0, 0, 0]))
    assert np.isclose(transforms.displacement_rms(np.eye(4), shift, points), 5.0)


def test_grid_geometry():
    affine = np.diag([-2.0, 3.0, 4.0, 1.0])
    np.testing.assert_allclose(transforms.voxel_sizes(affine), [2, 3, 4])
    np.testing.assert_allclose(transforms.centre_of_grid(affine, (5, 5, 5)), [-4, 6, 8])
