"""Optical flow: known motion is found."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data, transform
from skimage.registration import optical_flow_tvl1

from boldreel.models import optical_flow as flow

PHOTO = data.astronaut()
INSIDE = slice(12, -12)  # what comes in at the edge was not seen before


def _clip(step: tuple[float, float], side: int = 64, frames: int = 3) -> np.ndarray:
    """A picture of which a window moves by `step` pixels of 64 a frame, so that it seems to move back."""
    out = []
    for k in range(frames):
        low = 100 + np.array(step) * k * 3  # the photograph has 3 pixels for each of 64
        matrix = np.array([[1, 0, low[1]], [0, 1, low[0]], [0, 0, 1]])
        shown = transform.warp(PHOTO, transform.AffineTransform(matrix), output_shape=(192, 192))
        out.append(transform.resize(shown, (side, side), anti_aliasing=True))
    return (np.stack(out) * 255).round().astype(np.uint8)


@settings(max_examples=8, deadline=None)
@given(st.floats(-3, 3), st.floats(-3, 3))
def test_a_shift_is_found(rows: float, columns: float) -> None:
    found = flow.flows(_clip((rows, columns))[None]).astype(float)[0]
    assert found.shape == (2, 2, 64, 64)
    middle = found[:, :, INSIDE, INSIDE]
    expected = np.array([-rows, -columns])[None, :, None, None]
    assert np.abs(middle - expected).mean() < 0.15


@pytest.mark.parametrize("side", [32, 96, 160])
def test_flow_does_not_depend_on_the_size_of_the_frames(side: int) -> None:
    same = flow.flows(np.stack([_clip((1.5, -1.0))])).astype(float)
    other = flow.flows(_clip((1.5, -1.0), side)[None]).astype(float)
    inner = (..., INSIDE, INSIDE)
    assert np.abs(same[inner] - other[inner]).mean() < 0.15


def test_a_turn_is_found_as_another_program_finds_it() -> None:
    first = transform.resize(PHOTO[100:292, 100:292].mean(-1) / 255, (64, 64), anti_aliasing=True)
    second = transform.rotate(first, 3.0, mode="edge")
    pair = (torch.from_numpy(p.astype(np.float32))[None] for p in (first, second))
    found = flow.estimate(*pair)[0].numpy()
    theirs = optical_flow_tvl1(first.astype(np.float32), second.astype(np.float32))
    inner = (slice(None), INSIDE, INSIDE)
    assert np.abs(found - theirs)[inner].mean() < 0.05
    # counter-clockwise about the middle: right of it things go up
    assert found[0, 32, 48] < -0.5 and found[0, 32, 16] > 0.5


def test_frames_that_are_alike_do_not_move_and_single_frames_have_no_flow() -> None:
    still = np.repeat(_clip((0, 0), frames=1)[None], 3, axis=1)
    found = np.abs(flow.flows(still).astype(float))
    assert found.mean() < 1e-3 and found.max() < 0.1  # rounding counts where a picture is flat
    assert not flow.flows(np.full((1, 3, 48, 64, 3), 128, np.uint8)).any()
    assert flow.flows(still[:, :1]).shape == (1, 0, 2, 64, 64)


def test_batches_change_nothing() -> None:
    clips = np.stack([_clip((k / 4, 1 - k / 4)) for k in range(11)])
    together = flow.flows(clips)
    for k in (0, 7, 10):
        np.testing.assert_allclose(flow.flows(clips[k : k + 1])[0], together[k], atol=2e-2)
