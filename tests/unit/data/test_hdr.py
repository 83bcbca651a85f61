"""Light comes out as the standards say, and as much of it as a standard display shows."""

import numpy as np
import pytest

from boldreel.data import hdr


def grey(code: float) -> np.ndarray:
    return np.full((1, 3), code)


def test_pq_is_that_of_the_standard():
    """BT.2408: middle grey at 38 %, diffuse white at 58 %, its peak of 1000 cd/m2 at 75 %."""
    light = np.array([26, 100, 203, 1000, 10000])
    np.testing.assert_allclose(hdr.pq_code(light), [0.38, 0.508, 0.58, 0.752, 1], atol=3e-3)
    np.testing.assert_allclose(hdr.pq_light(hdr.pq_code(light)), light, rtol=1e-6)


def test_hlg_is_that_of_the_standard():
    """BT.2408: diffuse white, 203 cd/m2 of 1000, is at 75 %, and middle grey, 26 cd/m2, at 38 %."""
    light = [float(hdr.hlg_light(grey(code))[0, 0]) for code in (0, 0.38, 0.75, 1)]
    np.testing.assert_allclose(light, [0, 26, 203, 1000], rtol=0.02, atol=1e-3)


def test_tone_mapping_keeps_the_dark_and_the_order():
    light = np.geomspace(0.01, 1000, 200)
    mapped = hdr.tone_map(light)
    np.testing.assert_allclose(mapped[light < 29], light[light < 29], rtol=1e-6)
    assert (np.diff(mapped) > 0).all() and mapped[-1] == pytest.approx(hdr.WHITE, rel=1e-4)
    assert 80 < hdr.tone_map(np.array([203.0]))[0] < 95, "diffuse white is nearly white"


def test_a_dark_grey_is_the_same_light_on_both_displays():
    for light in (1.0, 5.0, 20.0):
        code = round(255 * (light / 100) ** (1 / 2.4))
        found = hdr.to_standard(grey(float(hdr.pq_code(np.array(light)))), "PQ")
        np.testing.assert_array_equal(found, np.full((1, 3), code))


def test_primaries_of_bt709_are_what_they_were():
    """BT.709's red in BT.2020's primaries comes back; without conversion it would look pale."""
    red = np.array([0.6274, 0.0691, 0.0164]) ** (1 / 2.4)
    np.testing.assert_allclose(hdr.to_standard(red[None], "BT.2020")[0], [255, 0, 0], atol=8)
    pq = hdr.pq_code(20 * np.array([0.6274, 0.0691, 0.0164]))
    full = round(255 * 0.2 ** (1 / 2.4))
    np.testing.assert_allclose(hdr.to_standard(pq[None], "PQ")[0], [full, 0, 0], atol=8)
