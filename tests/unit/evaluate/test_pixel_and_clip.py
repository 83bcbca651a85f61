"""Pixel, motion and CLIP measures on cases whose answer is known."""

import itertools

import numpy as np
import pytest

from boldreel.evaluate import clip_similarity, motion, pixel


def noise(seed: int, shape: tuple[int, ...] = (4, 3, 16, 16, 3)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def test_mse_is_exact_for_large_frames():
    """Sums of squares of a large frame leave float32's whole numbers; counted in integers here."""
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 256, (2, 3, 2, 160, 160, 3), dtype=np.uint8)
    i = np.arange(3)
    squares = (a.astype(np.int64) - b) ** 2
    expected = squares.sum(axis=(2, 3, 4)) / (160 * 160 * 3)
    np.testing.assert_array_equal(pixel.mse(a, b, i, i), expected)


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


def test_retrieval_is_how_often_drawn_pools_have_the_truth_first():
    rng = np.random.default_rng(0)
    a, b = (x / np.linalg.norm(x, axis=-1, keepdims=True) for x in rng.normal(size=(2, 14, 2, 3)))
    a = a + 0.5 * b
    b[5] = b[6]  # a tie
    shots = np.array([k // 2 for k in range(14)])
    shots[6] = 20
    i = np.arange(14)
    found = clip_similarity.retrieval(a, b, shots, i, i, 4)
    alike = np.einsum("nfd,mfd->nm", a.astype(np.float32), b.astype(np.float32))
    for k in range(14):
        others = np.flatnonzero(shots != shots[k])
        hits = []
        for chosen in itertools.combinations(others, 3):
            best = max(alike[k, list(chosen)])
            tied = np.isclose(alike[k, list(chosen)], alike[k, k], atol=1e-6).sum()
            won = 1 / (1 + tied) if np.isclose(best, alike[k, k], atol=1e-6) else 1.0
            hits.append(won if best <= alike[k, k] + 1e-6 else 0.0)
        assert found[k] == pytest.approx(np.mean(hits), abs=1e-9)
    assert np.isnan(clip_similarity.retrieval(a, b, shots, i, i, 15)).all()
    flat = np.full((14, 1, 4), 0.5)
    assert np.allclose(clip_similarity.retrieval(flat, flat, shots, i, i, 4), 0.25)


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
    views = ("rgb", "hue", "chroma")
    whole = pixel.mse(a, b, i, j), [pixel.correlation(a, b, i, j, view) for view in views]
    monkeypatch.setattr(pixel, "BAND_BYTES", 4000)
    np.testing.assert_allclose(pixel.mse(a, b, i, j), whole[0], rtol=1e-6)
    for view, before in zip(views, whole[1], strict=True):
        np.testing.assert_allclose(pixel.correlation(a, b, i, j, view), before, atol=1e-6)
    assert all((found[3] == 0).all() for found in whole[1])
    plain = np.corrcoef(a[0, 0].ravel(), b[1, 0].ravel())[0, 1]
    other = np.corrcoef(a[0, 1].ravel(), b[1, 1].ravel())[0, 1]
    assert whole[1][0][0, 1] == pytest.approx((plain + other) / 2, abs=1e-6)


def test_true_colour_is_the_mean_and_takes_no_memory():
    from boldreel.evaluate import baselines

    clip = np.zeros((2, 2, 2, 3), np.uint8)
    clip[0, ..., 0], clip[..., 1] = 200, 31
    colour = baselines.mean_colour(clip)
    assert colour.tolist() == [100, 31, 0]
    still = baselines.true_colour(np.stack([colour, colour]), 5, (4, 6))
    assert still.shape == (2, 5, 4, 6, 3) and (still == colour).all()
    assert still.strides[1:4] == (0, 0, 0)


def test_hue_correlation_equals_a_plain_loop():
    """Against one frame at a time with NumPy's own correlation and complex numbers."""
    from skimage.color import rgb2hsv

    a, b = noise(1), noise(2)
    i = np.arange(len(a))
    hue, chroma = np.zeros(len(a)), np.zeros(len(a))
    turn = np.exp(2j * np.pi * np.arange(3) / 3)
    for n in i:
        for f in range(a.shape[1]):
            x, y = a[n, f], b[n, f]
            pair = rgb2hsv(x)[..., 0].ravel(), rgb2hsv(y)[..., 0].ravel()
            hue[n] += np.corrcoef(*pair)[0, 1] / a.shape[1]
            u, v = ((frame.astype(float) @ turn).ravel() for frame in (x, y))
            cosine = np.vdot(u, v).real / np.linalg.norm(u) / np.linalg.norm(v)
            chroma[n] += cosine / a.shape[1]
    np.testing.assert_allclose(pixel.correlation(a, b, i, i, "hue"), hue, atol=1e-5)
    np.testing.assert_allclose(pixel.correlation(a, b, i, i, "chroma"), chroma, atol=1e-5)


def test_hue_is_that_of_scikit_image():
    from skimage.color import rgb2hsv

    few = np.array([0, 1, 2, 127, 128, 254, 255], np.uint8)
    every = np.stack(np.meshgrid(few, few, few), axis=-1).reshape(1, 7, 49, 3)
    drawn = np.random.default_rng(0).integers(0, 256, (2, 40, 40, 3), dtype=np.uint8)
    for rows in (every, drawn):
        np.testing.assert_allclose(pixel._hue(rows), rgb2hsv(rows)[..., 0], atol=1e-6)


def test_hue_in_the_colour_plane_knows_no_ends_of_red_and_no_hue_of_gray():
    wide = np.random.default_rng(0).integers(0, 2, (1, 1, 32, 32, 1))
    low, high = np.array([200, 0, 12]), np.array([200, 12, 0])  # reds on both sides of hue 0
    a = np.where(wide, low, high).astype(np.uint8)
    b = np.where(wide, high, low).astype(np.uint8)
    i = np.zeros(1, dtype=int)
    assert pixel.correlation(a, b, i, i, "hue") == pytest.approx(-1)
    assert pixel.correlation(a, b, i, i, "chroma") > 0.98
    opposite = 255 - a  # complementary colours
    assert pixel.correlation(a, opposite, i, i, "chroma") == pytest.approx(-1)
    gray = np.full_like(a, 77)
    assert pixel.correlation(gray, a, i, i, "chroma") == 0
    # Brightness is no colour: half of it changes nothing.
    assert pixel.correlation(a // 2, a, i, i, "chroma") == pytest.approx(1, abs=1e-4)


def test_order_in_time():
    """A ramp of noise pictures is told from its reverse, a still or a palindrome is not."""
    a = noise(3)
    i = np.arange(len(a))
    np.testing.assert_array_equal(pixel.forward_order(a, a, i, i), 1)
    np.testing.assert_array_equal(pixel.forward_order(a[:, ::-1], a, i, i), 0)
    still = np.repeat(a[:, :1], a.shape[1], axis=1)
    np.testing.assert_array_equal(pixel.forward_order(still, a, i, i), 0.5)
    both = np.concatenate([a, a[:, ::-1]], axis=1)
    np.testing.assert_array_equal(pixel.forward_order(both, both, i, i), 0.5)


def test_order_of_unrelated_clips_is_at_chance():
    a, b = (np.random.default_rng(seed).integers(0, 256, (200, 4, 16, 16, 3)) for seed in (4, 5))
    i = np.arange(200)
    found = pixel.forward_order(a.astype(np.uint8), b.astype(np.uint8), i, i)
    assert set(found) <= {0.0, 1.0} and abs(found.mean() - 0.5) < 0.1
