"""Ridge in the dual, against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from boldreel.align import linear, ridge


@pytest.fixture
def data() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((60, 100)) + 1
    y = x[:, :3] @ rng.standard_normal((3, 5)) + rng.standard_normal((60, 5))
    return x, y, np.repeat(["a", "b", "c"], 20)


def test_fit_equals_scikit_learn(data: tuple[np.ndarray, ...]) -> None:
    x, y, _ = data
    groups = {"one": slice(0, 2), "two": slice(2, 5)}
    weight, bias = ridge.fit(x, y, {"one": 3.0, "two": 50.0}, groups)
    for group, alpha in (("one", 3.0), ("two", 50.0)):
        reference = Ridge(alpha=alpha).fit(x, y[:, groups[group]])
        np.testing.assert_allclose(weight[:, groups[group]], reference.coef_.T, atol=1e-8)
        np.testing.assert_allclose(bias[groups[group]], reference.intercept_, atol=1e-8)


def test_chosen_penalty_is_the_best_on_left_out_segments(data: tuple[np.ndarray, ...]) -> None:
    x, y, folds = data
    groups = {"all": slice(0, 5)}
    alphas = (0.1, 10.0, 300.0, 1e5)
    alpha, score = ridge.choose_alphas(x, y, ridge.Split.by(folds), np.arange(60), groups, alphas)[
        "all"
    ]
    scores = []
    for candidate in alphas:
        guess, truth = np.empty_like(y), np.empty_like(y)
        for name in "abc":
            test = folds == name
            mean = y[~test].mean(0)
            fitted = Ridge(alpha=candidate).fit(x[~test], y[~test])
            guess[test], truth[test] = fitted.predict(x[test]) - mean, y[test] - mean
        scores.append((guess * truth).sum() / np.sqrt((guess**2).sum() * (truth**2).sum()))
    assert alpha == alphas[int(np.argmax(scores))]
    assert score == pytest.approx(max(scores), abs=1e-9)


def test_left_out_predictions_never_saw_their_segment(data: tuple[np.ndarray, ...]) -> None:
    x, y, folds = data
    groups = {"all": slice(0, 5)}
    before = ridge.left_out(x, y, ridge.Split.by(folds), {"all": 10.0}, groups)
    changed = y.copy()
    changed[folds == "b"] += 100
    after = ridge.left_out(x, changed, ridge.Split.by(folds), {"all": 10.0}, groups)
    np.testing.assert_allclose(before[folds == "b"], after[folds == "b"], atol=1e-9)
    assert not np.allclose(before[folds == "a"], after[folds == "a"])


def test_rows_of_a_guard_are_not_seen_either(data: tuple[np.ndarray, ...]) -> None:
    """A block that is left out is larger than what is predicted of it."""
    x, y, _ = data
    held, out = np.arange(60) < 20, np.arange(60) < 27
    split = ridge.Split(((held, out), (~held, ~held)))
    found = ridge.left_out(x, y, split, {"all": 10.0}, {"all": slice(0, 5)})
    expected = Ridge(alpha=10.0).fit(x[~out], y[~out]).predict(x[held])
    np.testing.assert_allclose(found[held], expected, atol=1e-8)


def test_principal_axes() -> None:
    rng = np.random.default_rng(1)
    values = rng.standard_normal((40, 3)) @ rng.standard_normal((3, 200)) + 5
    axes = linear.principal_axes(values, 10, 0.999)
    assert len(axes) == 3
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-8)
    centred = values - values.mean(0)
    np.testing.assert_allclose(centred @ axes.T @ axes, centred, atol=1e-6)
    assert len(linear.principal_axes(values, 2, 0.999)) == 2
