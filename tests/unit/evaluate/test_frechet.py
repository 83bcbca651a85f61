"""The distance between sets of videos, against its formula and what it must not depend on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm

from boldreel.evaluate import frechet
from boldreel.evaluate.summary import Group


def _sets(seed: int, n: int, m: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    mix = rng.normal(size=(2, d, d))
    return rng.normal(size=(n, d)) @ mix[0] + 1, rng.normal(size=(m, d)) @ mix[1]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 99), st.integers(12, 40), st.integers(12, 40), st.integers(1, 8))
def test_equals_the_formula_with_a_root_of_matrices(seed: int, n: int, m: int, d: int) -> None:
    a, b = _sets(seed, n, m, d)
    first, second = (np.atleast_2d(np.cov(x.T)) for x in (a, b))
    apart = a.mean(0) - b.mean(0)
    root = np.real(sqrtm(first @ second))
    expected = apart @ apart + np.trace(first + second - 2 * root)
    assert frechet.distance(a, b) == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_a_set_is_at_no_distance_from_itself_in_any_order() -> None:
    a, b = _sets(1, 30, 30, 50)  # more dimensions than clips
    assert frechet.distance(a, a[::-1]) == pytest.approx(0, abs=1e-8)
    assert frechet.distance(a, b) == pytest.approx(frechet.distance(b[::-1], a), rel=1e-9)
    assert frechet.distance(a + 2, a) == pytest.approx(4 * 50, rel=1e-9)


def test_stills_have_no_spread() -> None:
    a, _ = _sets(2, 30, 30, 4)
    still = np.repeat(a[:1], 30, axis=0)
    expected = np.square(a.mean(0) - a[0]).sum() + a.var(0, ddof=1).sum()
    assert frechet.distance(a, still) == pytest.approx(expected)
    assert np.isnan(frechet.distance(a, a[:1]))


def test_the_interval_covers_the_distance_of_the_populations() -> None:
    """Of 60 draws of 80 clips in shots of two, nine in ten intervals and more hold what many clips give,
    at the same number of clips (whose bias is part of it)."""
    rng = np.random.default_rng(0)

    def draw() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        shot = np.repeat(rng.normal(size=(40, 3)), 2, axis=0)
        truth = shot + 0.3 * rng.normal(size=(80, 3))
        return (
            truth,
            0.5 * truth + 0.5 * rng.normal(size=(80, 3)) + 0.8,
            np.repeat(np.arange(40), 2),
        )

    drawn = [draw() for _ in range(60)]
    expected = np.mean([frechet.distance(a, b) for a, b, _ in drawn])
    inside = [low <= expected <= high for low, high in (frechet.interval(*each) for each in drawn)]
    assert np.mean(inside) > 0.85


def test_rows_for_each_condition_and_group(capsys) -> None:
    rng = np.random.default_rng(3)
    collected = frechet.Collected(12)
    assert frechet.rows(collected, [], np.arange(12)) == []
    truth = rng.normal(size=(12, 20)).astype(np.float32)
    for rows in (np.arange(6), np.arange(6, 12)):  # run by run
        collected.add("truth", rows, truth[rows])
        collected.add("model", rows, truth[rows] + 1)
    collected.add("mean_fmri", np.arange(0, 12, 2), truth[::2])
    collected.add("gray", np.arange(12), None)
    whole = Group("all", np.ones(12, dtype=bool))
    half = Group("seen", np.arange(12) < 6)
    table = frechet.rows(collected, [whole, half], np.repeat(np.arange(6), 2))
    found = {(row["condition"], row["segment"]): row for row in table}
    assert set(found) == {(c, s) for c in ("model", "mean_fmri") for s in ("all", "seen")}
    assert found["model", "all"]["value"] == pytest.approx(20, rel=1e-5)
    assert found["mean_fmri", "all"]["value"] == pytest.approx(0, abs=1e-4)
    assert [found["mean_fmri", s]["n"] for s in ("all", "seen")] == [6, 3]
    assert "biased upwards" in capsys.readouterr().err
