"""Sketches of clips whose contents are known."""

from __future__ import annotations

import numpy as np

from boldreel.models.motion import flow_of
from boldreel.models.sketch import CHANNELS, sketch


def made(clip: np.ndarray) -> dict[str, np.ndarray]:
    return dict(zip(CHANNELS, sketch(clip, flow_of(clip)), strict=True))


def test_colours_of_the_middle_frame_and_where_it_moves() -> None:
    rng = np.random.default_rng(0)
    clip = np.repeat(rng.integers(90, 110, (1, 64, 64, 3)), 6, axis=0).astype(np.uint8)
    for k in range(6):
        clip[k, 8:24, 30 + 2 * k : 46 + 2 * k] = rng.integers(200, 255, (16, 16, 3)) * [1, 0, 0]
    texture = clip[0, 8:24, 30:46].copy()
    for k in range(6):
        clip[k, 8:24, 30 + 2 * k : 46 + 2 * k] = texture
    found = made(clip)
    expected = clip[3].reshape(8, 8, 8, 8, 3).mean((1, 3)) / 255
    for number, name in enumerate(CHANNELS[:3]):
        np.testing.assert_allclose(found[name], expected[..., number], atol=1e-6)
    moving = found["moving"]
    row, column = np.unravel_index(moving.argmax(), moving.shape)
    assert row in (1, 2) and column in (4, 5, 6)  # the square: rows 8-24, columns 36-52
    assert moving.max() == 1 and moving[1:3, 4:7].mean() > 3 * moving[5:].mean()


def test_a_camera_that_pans_moves_nothing() -> None:
    rng = np.random.default_rng(1)
    wide = np.kron(rng.integers(0, 255, (16, 24, 3)), np.ones((4, 4, 1), int)).astype(np.uint8)
    pan = np.stack([wide[:, 2 * k : 2 * k + 64] for k in range(6)])
    moved = flow_of(pan)
    assert np.median(np.abs(moved[:, 1])) > 0.5  # all of it does move
    still = np.repeat(pan[:1], 6, axis=0)
    assert not made(still)["moving"].any()
    inner = made(pan)["moving"][2:6, 2:6]
    assert inner.mean() < 0.4


def test_any_size_and_a_single_frame() -> None:
    clip = np.random.default_rng(2).integers(0, 255, (1, 37, 50, 3)).astype(np.uint8)
    found = sketch(clip, np.zeros((0, 2, 32, 32)))
    assert found.shape == (4, 8, 8) and not found[3].any()
    np.testing.assert_allclose(found[:3].mean(), clip.mean() / 255, atol=0.02)
