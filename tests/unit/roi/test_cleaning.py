"""Cleaning takes out what it says, equals nilearn's, and blows nothing up."""

import numpy as np
import pytest
from nilearn import signal

from boldreel.errors import UserError
from boldreel.roi import cleaning
from boldreel.roi.settings import Settings

COUNT = 80


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    series = 1000 + rng.normal(0, 10, (COUNT, 30)) + np.linspace(0, 80, COUNT)[:, None] ** 1.5
    return series, rng.normal(size=(COUNT, 7)) * [1, 1e-3, 100, 1, 1, 5, 1]


def test_equals_nilearn_for_the_same_regressors(data):
    series, confounds = data
    own = cleaning.clean(series, confounds)
    theirs = signal.clean(
        series, detrend=False, standardize=False, confounds=confounds, standardize_confounds=True
    )
    theirs = (theirs - theirs.mean(0)) / theirs.std(0)
    np.testing.assert_allclose(own, theirs, atol=1e-4)


def test_nothing_of_the_regressors_is_left(data):
    series, confounds = data
    trend = cleaning.polynomials(COUNT, 4)
    own = cleaning.clean(series, np.hstack([trend, confounds]))
    powers = np.linspace(0, 1, COUNT)[:, None] ** np.arange(5)
    assert np.abs(own.T @ powers).max() < 1e-3
    np.testing.assert_allclose(own.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(own.std(0), 1, atol=1e-4)


def test_dependent_and_empty_regressors_do_no_harm(data):
    series, confounds = data
    doubled = np.hstack([confounds, confounds[:, :3] * 2, np.zeros((COUNT, 1))])
    np.testing.assert_allclose(
        cleaning.clean(series, doubled), cleaning.clean(series, confounds), atol=1e-4
    )


def test_constant_missing_and_explained_series_become_zero(data):
    series, confounds = data
    series[:, 0] = 7.0
    series[3, 1] = np.nan
    series[:, 2] = 5 + 3 * confounds[:, 0]
    own = cleaning.clean(series, confounds)
    assert not own[:, :3].any()
    assert own[:, 3:].any(axis=0).all()
    assert own.dtype == np.float32


def test_trend_and_confounds_are_taken_together():
    confounds = np.random.default_rng(1).normal(size=(COUNT, 6))
    found = cleaning.regressors(confounds, Settings(detrend_order=3))
    assert found.shape == (COUNT, 9)
    assert cleaning.degrees_of_freedom(found) == COUNT - 10


def test_what_two_regressors_share_counts_once():
    trend = cleaning.polynomials(COUNT, 4)
    assert cleaning.degrees_of_freedom(np.hstack([trend, trend[:, :2] * 5])) == COUNT - 5


def test_regressors_that_leave_too_little_are_refused():
    rng = np.random.default_rng(2)
    with pytest.raises(
        UserError, match="206 regressors leave 38 degrees of freedom of 245 volumes"
    ):
        cleaning.regressors(rng.normal(size=(245, 202)), Settings())
    with pytest.raises(UserError, match="leave 1 degrees of freedom of 30 volumes"):
        cleaning.regressors(rng.normal(size=(30, 24)), Settings())
    assert cleaning.regressors(rng.normal(size=(245, 170)), Settings()).shape == (245, 174)
