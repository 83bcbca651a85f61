"""Cleaning takes out what it says, equals nilearn's, and blows nothing up."""

import numpy as np
import pytest
from nilearn import signal
from tests.fixtures_settings import settings as chosen

from boldreel.errors import UserError
from boldreel.roi import cleaning

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


def columns():
    rng = np.random.default_rng(1)
    names = [f"{kind}_{axis}" for kind in ("trans", "rot") for axis in "xyz"]
    table = {
        name + suffix: rng.normal(size=COUNT)
        for name in names
        for suffix in ("", "_derivative1", "_power2", "_derivative1_power2")
    }
    table |= {f"a_comp_cor_{k:02d}": rng.normal(size=COUNT) for k in range(5)}
    table |= {f"cosine{k:02d}": rng.normal(size=COUNT) for k in range(2)}
    table["trans_x_derivative1"][0] = np.nan
    return table


@pytest.mark.parametrize(
    ("choice", "high_pass", "count"),
    [("none", False, 4), ("motion6", False, 10), ("motion24", False, 28), ("compcor", True, 17)],
)
def test_declared_confounds_are_taken(choice, high_pass, count):
    found = cleaning.regressors(
        columns(), COUNT, chosen("roi", confounds=choice, high_pass=high_pass)
    )
    assert found.shape == (COUNT, count)
    assert np.isfinite(found).all()


def test_missing_column_and_too_many_regressors():
    with pytest.raises(UserError, match="no column trans_x"):
        cleaning.regressors({}, COUNT, chosen("roi"))
    short = {name: values[:30] for name, values in columns().items()}
    with pytest.raises(UserError, match="28 regressors for 30 volumes"):
        cleaning.regressors(short, 30, chosen("roi", confounds="motion24"))
