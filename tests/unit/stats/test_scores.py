"""Shifts of several runs, identification and correlation, each against the plain way."""

import numpy as np
import pytest

from boldreel.stats import correlation, identification, permutation, shifts


def test_the_shortest_shift_is_whole_clips():
    assert shifts.least(["a", "b", "c"], 10.0, 2.0) == 5
    assert shifts.least(["a", "b", "c"], 10.0, 3.0) == 4
    assert shifts.least(["a"] * 7, 10.0, 2.0) == 7
    assert shifts.least(["a", "b"], 0.0, 2.0) == shifts.least(["a", "b"], 10.0, 0.0) == 1
    # onsets of decimal fractions: 20 steps of 0.1 s are 2 s
    assert shifts.least(["a"], 2.0, shifts.spacing(np.cumsum(np.full(30, 0.1)))) == 20
    assert shifts.spacing(np.array([4.0])) == 0


def test_joint_shifts_are_all_but_the_identity_or_drawn():
    rng = np.random.default_rng(0)
    every = shifts.joint([3, 1, 4], 11, rng)
    assert len(every) == len(np.unique(every, axis=0)) == 11 and every.any(axis=1).all()
    assert (every < [3, 1, 4]).all()
    drawn = shifts.joint([3, 1, 4], 10, rng)
    assert drawn.shape == (10, 3) and (drawn < [3, 1, 4]).all()
    many = shifts.joint([2, 2001], 4000, rng)  # with this many draws, the identity would occur
    assert len(many) == 4000 and many.any(axis=1).all()
    for counts in ([1, 1], [1], []):
        assert shifts.joint(counts, 50, rng).shape == (0, len(counts))


def test_orders_turn_each_run_in_its_own_order():
    """Rows of a run may lie anywhere: neighbours in the run stay neighbours."""
    rng = np.random.default_rng(1)
    mixed = rng.permutation(30)
    members = [mixed[:18], mixed[18:29], mixed[29:]]
    by = [shifts.spaced(len(rows), 3) for rows in members]
    found = shifts.orders(members, by, 500, rng)
    assert len(found) == 6 * 3 - 1
    for order in found:
        assert sorted(order) == list(range(30))
        for rows in members:
            place = {row: k for k, row in enumerate(rows.tolist())}
            turned = np.array([place[row] for row in order[rows].tolist()])
            step = (turned - np.arange(len(rows))) % len(rows)
            assert (step == step[0]).all() and (step[0] == 0 or 3 <= step[0] <= len(rows) - 3)
    assert shifts.orders([np.arange(4)], [np.zeros(1, int)], 99, rng).shape == (0, 4)


def test_no_permutations_give_a_reason_and_no_p():
    none = permutation.among(1.0, np.empty(0), 1.0)
    assert np.isnan([none.p, none.p_low, none.p_high]).all()
    assert (
        none.arrangements == 0 and none.reason == "no run is long enough for five circular shifts"
    )
    assert permutation.among(1.0, np.zeros(2), 1.0).reason == ""


def test_two_way_against_a_loop():
    rng = np.random.default_rng(3)
    alike = np.round(rng.standard_normal((7, 9)), 1)
    groups = np.array([0, 0, 1, 2, 2, 2, 3, 4, 4])
    other = groups[:, None] != groups[None]
    i, j = np.indices(alike.shape)
    found = identification.two_way(alike, other, i, j)
    for a in range(7):
        for b in range(9):
            wins = [
                (alike[a, b] > alike[a, c]) + 0.5 * (alike[a, b] == alike[a, c])
                for c in range(9)
                if groups[c] != groups[b]
            ]
            assert found[a, b] == pytest.approx(np.mean(wins))
    target = rng.permutation(9)[:7]
    won, of = identification.comparisons(alike, other, np.arange(7), target)
    assert identification.pooled_two_way(alike, other, target) == won.sum() / of.sum()
    np.testing.assert_allclose(won / of, found[np.arange(7), target])


def test_without_distractors_there_is_no_share():
    alike, none = np.eye(3), np.zeros((3, 3), bool)
    every = np.arange(3)
    assert np.isnan(identification.two_way(alike, none, every, every)).all()
    assert identification.pooled_two_way(alike, none, every) == 0.5


def test_many_pairs_are_counted_part_by_part():
    rng = np.random.default_rng(4)
    alike = rng.standard_normal((80, 80))
    other = ~np.eye(80, dtype=bool)
    i, j = np.indices(alike.shape)
    plain = (alike[:, :, None] > alike[:, None, :]).sum(-1) / 79
    np.testing.assert_allclose(identification.two_way(alike, other, i, j), plain)


def test_correlation_of_rows_and_columns():
    rng = np.random.default_rng(5)
    a, b = rng.standard_normal((2, 7, 9))
    np.testing.assert_allclose(correlation.of_rows(a, b), np.corrcoef(a, b)[:7, 7:])
    plain = [np.corrcoef(a[:, k], b[:, k])[0, 1] for k in range(9)]
    np.testing.assert_allclose(correlation.of_columns(a, b), plain)
    a[2], a[:, 4] = 5.0, 5.0
    assert (correlation.of_rows(a[2:3], b) == 0).all() and correlation.of_columns(a, b)[4] == 0


def test_clips_of_a_run_come_in_the_order_in_which_it_showed_them():
    labels = np.array(["b", "a", "b", "a", "b"])
    onsets = np.array([4.0, 9.0, 2.0, 3.0, 4.0])
    found = shifts.runs_in_time(labels, onsets, ["a", "b"])
    assert [rows.tolist() for rows in found] == [[3, 1], [2, 0, 4]], "equal onsets keep their order"
