"""The closed form of n-way identification equals enumeration, its chance, and published arrays."""

from itertools import combinations
from math import comb
from pathlib import Path
from time import process_time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boldreel.evaluate import nway

PUBLISHED = Path(__file__).parents[3].parent / "shared" / "conformance" / "c1_nway_topk_img1000.npz"


def enumerated(scores: np.ndarray, right: np.ndarray, n_way: int, top_k: int) -> float:
    """Expected success by going through every draw of distractors; ties in random order."""
    others = [c for c in range(len(scores)) if c not in set(right.tolist())]
    best = scores[right].max()
    tied_right = int((scores[right] == best).sum())
    wins = 0.0
    for drawn in combinations(others, n_way - 1):
        above = sum(scores[c] > best for c in drawn)
        ties = sum(scores[c] == best for c in drawn)
        # All orders of the tied classes are equally likely; the first right one decides.
        total = comb(ties + tied_right, tied_right)
        for before in range(ties + 1):
            ways = comb(ties + tied_right - 1 - before, tied_right - 1)
            wins += (above + before < top_k) * ways / total
    return wins / comb(len(others), n_way - 1)


@settings(max_examples=60)
@given(
    scores=st.lists(st.integers(0, 6), min_size=7, max_size=9),
    n_way=st.integers(2, 4),
    top_k=st.integers(1, 3),
    right=st.integers(1, 3),
    seed=st.integers(0, 100),
)
def test_closed_form_equals_enumeration_with_ties(scores, n_way, top_k, right, seed):
    values = np.array(scores, dtype=float)
    chosen = np.random.default_rng(seed).permutation(len(values))[:right]
    found = nway.exact(values, chosen, n_way, top_k)
    assert found == pytest.approx(enumerated(values, chosen, n_way, top_k), abs=1e-12)


@pytest.mark.parametrize(
    ("n_way", "right", "expected"), [(2, 3, 0.75), (50, 3, 3 / 52), (2, 1, 0.5), (50, 1, 0.02)]
)
def test_chance_values(n_way, right, expected):
    assert nway.chance(n_way, 1, right) == pytest.approx(expected)


@pytest.mark.parametrize("top_k", [1, 3])
def test_random_scores_come_out_at_chance(top_k):
    rng = np.random.default_rng(0)
    scores, truth = rng.normal(size=(2, 4000, 80))
    for right in (1, 3):
        values = nway.exact(scores, nway.right_classes(truth, right), 10, top_k)
        error = values.std() / np.sqrt(len(values))
        assert abs(values.mean() - nway.chance(10, top_k, right)) < 4 * error


def test_flat_prediction_is_exactly_at_chance():
    right = np.array([[3, 5, 8]])
    for n_way in (2, 50):
        found = nway.exact(np.zeros((1, 100)), right, n_way)[0]
        assert found == pytest.approx(nway.chance(n_way), abs=1e-12)


def test_perfect_prediction_always_wins_and_monotone_maps_change_nothing():
    rng = np.random.default_rng(1)
    truth = rng.normal(size=(5, 6, 60))
    right = nway.right_classes(truth)
    assert (nway.exact(truth, right, 50) == 1).all()
    other = rng.normal(size=truth.shape)
    found = nway.exact(other, right, 20, 2)
    assert found.shape == (5, 6)
    np.testing.assert_allclose(found, nway.exact(np.exp(3 * other), right, 20, 2))


def test_right_classes_are_the_best():
    truth = np.random.default_rng(2).normal(size=(20, 30))
    found = np.sort(nway.right_classes(truth), axis=1)
    np.testing.assert_array_equal(found, np.sort(np.argsort(truth, axis=1)[:, -3:], axis=1))


def test_too_few_classes_is_refused():
    with pytest.raises(ValueError, match="50-way needs 49 distractors"):
        nway.exact(np.zeros((1, 20)), np.array([[0, 1, 2]]), 50)


def test_full_size_takes_under_a_second():
    rng = np.random.default_rng(3)
    scores, truth = rng.normal(size=(2, 1200, 6, 1000)).astype(np.float32)
    start = process_time()
    nway.exact(scores, nway.right_classes(truth), 50)
    assert process_time() - start < 1.0


@pytest.mark.skipif(not PUBLISHED.exists(), reason="no conformance arrays next to the checkout")
def test_published_arrays():
    arrays = np.load(PUBLISHED)
    scores, right = arrays["probs_pred"], arrays["gt_top3"]
    found = np.sort(nway.right_classes(arrays["logits_gt"]), axis=1)
    np.testing.assert_array_equal(found, np.sort(right, axis=1))
    for n_way, top_k in ((2, 1), (10, 1), (10, 3), (50, 1), (50, 3)):
        name = f"n{n_way}_k{top_k}"
        recorded = nway.recorded(scores, right, arrays[f"distractors_n{n_way}"], top_k)
        np.testing.assert_array_equal(recorded, arrays[f"acc_{name}"])
        exact = nway.exact(scores, right, n_way, top_k)
        np.testing.assert_allclose(exact, arrays[f"exact_{name}"], rtol=0, atol=1e-12)
