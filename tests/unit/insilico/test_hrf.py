from __future__ import annotations

import numpy as np
import pytest

from boldreel.insilico import hrf


@pytest.mark.parametrize("time_to_peak", [4.2, 5.0, 6.0])
def test_peak_is_where_it_is_asked(time_to_peak):
    time = np.arange(0, 32, 0.01)
    response = hrf.double_gamma(time, time_to_peak)
    assert time[response.argmax()] == pytest.approx(time_to_peak, abs=0.15)
    assert response.max() == pytest.approx(1, abs=0.01)
    assert response.min() < -0.03


def test_response_to_a_clip_peaks_about_half_a_clip_later():
    assert hrf.response_peak(5.0) == pytest.approx(6.0, abs=0.15)


def test_convolution_is_the_integral():
    rng = np.random.default_rng(0)
    neural = rng.standard_normal((1, 80))
    fine = np.repeat(neural[0], 50)
    kernel = hrf.double_gamma((np.arange(3200) + 0.5) / 100, 5.0)
    exact = np.convolve(fine, kernel)[: len(fine)] / 100
    bold = hrf.convolve(neural, 0.5, 5.0)[0]
    # entry k is the response just before k * 0.5 s
    assert np.abs(bold[1:] - exact[49::50][:79]).max() < 0.03 * np.abs(exact).max()
    assert bold[0] == pytest.approx(0, abs=1e-5)


def test_nothing_comes_before_its_cause():
    neural = np.zeros((1, 60))
    neural[0, 30:] = 1
    assert np.abs(hrf.convolve(neural, 0.5, 4.5)[0, :31]).max() < 1e-5
