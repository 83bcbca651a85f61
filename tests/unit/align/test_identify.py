"""Identification: scores, chance, re-pairings, p."""

from __future__ import annotations

import numpy as np
import pytest

from boldreel.align import identify

RNG = np.random.default_rng(0)
SEGMENTS = np.repeat(["test01", "test02"], 30)
SHOTS = np.array([f"{segment}-{k // 3}" for k, segment in enumerate(SEGMENTS)])
GROUPS = np.unique(SHOTS, return_inverse=True)[1]


def unit(n: int, width: int = 16) -> np.ndarray:
    x = RNG.standard_normal((n, width))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


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


def test_perfect_and_blind_predictions() -> None:
    truth = unit(60)
    pairings = identify.shifts(SEGMENTS, SHOTS, 199, 0)
    everyone = np.ones(60, dtype=bool)
    for k in (1, 5):
        perfect = identify.top_k(truth @ truth.T, GROUPS, k)
        score = identify.summarise(perfect, everyone, SHOTS, pairings)
        assert score.value == 1 and score.p == pytest.approx(1 / 200)
    blind = identify.two_way(unit(60) @ truth.T, GROUPS)
    score = identify.summarise(blind, everyone, SHOTS, pairings)
    assert abs(score.value - 0.5) < 0.1 and score.p > 0.05
    assert score.ci_low < 0.5 < score.ci_high


def test_shifts_stay_in_segments_and_leave_shots() -> None:
    pairings = identify.shifts(SEGMENTS, SHOTS, 50, 3)
    assert pairings.shape == (50, 60)
    for pairing in pairings:
        assert sorted(pairing) == list(range(60))
        assert (SEGMENTS[pairing] == SEGMENTS).all()
        assert (SHOTS[pairing] != SHOTS).all()
        steps = np.diff(pairing[:30]) % 30
        assert (steps == 1).all()


def test_p_is_calibrated_without_signal() -> None:
    """With predictions that vary slowly, as BOLD does, p is as often small as it says."""
    pairings = identify.shifts(SEGMENTS, SHOTS, 99, 0)
    truth = unit(20)[GROUPS]
    small = 0
    for _ in range(60):
        drift = np.cumsum(RNG.standard_normal((60, 16)), axis=0)
        outcome = identify.two_way(drift @ truth.T, GROUPS)
        small += identify.summarise(outcome, np.ones(60, bool), SHOTS, pairings).p <= 0.1
    assert small <= 14


def test_interval_resamples_shots() -> None:
    matrix = np.zeros((60, 60))
    np.fill_diagonal(matrix, np.repeat([1.0, 0.0], 30))
    pairings = identify.shifts(SEGMENTS, SHOTS, 9, 0)
    outcome = identify.Outcome(matrix, np.full(60, 0.1))
    by_shot = identify.summarise(outcome, np.ones(60, bool), SHOTS, pairings)
    by_clip = identify.summarise(outcome, np.ones(60, bool), np.arange(60).astype(str), pairings)
    assert by_shot.ci_high - by_shot.ci_low > 1.4 * (by_clip.ci_high - by_clip.ci_low)


def test_nothing_chosen_is_no_score() -> None:
    outcome = identify.classification(RNG.random((60, 3)), np.zeros(60, int))
    pairings = identify.shifts(SEGMENTS, SHOTS, 9, 0)
    score = identify.summarise(outcome, np.zeros(60, bool), SHOTS, pairings)
    assert score.n == 0 and np.isnan(score.value) and np.isnan(score.p)


def test_few_shifts_are_all_given_once() -> None:
    """20 clips in shots of 2 have 17 shifts: asking for 999 gives those, and p is at least 1 / 18."""
    segments, shots = np.array(["a"] * 20), np.repeat(np.arange(10), 2)
    pairings = identify.shifts(segments, shots, 999, 0)
    assert len(pairings) == len({tuple(row) for row in pairings}) == 17
    outcome = identify.Outcome(np.eye(20), np.full(20, 0.05))
    score = identify.summarise(outcome, np.ones(20, bool), shots, pairings)
    assert score.value == 1.0 and score.p == pytest.approx(1 / 18)
    many = identify.shifts(np.repeat(["a", "b"], 40), np.arange(80), 999, 0)
    assert len(many) == 999


def test_segments_of_one_shot_give_neither_interval_nor_p() -> None:
    """There is no shift that takes a clip out of its shot, and few shots make no interval."""
    segments = np.repeat(["a", "b", "c"], 4)
    pairings = identify.shifts(segments, segments, 99, 0)
    assert pairings.shape == (0, 12)
    score = identify.summarise(
        identify.Outcome(np.eye(12), np.full(12, 0.1)), np.ones(12, bool), segments, pairings
    )
    assert score.value == 1 and score.permutations == 0
    assert np.isnan([score.p, score.p_high, score.ci_low, score.ci_high, score.null]).all()
    assert np.isnan(identify.reliability_ceiling(unit(12), unit(12), pairings))
    # next to one that can be shifted, such a segment stays as it is
    segments, shots = np.repeat(["a", "b"], 8), np.array([0] * 8 + list(range(1, 9)))
    for pairing in identify.shifts(segments, shots, 99, 0):
        assert (pairing[:8] == np.arange(8)).all() and (pairing[8:] != np.arange(8, 16)).all()


def test_one_prediction_for_all_clips_is_not_above_chance() -> None:
    """Its deviations from the mean are rounding, which must not be correlated with anything."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        same = np.repeat(rng.standard_normal((1, 16)), 60, axis=0).astype(np.float32)
        outcome = identify.correlation(same, unit(60).astype(np.float32))
        pairings = identify.shifts(SEGMENTS, SHOTS, 99, 0)
        score = identify.summarise(outcome, np.ones(60, bool), SHOTS, pairings)
        assert score.value == 0 and score.p == 1


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


def test_the_ceiling_of_known_reliability_is_found() -> None:
    """A perfect decoder under noise reaches the ceiling, and a worse one stays below its own."""
    rng = np.random.default_rng(3)
    true = rng.standard_normal((4000, 6))
    halves = [true + rng.standard_normal(true.shape) * 1.5 for _ in range(2)]
    order = np.stack([rng.permutation(4000) for _ in range(200)])
    ceiling = identify.reliability_ceiling(*halves, order)
    assert ceiling == pytest.approx(np.sqrt(1 / (1 + 1.5**2 / 2)), abs=0.01)
    reached = np.diag(identify.correlation((halves[0] + halves[1]) / 2, true).matrix).mean()
    assert reached == pytest.approx(ceiling, abs=0.01)
    noise = rng.standard_normal((2, 4000, 6))
    assert np.isnan(identify.reliability_ceiling(*noise, order))
