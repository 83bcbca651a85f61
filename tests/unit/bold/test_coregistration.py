"""A BOLD reference is laid on a T1w of other contrast, from where a subject may lie."""

import numpy as np
import pytest

from boldreel.bold import coregistration, template, transforms


@pytest.mark.parametrize("size", [2.0, 6.0])
def test_known_rigid_is_recovered(phantom, brain_points, size):
    rng = np.random.default_rng(int(size))
    row = rng.uniform(-1, 1, 6) * [size, size, size, *np.deg2rad([size] * 3)]
    truth = transforms.rigid(row, np.array([0.0, -60, 0]))
    boldref = phantom.scan(np.eye(4)[None], truth)[0]
    boldref *= np.exp(-0.01 * np.indices(boldref.shape)[1])  # a surface coil's shading
    boldref += rng.normal(0, 5, boldref.shape)
    t1w, affine = template.coarse(*template.load("T1w"), 2)
    found = coregistration.coregister(boldref, phantom.view.affine, 110 * t1w, affine)
    assert transforms.displacement_rms(found.to_t1w, truth, brain_points) < 1.0
    assert found.correlation_ratio > 0.8


def test_noise_has_no_relation_to_the_t1w(phantom):
    rng = np.random.default_rng(0)
    noise = rng.uniform(1, 2, phantom.view.shape)
    t1w, affine = template.coarse(*template.load("T1w"), 2)
    found = coregistration.coregister(noise, phantom.view.affine, 110 * t1w, affine)
    assert found.correlation_ratio < 0.1
