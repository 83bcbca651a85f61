"""Identification: scores, chance, re-pairings."""

from __future__ import annotations

import numpy as np
import pytest

from boldreel.align import identify

RNG = np.random.default_rng(0)


def test_two_way_counts_other_groups_and_halves_ties() -> None:
    similarity = np.array([[0.9, 0.95, 0.1, 0.9], [0, 0, 0, 0], [0, 0, 1, 2.0], [0, 0, 0, 1.0]])
    outcome = identify.two_way(similarity, np.array([0, 0, 1, 2]))
    # clip 0: its shot mate 1 does not count, 2 is less similar, 3 is a tie
    assert outcome.matrix[0, 0] == pytest.approx(0.75)
    assert outcome.matrix[1, 1] == pytest.approx(0.5)
    assert outcome.matrix[2, 2] == pytest.approx(2 / 3)


def test_top_k_takes_mates_as_right_and_strict_does_not() -> None:
    similarity = np.eye(4)
    similarity[0] = [0.5, 0.9, 0, 0]
    groups = np.array([0, 0, 1, 2])
    assert np.diag(identify.top_k(similarity, groups, 1).matrix).tolist() == [1, 1, 1, 1]
    strict = identify.top_k(similarity, np.arange(4), 1)
    assert np.diag(strict.matrix).tolist() == [0, 1, 1, 1]
    assert np.diag(identify.top_k(similarity, np.arange(4), 2).matrix).tolist() == [1, 1, 1, 1]
    assert strict.chance.mean() == pytest.approx(0.25)


def test_correlation_is_that_of_all_centred_entries() -> None:
    predicted, true = RNG.standard_normal((2, 30, 5))
    true[:, 0] *= 4
    outcome = identify.correlation(predicted, true)
    p, t = (x - x.mean(0) for x in (predicted, true))
    naive = np.corrcoef(p.ravel(), t.ravel())[0, 1]
    assert np.diag(outcome.matrix).mean() == pytest.approx(naive)
    again = identify.correlation(3 * true + 7, true)
    assert np.diag(again.matrix).mean() == pytest.approx(1)
    # re-paired, it is the correlation of the re-paired rows
    order = RNG.permutation(30)
    naive = np.corrcoef(p[order].ravel(), t.ravel())[0, 1]
    assert outcome.matrix[order, np.arange(30)].mean() == pytest.approx(naive)
