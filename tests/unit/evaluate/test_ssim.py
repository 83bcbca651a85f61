"""The fast pairing equals scikit-image, in both definitions and in bands, and published values."""

from pathlib import Path

import numpy as np
import pytest

from boldreel.evaluate import ssim

PUBLISHED = Path(__file__).parents[3].parent / "shared" / "conformance" / "c2_ssim.npz"


def clips(seed: int, n: int = 3, frames: int = 2, size: tuple[int, int] = (24, 30)) -> np.ndarray:
    rng = np.random.default_rng(seed)
    smooth = (
        rng.uniform(0, 255, (n, frames, 1, size[1], 3))
        * np.linspace(0.2, 1, size[0])[:, None, None]
    )
    return np.clip(smooth + rng.normal(0, 20, (n, frames, *size, 3)), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("definition", list(ssim.DEFINITIONS))
@pytest.mark.parametrize("bytes_", [2.5e8, 2e4])
def test_pairs_equal_scikit_image(definition, bytes_, monkeypatch):
    monkeypatch.setattr(ssim, "BAND_BYTES", bytes_)
    a, b = clips(0), clips(1)
    i, j = np.array([[0, 1, 2], [2, 0, 1]]), np.array([[0, 1, 2], [0, 1, 2]])
    found = ssim.pairs(a, b, i, j, definition)
    for place in np.ndindex(i.shape):
        by_frame = [
            ssim.frame(a[i[place], f], b[j[place], f], definition) for f in range(a.shape[1])
        ]
        assert found[place] == pytest.approx(np.mean(by_frame), abs=1e-10)


@pytest.mark.parametrize("definition", list(ssim.DEFINITIONS))
def test_same_frame_is_one_and_order_does_not_matter(definition):
    a, b = clips(2), clips(3)
    i = np.arange(3)
    np.testing.assert_allclose(ssim.pairs(a, a, i, i, definition), 1, atol=1e-10)
    there = ssim.pairs(a, b, i, i, definition)
    np.testing.assert_allclose(there, ssim.pairs(b, a, i, i, definition), atol=1e-12)


def test_small_frames_are_refused():
    a = np.zeros((1, 1, 5, 5, 3), dtype=np.uint8)
    with pytest.raises(ValueError, match="smaller than the 7-pixel window"):
        ssim.pairs(a, a, np.array([0]), np.array([0]))


@pytest.mark.skipif(not PUBLISHED.exists(), reason="no conformance arrays next to the checkout")
def test_published_arrays():
    arrays = np.load(PUBLISHED)
    pred, truth, expected = arrays["pred"], arrays["gt"], arrays["ssim_per_frame"]
    i = np.arange(len(pred))
    for f in range(expected.shape[1]):
        found = ssim.pairs(pred[:, f : f + 1], truth[:, f : f + 1], i, i)
        np.testing.assert_allclose(found, expected[:, f], rtol=0, atol=1e-7)


def test_groups_hold_every_pair_once_and_follow_the_shifts():
    from boldreel.stats import shifts

    for n, count in ((12, 4), (13, 4), (12, 1)):
        i, j = map(np.ravel, shifts.shifted(n, shifts.spaced(n, 1, count)))
        groups = ssim._groups(i, j)
        assert sorted(np.concatenate(groups)) == list(range(n * count))
        if n == 12:
            assert all(len(set(i[g])) == len(set(j[g])) == count for g in groups)
