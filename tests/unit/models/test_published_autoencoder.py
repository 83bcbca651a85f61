"""The published preparation of arrays, quirk by quirk."""

from __future__ import annotations

import numpy as np
import pytest

from boldreel.models import published_autoencoder as published


def test_padding_repeats_voxels_from_the_front() -> None:
    x = np.arange(5.0)[None]
    assert published.pad_to_patches(x, 4).tolist() == [[0, 1, 2, 3, 4, 0, 1, 2]]
    assert published.pad_to_length(x, 12).tolist() == [[0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1]]
    assert published.pad_to_length(x, 5).tolist() == x.tolist()
    with pytest.raises(ValueError, match="5 voxels"):
        published.pad_to_length(x, 4)


def test_a_whole_patch_is_added_where_the_size_divides() -> None:
    assert published.pad_to_patches(np.arange(4.0)[None], 4).tolist() == [[0, 1, 2, 3, 0, 1, 2, 3]]


def test_resting_samples_are_means_of_ten_frames() -> None:
    series = np.random.default_rng(0).normal(3, 2, (35, 5))
    samples = published.corpus_samples(series, 4)
    assert samples.shape == (3, 8)
    assert abs(samples.mean()) < 1e-12 and abs(samples.std() - 1) < 1e-12
    # one mean and one spread for all: differences keep their proportions
    means = [series[10 * i : 10 * i + 10].mean(axis=0) for i in range(3)]
    ratio = (means[1] - means[0]) / (samples[1] - samples[0])[:5]
    assert np.allclose(ratio, ratio[0])
    assert np.array_equal(samples[:, 5:], samples[:, :3])


def test_the_test_set_stays_as_it_was() -> None:
    rng = np.random.default_rng(1)
    train, test = rng.normal(100, 9, (2, 6, 8)), rng.normal(100, 9, (2, 6, 8))
    normalised, left = published.prepare_splits(train, test, 4)
    assert abs(normalised[..., :8].mean()) < 1e-12
    # about as before, although the training set went from 100 to 0
    assert abs(left.mean() - test.mean()) < 15


def test_windows_stay_in_their_run() -> None:
    runs = np.arange(6.0).reshape(2, 3, 1)
    made = published.windows(runs, 2)
    assert made.dtype == np.float32
    assert made[..., 0].tolist() == [[0, 1], [1, 2], [2, 2], [3, 4], [4, 5], [5, 5]]
    assert published.windows(runs, 1)[..., 0].tolist() == [[0], [1], [2], [3], [4], [5]]
    assert published.windows(runs, 5)[1, :, 0].tolist() == [1, 2, 2, 2, 2]


def test_negative_window_is_the_mean_of_the_test_set() -> None:
    runs = np.arange(12.0).reshape(2, 3, 2)
    assert published.negative_window(runs, 3).tolist() == [[5, 6]] * 3
