"""Comparisons of flows."""

from __future__ import annotations

import numpy as np

from boldreel.evaluate import flow


def test_comparisons() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(0, 2, (4, 5, 2, 64, 64)).astype(np.float16)
    same = np.arange(4)[None]
    zero = np.zeros_like(truth)
    length = np.sqrt((truth.astype(float) ** 2).sum(2)).mean((1, 2, 3))
    np.testing.assert_allclose(flow.end_point_error(truth, truth, same, same), 0)
    np.testing.assert_allclose(flow.end_point_error(zero, truth, same, same)[0], length, rtol=1e-3)
    np.testing.assert_allclose(flow.direction(3 * truth, truth, same, same), 1, atol=1e-3)
    np.testing.assert_allclose(flow.direction(-truth, truth, same, same), -1, atol=1e-3)
    np.testing.assert_allclose(flow.direction(zero, truth, same, same), 0)
    turned = truth[:, :, ::-1] * np.array([1, -1], np.float16)[:, None, None]
    np.testing.assert_allclose(flow.direction(turned, truth, same, same), 0, atol=1e-3)
    assert np.isnan(flow.direction(truth, zero, same, same)).all()
    shifted = (same + 1) % 4
    other = flow.end_point_error(truth, truth, same, shifted)[0]
    by_hand = np.sqrt(((truth - truth[shifted[0]]).astype(float) ** 2).sum(2)).mean((1, 2, 3))
    np.testing.assert_allclose(other, by_hand, rtol=1e-2)
