"""The spatial noise model: known correlations come back, and whitening with it earns what theory says."""

import numpy as np
import pytest

from boldreel.models import noise

RNG = np.random.default_rng(7)
XYZ = RNG.uniform(-40, 40, (150, 3))
TRUE = noise.DistanceCurve(
    exponential=tuple(0.5 if length == 8.0 else 0.0 for length in noise.LENGTHS),
    gaussian=(0.0,) * len(noise.LENGTHS),
    common=0.2,
    own=0.3,
)


def series(volumes, covariance, seed):
    root = np.linalg.cholesky(covariance)
    return np.random.default_rng(seed).standard_normal((volumes, len(root))) @ root.T


def test_curve_that_made_the_data_comes_back():
    runs = [series(240, TRUE.matrix(XYZ), seed) for seed in range(4)]
    found = noise.distance_curve(noise.sample_correlation(runs), XYZ)
    apart = np.array([4.0, 10.0, 20.0, 60.0, 120.0])
    np.testing.assert_allclose(found.at(apart), TRUE.at(apart), atol=0.05)
    total = sum(found.exponential) + sum(found.gaussian) + found.common + found.own
    assert total == pytest.approx(1)


def test_matrix_of_a_curve_is_positive_definite_and_ignores_padding():
    xyz = np.vstack([XYZ, XYZ[:1], [[np.nan] * 3]])  # one position twice, one without a place
    matrix = TRUE.matrix(xyz)
    assert np.linalg.eigvalsh(matrix)[0] > 0
    np.testing.assert_array_equal(matrix[-1], np.eye(len(xyz))[-1])


def test_shrinkage_is_nearer_to_the_truth_than_both_its_parts_and_leaves_the_target_as_data_grow():
    areas = np.repeat(np.arange(5), 30)
    truth = 0.6 * TRUE.matrix(XYZ) + 0.4 * (areas[:, None] == areas)  # more than distance tells
    np.fill_diagonal(truth, 1)
    weights = []
    for runs in (2, 20):
        sample = noise.sample_correlation([series(180, truth, seed) for seed in range(runs)])
        target = noise.distance_curve(sample, XYZ).matrix(XYZ)
        mixed, weight = noise.shrunk(sample, target)
        error = {
            name: np.linalg.norm(one - truth)
            for name, one in (("mixed", mixed), ("sample", sample.mean), ("target", target))
        }
        assert error["mixed"] < 1.01 * min(error["sample"], error["target"])
        weights.append(weight)
    assert weights[1] < weights[0]


def test_a_sample_of_the_target_itself_is_shrunk_all_the_way():
    sample = noise.sample_correlation([series(180, TRUE.matrix(XYZ), seed) for seed in range(3)])
    _, weight = noise.shrunk(sample, TRUE.matrix(XYZ))
    assert weight > 0.9


def test_runs_taken_away_leave_the_others() -> None:
    runs = [series(150, TRUE.matrix(XYZ), seed) for seed in range(4)]
    runs[2][:, 5] = 0
    without = noise.Sums.of(runs) - noise.Sums.of(runs[1:3])
    found, expected = without.correlation(), noise.sample_correlation([runs[0], runs[3]])
    np.testing.assert_allclose(found.mean, expected.mean, atol=1e-5)
    np.testing.assert_allclose(found.error, expected.error, atol=1e-5)
    np.testing.assert_array_equal(found.blocks, expected.blocks)


def test_sums_are_those_of_each_block_by_itself() -> None:
    runs = [series(150, TRUE.matrix(XYZ), seed) for seed in range(2)]
    blocks = []
    for run in runs:
        values = (run - run.mean(0)) / run.std(0)
        blocks += [part.T @ part / len(part) for part in np.array_split(values, 2)]
    sums = noise.Sums.of(runs)
    np.testing.assert_allclose(sums.products, np.sum(blocks, 0), atol=1e-5)
    np.testing.assert_allclose(sums.squares, np.sum(np.square(blocks), 0), atol=1e-5)
    assert (sums.blocks == 4).all()


def test_a_mixture_that_is_known_to_be_positive_is_the_same_without_a_look() -> None:
    sample = noise.sample_correlation([series(180, TRUE.matrix(XYZ), seed) for seed in range(3)])
    near = noise.DistanceCurve(TRUE.exponential, TRUE.gaussian, 0.0, 0.5)
    target = near.matrix(XYZ)
    assert np.linalg.eigvalsh(target)[0] >= near.own
    looked, weight = noise.shrunk(sample, target)
    known, same = noise.shrunk(sample, target, near.own)
    assert 0 < weight < 1 and weight == same
    np.testing.assert_array_equal(looked, known)
    assert np.linalg.eigvalsh(known)[0] >= weight * near.own - 1e-6


def test_slow_noise_counts_as_fewer_samples():
    """Autocorrelated series hold fewer independent volumes: the error between blocks is larger."""
    fast = [series(240, TRUE.matrix(XYZ), seed) for seed in range(4)]
    slow = []
    for run in fast:
        out = run.copy()
        for k in range(1, len(out)):
            out[k] = 0.9 * out[k - 1] + np.sqrt(1 - 0.81) * out[k]
        slow.append(out)
    error = [noise.sample_correlation(runs).error.mean() for runs in (fast, slow)]
    assert error[1] > 3 * error[0]


def test_a_position_that_a_run_lacks_counts_where_it_is_there():
    matrix = TRUE.matrix(XYZ)
    runs = [series(240, matrix, seed) for seed in range(4)]
    runs[0][:, 3] = 0
    whole = noise.sample_correlation([series(240, matrix, seed) for seed in range(4)])
    part = noise.sample_correlation(runs)
    assert part.blocks[3, 5] == whole.blocks[3, 5] - part.blocks[5, 5] // 4
    assert abs(part.mean[3, 5] - matrix[3, 5]) < 0.15
    never = noise.sample_correlation([np.where(np.arange(150) == 3, 0, run) for run in runs])
    mixed, _ = noise.shrunk(never, matrix)
    np.testing.assert_array_equal(mixed[3], matrix[3])
    assert np.linalg.eigvalsh(mixed)[0] > 0


def test_series_of_different_width_are_refused():
    with pytest.raises(ValueError, match="150 and of 149"):
        noise.sample_correlation([np.ones((9, 150)), np.ones((9, 149))])
