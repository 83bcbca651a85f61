"""Slice-time correction gives what would have been seen at the reference time."""

import numpy as np
import pytest

from boldreel.bold import slice_timing

T_R, COUNT, PERIOD = 2.0, 80, 14.0


def signal(seconds):
    return np.sin(2 * np.pi * seconds / PERIOD)


@pytest.mark.parametrize(("direction", "axis"), [("k", 3), ("j", 2), ("i", 1)])
def test_a_sine_is_moved_to_the_reference_time(direction, axis):
    times = np.array([0.0, 1.0, 0.5, 1.5, 0.0])
    start = np.arange(COUNT) * T_R
    shape = [1, 3, 3, 3]
    shape[axis] = len(times)
    seen = signal(start[:, None] + times)
    seen = np.moveaxis(np.broadcast_to(seen[:, None, None], (COUNT, 3, 3, 5)), 3, axis)
    corrected = slice_timing.correct(seen.astype(np.float32), times, T_R, 1.0, direction)
    wanted = np.broadcast_to(signal(start + 1.0)[:, None, None, None], corrected.shape)
    before = np.abs(seen - wanted)[3:-3].max()
    after = np.abs(corrected - wanted)[3:-3].max()
    assert corrected.shape == seen.shape
    assert before > 0.3 and after < 0.005


def test_reversed_encoding_direction():
    times = np.array([0.0, 0.5, 1.0])
    start = np.arange(COUNT) * T_R
    seen = signal(start[:, None] + times[::-1])[:, None, None].astype(np.float32)
    corrected = slice_timing.correct(seen, times, T_R, 1.0, "k-")
    np.testing.assert_allclose(corrected[3:-3, 0, 0, 2], signal(start + 1.0)[3:-3], atol=0.005)


def test_no_shift_changes_nothing_and_constants_stay():
    np.testing.assert_allclose(slice_timing.shift_matrix(12, 0.0), np.eye(12), atol=1e-12)
    np.testing.assert_allclose(slice_timing.shift_matrix(12, 0.37).sum(1), 1.0)
    assert slice_timing.shift_matrix(1, 0.5).shape == (1, 1)
