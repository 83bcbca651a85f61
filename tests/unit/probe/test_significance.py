"""Intervals, tests and ceilings of retrieval: those of every row of the group's table."""

from __future__ import annotations

import numpy as np
import pytest

from boldreel.align import identify
from boldreel.evaluate.clips import Segment
from boldreel.evaluate.metrics import Measure
from boldreel.evaluate.settings import EvaluateSettings
from boldreel.evaluate.summary import Summary
from boldreel.probe import significance
from boldreel.stats import shifts
from boldreel.stats.inference import shifts_of_run
from boldreel.stats.settings import InferenceSettings

RNG = np.random.default_rng(0)
SEGMENTS = np.repeat(["test01", "test02"], 30)
SHOTS = np.array([f"{segment}-{k // 3}" for k, segment in enumerate(SEGMENTS)])
GROUPS = np.unique(SHOTS, return_inverse=True)[1]
SETTINGS = InferenceSettings(permutations=199)
EVERYONE = np.ones(60, dtype=bool)
ONSETS = 2.0 * np.tile(np.arange(30), 2)


def unit(n: int, width: int = 16) -> np.ndarray:
    x = RNG.standard_normal((n, width))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def pool() -> significance.Pool:
    return significance.Pool(SEGMENTS, SHOTS, ONSETS, SETTINGS)


def test_rows_of_retrieval_and_of_reconstruction_agree() -> None:
    """The same outcomes, as a retrieval score and as a measure of the evaluation: one row."""
    outcome = identify.two_way(unit(60) @ unit(60).T, GROUPS)
    for more in (
        {},
        {"min_shift": 11.0},
        {"permutations": 20, "shifts": 6},
    ):
        settings = EvaluateSettings(seed=3, **more)
        runs = [Segment(str(n), np.flatnonzero(n == SEGMENTS)) for n in np.unique(SEGMENTS)]
        measures = []
        for run in runs:
            i, j = shifts.shifted(30, shifts_of_run(SHOTS[run.rows], settings, 2.0))
            values = outcome.matrix[run.rows[i], run.rows[j]]
            measures.append(Measure("two_way", "", "higher", 0.5, values))
        seen = np.arange(60) % 7 < 4
        rows = Summary(runs, SHOTS, seen, settings).rows(measures, tested=True)
        scored = significance.Pool(SEGMENTS, SHOTS, ONSETS, settings)
        for name, chosen in (("all", EVERYONE), ("seen", seen), ("unseen", ~seen)):
            found = significance.summarise(outcome, chosen, scored)
            model, shuffled = (row for row in rows if row["segment"] == name)
            for key in ("value", "ci_low", "ci_high", "p", "p_low", "p_high", "permutations", "n"):
                assert getattr(found, key) == pytest.approx(model[key], nan_ok=True), (name, key)
            assert (found.null, found.null_low, found.null_high) == pytest.approx(
                tuple(shuffled[key] for key in ("value", "ci_low", "ci_high")), nan_ok=True
            )


def test_perfect_and_blind_predictions() -> None:
    truth = unit(60)
    for k in (1, 5):
        perfect = identify.top_k(truth @ truth.T, GROUPS, k)
        # two segments of ten shots have 100 joint shifts
        score = significance.summarise(perfect, EVERYONE, pool())
        assert score.value == 1 and score.p == pytest.approx(1 / 100)
        assert score.null < 0.3
    blind = [identify.two_way(unit(60) @ truth.T, GROUPS) for _ in range(30)]
    scores = [significance.summarise(outcome, EVERYONE, pool()) for outcome in blind]
    assert abs(np.mean([score.value for score in scores]) - 0.5) < 0.03
    assert np.median([score.p for score in scores]) > 0.2
    assert np.mean([score.ci_low < 0.5 < score.ci_high for score in scores]) > 0.75


def test_shifts_stay_in_segments_and_leave_shots() -> None:
    for rows, (i, j) in zip((range(30), range(30, 60)), pool().pairings, strict=True):
        assert (i[0] == j[0]).all() and len(i) == 10
        for predictions, truths in zip(i[1:], j[1:], strict=True):
            assert sorted(predictions) == sorted(truths) == list(rows)
            assert (SHOTS[predictions] != SHOTS[truths]).all()
            assert (np.diff(predictions) % 30 == 1).all()


def test_the_shortest_shift_is_set_in_seconds() -> None:
    settings = InferenceSettings(min_shift=10.0)
    for step, least in ((2.0, 5), (3.0, 4), (1.0, 10), (20.0, 3)):
        (i, j), _ = significance.Pool(SEGMENTS, SHOTS, step / 2 * ONSETS, settings).pairings
        apart = (i - j)[1:] % 30
        assert np.minimum(apart, 30 - apart).min() >= least and len(i) == 30 // least


def test_clips_are_shifted_in_the_order_in_which_they_were_shown() -> None:
    """Short clips in random order: the table is in the order of their names, the shifts are not."""
    onsets = 4.0 * np.random.default_rng(1).permutation(20)
    names = np.arange(20).astype(str)
    scored = significance.Pool(np.array(["a"] * 20), names, onsets, SETTINGS)
    ((i, j),) = scored.pairings
    for predictions, truths in zip(i, j, strict=True):
        apart = (onsets[predictions] - onsets[truths]) % 80
        assert len(set(apart)) == 1, "all of a run's clips move by the same time"
        assert (onsets[truths] == np.sort(onsets)).all()


