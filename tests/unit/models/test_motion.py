"""The motion code of clips whose motion is known."""

from __future__ import annotations

import numpy as np
import pytest

from boldreel.models.motion import CODE, flow_of, motion_code

RATE = 3.0


def moving(right: float, down: float, frames: int = 6, side: int = 64) -> np.ndarray:
    """A textured square that moves over a still background; `right` and `down` in pixels per frame."""
    rng = np.random.default_rng(0)
    background = rng.integers(90, 110, (side, side, 3))
    texture = np.kron(rng.integers(0, 255, (5, 5, 3)), np.ones((4, 4, 1), int))
    out = np.repeat(background[None], frames, axis=0)
    for k in range(frames):
        x, y = round(22 + right * (k - 2)), round(22 + down * (k - 2))
        out[k, y : y + 20, x : x + 20] = texture
    return out.astype(np.uint8)


def code_of(clip: np.ndarray, rate: float = RATE) -> np.ndarray:
    return motion_code(clip, flow_of(clip), rate)


@pytest.mark.parametrize(
    ("right", "down", "column"), [(2, 0, "right"), (-2, 0, "left"), (0, 2, "down"), (0, -2, "up")]
)
def test_direction_and_speed(right: int, down: int, column: str) -> None:
    code = dict(zip(CODE, code_of(moving(right, down)), strict=True))
    velocities = {name: code[name] for name in ("right", "left", "down", "up")}
    assert max(velocities, key=velocities.__getitem__) == column
    # two pixels of 64 in a third of a second
    assert velocities[column] == pytest.approx(2 / 64 * RATE, rel=0.35)
    assert velocities[column] > 3 * sorted(velocities.values())[-2]
    fast = dict(zip(CODE, code_of(moving(2 * right, 2 * down)), strict=True))
    assert fast["speed"] > code["speed"] and fast["change"] > code["change"] > 0


def test_what_stands_still_or_has_one_frame_has_no_motion() -> None:
    still = np.repeat(moving(0, 0)[:1], 6, axis=0)
    np.testing.assert_array_equal(code_of(still), 0)
    np.testing.assert_array_equal(code_of(still[:1]), 0)


def test_units_do_not_depend_on_the_frame_rate_or_the_size() -> None:
    clip = moving(1, 0, frames=11)
    every, second = code_of(clip, 6.0), code_of(clip[::2], 3.0)
    assert every[0] == pytest.approx(second[0], rel=0.3)
