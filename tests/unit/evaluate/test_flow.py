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


def test_dominant_motion_and_where_it_is() -> None:
    """A patch that moves by two pixels, over a still picture and with a camera that pans."""
    right = np.zeros((1, 5, 2, 64, 64), np.float16)
    right[0, :, 1, 10:20, 40:50] = 2
    elsewhere = np.zeros_like(right)
    elsewhere[0, :, 1, 40:50, 10:20] = 2
    down = np.zeros_like(right)
    down[0, :, 0, 10:20, 40:50] = 2
    panned = right.copy()
    panned[0, :, 0] += 0.3
    flows = np.concatenate([right, elsewhere, down, -right, np.zeros_like(right), panned])
    i, j = np.arange(6)[None], np.zeros((1, 6), int)
    found = flow.dominant(flows, flows, i, j)[0]
    np.testing.assert_allclose(found[:5], [1, 1, 0, -1, 0], atol=1e-3)
    distance = flow.apart(flows, flows, i, j)[0]
    middle = np.hypot(14.5 - 31.5, 44.5 - 31.5)
    np.testing.assert_allclose(distance, [0, np.hypot(30, 30), 0, 0, middle, 0], atol=0.05)
    still = np.full((1, 1), 4)
    assert np.isnan(flow.dominant(flows, flows, i[:, :1], still)).all()
    assert np.isnan(flow.apart(flows, flows, i[:, :1], still)).all()
