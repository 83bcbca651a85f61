"""Pixel, motion and CLIP measures on cases whose answer is known."""

import numpy as np
import pytest

from boldreel.evaluate import clip_similarity, motion, pixel


def noise(seed: int, shape: tuple[int, ...] = (4, 3, 16, 16, 3)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def test_mse_and_psnr():
    a = noise(0)
    b = a.copy()
    b[..., 0] = np.where(a[..., 0] > 9, a[..., 0] - 10, a[..., 0] + 10)
    i = np.arange(4)
    error = pixel.mse(a, b, i, i)
    assert error.shape == (4, 3)
    np.testing.assert_allclose(error, 100 / 3, rtol=1e-5)
    np.testing.assert_allclose(pixel.psnr(error), 10 * np.log10(255**2 / (100 / 3)), rtol=1e-5)
    assert np.isfinite(pixel.psnr(pixel.mse(a, a, i, i))).all()


def test_correlation_ignores_brightness_and_knows_gray():
    a = noise(1)
    i = np.arange(4)
    np.testing.assert_allclose(pixel.correlation(a, a // 2 + 20, i, i), 1, atol=1e-3)
    gray = np.full_like(a, 128)
    np.testing.assert_array_equal(pixel.correlation(gray, a, i, i), 0)
    assert abs(pixel.correlation(a, noise(2), i, i)).max() < 0.1


def test_change_counts_only_motion():
    still = np.repeat(noise(3, (2, 1, 8, 8, 3)), 4, axis=1)
    np.testing.assert_array_equal(motion.change(still), 0)
    flicker = still.copy()
    flicker[:, ::2] = 0
    flicker[:, 1::2] = 30
    np.testing.assert_allclose(motion.change(flicker), 30)
    np.testing.assert_array_equal(motion.change(still[:, :1]), 0)


def unit(seed: int, n: int, frames: int = 3, dim: int = 40) -> np.ndarray:
    x = np.random.default_rng(seed).normal(size=(n, frames, dim)).astype(np.float32)
    return x / np.linalg.norm(x, axis=2, keepdims=True)


def test_cosine_and_neighbours():
    a = unit(0, 5)
    i = np.arange(5)
    np.testing.assert_allclose(clip_similarity.cosine(a, a, i, i), 1, atol=1e-6)
    frozen = np.repeat(a[:, :1], 3, axis=1)
    np.testing.assert_allclose(clip_similarity.neighbours(frozen), 1, atol=1e-6)
    assert np.isnan(clip_similarity.neighbours(a[:, :1])).all()


def test_identification_is_at_chance_for_noise_and_one_for_truth():
    a, b = unit(1, 200), unit(2, 200)
    shots = np.repeat(np.arange(100), 2)
    i = np.arange(200)
    found = clip_similarity.identification(a, b, shots, i, i)
    assert found.mean() == pytest.approx(0.5, abs=4 * found.std() / np.sqrt(200))
    assert (clip_similarity.identification(b, b, shots, i, i) == 1).all()
    flat = np.repeat(a[:1], 200, axis=0)
    tied = clip_similarity.identification(flat, flat, shots, i, i)
    np.testing.assert_array_equal(tied, 0.5)


def test_identification_leaves_out_the_own_shot():
    b = unit(3, 4)
    a = b[[1, 0, 3, 2]]  # the other clip of the same shot: not a mistake
    shots = np.array(["x", "x", "y", "y"])
    i = np.arange(4)
    a, b = (a + b) / 2, b
    assert (clip_similarity.identification(a, b, shots, i, i) == 1).all()
    assert np.isnan(clip_similarity.identification(a, b, np.array(["x"] * 4), i, i)).all()


def test_bands_change_nothing(monkeypatch):
    rng = np.random.default_rng(4)
    a, b = rng.integers(0, 256, (2, 5, 2, 17, 9, 3), dtype=np.uint8)
    a[3] = 77  # without variance
    i, j = np.indices((5, 5))
    whole = pixel.mse(a, b, i, j), pixel.correlation(a, b, i, j)
    monkeypatch.setattr(pixel, "BAND_BYTES", 4000)
    np.testing.assert_allclose(pixel.mse(a, b, i, j), whole[0], rtol=1e-6)
    np.testing.assert_allclose(pixel.correlation(a, b, i, j), whole[1], atol=1e-6)
    assert (whole[1][3] == 0).all()
    plain = np.corrcoef(a[0, 0].ravel(), b[1, 0].ravel())[0, 1]
    other = np.corrcoef(a[0, 1].ravel(), b[1, 1].ravel())[0, 1]
    assert whole[1][0, 1] == pytest.approx((plain + other) / 2, abs=1e-6)


def test_true_colour_is_the_mean_and_takes_no_memory():
    from boldreel.evaluate import baselines

    clip = np.zeros((2, 2, 2, 3), np.uint8)
    clip[0, ..., 0], clip[..., 1] = 200, 31
    colour = baselines.mean_colour(clip)
    assert colour.tolist() == [100, 31, 0]
    still = baselines.true_colour(np.stack([colour, colour]), 5, (4, 6))
    assert still.shape == (2, 5, 4, 6, 3) and (still == colour).all()
    assert still.strides[1:4] == (0, 0, 0)