def test_p_is_calibrated_without_signal() -> None:
    """With predictions that vary slowly, as BOLD does, p is as often small as it says."""
    from scipy.stats import kstest

    scored, found = pool(), []
    for _ in range(200):
        drift = np.cumsum(RNG.standard_normal((60, 16)), axis=0)
        outcome = identify.two_way(drift @ unit(20)[GROUPS].T, GROUPS)
        found.append(significance.summarise(outcome, EVERYONE, scored).p)
    assert min(found) > 0 and kstest(found, "uniform").pvalue > 0.01
    assert np.mean(np.array(found) <= 0.1) < 0.17


def test_interval_takes_shots_for_units_of_two_segments() -> None:
    def width(values: np.ndarray, shots: np.ndarray) -> float:
        matrix = np.zeros((60, 60))
        np.fill_diagonal(matrix, values)
        outcome = identify.Outcome(matrix, np.full(60, 0.1))
        scored = significance.Pool(SEGMENTS, shots, ONSETS, SETTINGS)
        found = significance.summarise(outcome, EVERYONE, scored)
        return found.ci_high - found.ci_low

    by_shot = (GROUPS % 2).astype(float)
    # told or not, neighbours are joined to twenty blocks
    assert width(by_shot, SHOTS) == width(by_shot, np.arange(60).astype(str))
    # the interval of two segments is of these: what they differ by moves nothing
    assert width(by_shot + np.repeat([9.0, 0.0], 30), SHOTS) == pytest.approx(
        width(by_shot, SHOTS), rel=0.3
    )


def test_nothing_chosen_is_no_score() -> None:
    outcome = identify.classification(RNG.random((60, 3)), np.zeros(60, int))
    score = significance.summarise(outcome, np.zeros(60, bool), pool())
    assert score.n == 0 and np.isnan(score.value) and np.isnan(score.p)


def test_unknown_labels_are_left_out() -> None:
    kind = RNG.integers(3, size=60)
    labels = np.where(np.arange(60) % 4 == 0, -1, kind)
    outcome = identify.classification(np.eye(3)[kind], labels)
    score = significance.summarise(outcome, EVERYONE, pool())
    assert score.n == 45 and score.value == 1 and 0 < score.p < 1 and score.null < 1


def test_few_shifts_are_all_given_once() -> None:
    """20 clips in shots of 2 have 10 shifts: asking for 999 gives those, and p is at least 1 / 10."""
    segments, shots = np.array(["a"] * 20), np.repeat(np.arange(10), 2)
    settings = InferenceSettings(permutations=999)
    scored = significance.Pool(segments, shots, 2.0 * np.arange(20), settings)
    outcome = identify.Outcome(np.eye(20), np.full(20, 0.05))
    score = significance.summarise(outcome, np.ones(20, bool), scored)
    assert score.value == 1.0 and score.p == pytest.approx(1 / 10) and score.permutations == 9


def test_segments_of_one_shot_give_neither_interval_nor_p() -> None:
    """There is no shift that takes a clip out of its shot, and few shots make no interval."""
    segments = np.repeat(["a", "b", "c"], 4)
    scored = significance.Pool(segments, segments, 2.0 * np.arange(12), SETTINGS)
    score = significance.summarise(
        identify.Outcome(np.eye(12), np.full(12, 0.1)), np.ones(12, bool), scored
    )
    assert score.value == 1 and score.permutations == 0
    assert np.isnan([score.p, score.p_high, score.ci_low, score.ci_high, score.null]).all()
    assert np.isnan(significance.reliability_ceiling(unit(12), unit(12), scored))
    # next to one that can be shifted, such a segment stays as it is
    segments, shots = np.repeat(["a", "b"], 8), np.array([0] * 8 + list(range(1, 9)))
    scored = significance.Pool(segments, shots, 2.0 * np.arange(16), SETTINGS)
    assert [len(i) for i, _ in scored.pairings] == [1, 8]
    outcome = identify.Outcome(np.eye(16), np.full(16, 0.1))
    assert significance.summarise(outcome, np.ones(16, bool), scored).p == pytest.approx(1 / 8)


def test_one_prediction_for_all_clips_is_not_above_chance() -> None:
    """Its deviations from the mean are rounding, which must not be correlated with anything."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        same = np.repeat(rng.standard_normal((1, 16)), 60, axis=0).astype(np.float32)
        outcome = identify.correlation(same, unit(60).astype(np.float32))
        score = significance.summarise(outcome, EVERYONE, pool())
        assert score.value == 0 and score.p == 1


def test_the_ceiling_of_known_reliability_is_found() -> None:
    """A perfect decoder under noise reaches the ceiling, and a worse one stays below its own."""
    rng = np.random.default_rng(3)
    true = rng.standard_normal((4000, 6))
    halves = [true + rng.standard_normal(true.shape) * 1.5 for _ in range(2)]
    every = np.arange(4000)
    scored = significance.Pool(np.repeat(list("abcd"), 1000), every, 2.0 * every, SETTINGS)
    ceiling = significance.reliability_ceiling(*halves, scored)
    assert ceiling == pytest.approx(np.sqrt(1 / (1 + 1.5**2 / 2)), abs=0.01)
    reached = np.diag(identify.correlation((halves[0] + halves[1]) / 2, true).matrix).mean()
    assert reached == pytest.approx(ceiling, abs=0.01)
    noise = rng.standard_normal((2, 4000, 6))
    assert np.isnan(significance.reliability_ceiling(*noise, scored))
