"""Confounds have fMRIPrep's names and the values of their definitions."""

import numpy as np
import pytest
from nilearn.glm.first_level.design_matrix import create_cosine_drift
from tests.fixtures_settings import settings as chosen

from boldreel.bold import confounds

N, P, T_R = 60, 200, 2.0


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    series = 1000 + rng.normal(0, 10, (N, P)).astype(np.float32)
    series[30] += 200
    parameters = rng.normal(0, 1e-3, (N, 6))
    parameters[40:, 0] += 2.0
    share = np.linspace(0, 1, P)
    tissue = confounds.Tissue(share, share[::-1], np.ones(P, bool))
    return confounds.columns(parameters, series, tissue, T_R, chosen("bold")), parameters, series


def test_columns_are_fmripreps(table):
    columns = table[0]
    for name in ("csf", "white_matter", "global_signal", "dvars", "std_dvars", "trans_x", "rot_z"):
        assert columns[name].shape == (N,)
    assert "framewise_displacement" in columns and "a_comp_cor_00" in columns
    assert "trans_y_derivative1_power2" in columns and "cosine00" in columns
    for name, values in columns.items():
        first_missing = name in ("dvars", "std_dvars", "framewise_displacement") or (
            "derivative1" in name
        )
        assert np.isnan(values[0]) == first_missing, name
        assert np.isfinite(values[1:]).all(), name


def test_outliers_are_the_jump_and_the_spike(table):
    columns = table[0]
    marked = [int(v.argmax()) for k, v in columns.items() if k.startswith("motion_outlier")]
    assert marked == [30, 31, 40]


def test_framewise_displacement_is_powers():
    parameters = np.zeros((3, 6))
    parameters[1:] = [0.1, -0.2, 0.3, 0.01, 0, -0.02]
    found = confounds.framewise_displacement(parameters)
    np.testing.assert_allclose(found[1:], [0.6 + 50 * 0.03, 0.0], atol=1e-12)


def test_standardised_dvars_of_ordinary_noise_is_one():
    rng = np.random.default_rng(1)
    noise = rng.normal(0, np.linspace(1, 30, 400), (300, 400)).astype(np.float32)
    raw, standard = confounds.dvars(noise)
    assert abs(np.nanmean(standard) - 1) < 0.05
    np.testing.assert_allclose(raw[1], np.sqrt(((noise[1] - noise[0]) ** 2).mean()), rtol=1e-4)


def test_cosines_span_nilearns():
    own = confounds.cosine_basis(N, T_R, 40.0)
    theirs = create_cosine_drift(1 / 40.0, np.arange(N) * T_R)[:, :-1]
    assert own.shape == theirs.shape
    np.testing.assert_allclose(np.abs(np.sum(own * theirs, 0)), 1.0, atol=1e-6)


def test_components_are_orthogonal_to_drift_and_each_other(table):
    columns = table[0]
    parts = np.array([v for k, v in columns.items() if k.startswith("a_comp_cor")])
    slow = np.array([v for k, v in columns.items() if k.startswith("cosine")])
    np.testing.assert_allclose(parts @ parts.T, np.eye(5), atol=1e-6)
    np.testing.assert_allclose(parts @ slow.T, 0, atol=1e-4)


def test_bright_first_volumes_are_not_in_steady_state():
    rng = np.random.default_rng(0)
    course = 1000 + rng.normal(0, 1, 100)
    assert confounds.non_steady_volumes(course) == 0
    course[:3] += [300, 100, 40]
    assert confounds.non_steady_volumes(course) == 3
