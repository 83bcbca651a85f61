from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from boldreel.errors import UserError
from boldreel.insilico import noise

SPECTRUM = noise.Spectrum(0.1, 1.0, 0.3)


def test_the_spectrum_is_recovered():
    rng = np.random.default_rng(0)
    made = noise.shape_in_time(rng.standard_normal((240, 4000)), 2.0, SPECTRUM)
    assert made.var() == pytest.approx(1, abs=0.01)
    frequency = np.fft.rfftfreq(240, 2.0)
    power = (np.abs(np.fft.rfft(made, axis=0)) ** 2).mean(1)
    kept = frequency >= noise.LOWEST
    assert power[~kept].max() < 1e-9 * power.max()
    ratio = power[kept][:-1] / SPECTRUM.power(frequency[kept][:-1])
    assert ratio.std() / ratio.mean() < 0.05


def test_the_stored_spectrum_falls_as_real_bold_does():
    stored = noise.read_spectrum()
    low, high = stored.power(np.array([0.015, 0.2]))
    assert 2 < low / high < 20


def test_field_is_smooth_and_of_unit_variance():
    rng = np.random.default_rng(1)
    sigma = 5 / 2.355 / 4
    field = noise.field(rng, (20, 20, 20), 60, 2.0, sigma, SPECTRUM)
    assert field.var() == pytest.approx(1, abs=0.03)
    beside = np.mean(field[:, 1:] * field[:, :-1])
    # White noise, smoothed: neighbours correlate as the kernel with itself, one voxel further.
    kernel = gaussian_filter1d(np.eye(1, 33, 16)[0], sigma)
    own = (kernel[1:] * kernel[:-1]).sum() / (kernel**2).sum()
    assert 0.3 < own < 0.5
    expected = (1 - noise.GLOBAL**2) * own + noise.GLOBAL**2
    assert beside == pytest.approx(expected, abs=0.03)


def test_the_whole_brain_shares_a_little():
    rng = np.random.default_rng(2)
    field = noise.field(rng, (24, 24, 24), 120, 2.0, 0.0, SPECTRUM)
    common = field.reshape(120, -1).mean(1)
    assert common.std() == pytest.approx(noise.GLOBAL, rel=0.25)


def test_drift_is_slow():
    rng = np.random.default_rng(3)
    drift = noise.drift(rng, 120, rng.uniform(-1, 1, (50, 3)))
    basis = np.polynomial.legendre.legvander(np.linspace(-1, 1, 120), 3)
    left = drift - basis @ np.linalg.lstsq(basis, drift, rcond=None)[0]
    assert np.abs(left).max() < 1e-4
    assert drift.std() > 0.2


def test_a_damaged_spectrum_is_refused(tmp_path):
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(UserError, match=r"x\.json"):
        noise.read_spectrum(tmp_path / "x.json")
