"""Cuts are found where they are, and nowhere else."""

from pathlib import Path

import numpy as np
import pytest

from boldreel.data import video
from boldreel.insilico import world
from boldreel.stimuli import shots

REAL = Path(__file__).resolve().parents[4] / "shared" / "data" / "videos"


def world_movie(frame_rate: float, n_shots: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(frames reduced to SIDE, times of the cuts) of shots of 2 to 8 s of the embedded world."""
    rng = np.random.default_rng(seed)
    parts, cuts, time = [], [], 0
    for _ in range(n_shots):
        seconds = 2 * int(rng.integers(1, 5))
        scene = world.sample_scene(rng)
        frames = world.render_shot(scene, int(seconds * frame_rate), frame_rate, rng)
        half = frames.reshape(len(frames), 32, 2, 32, 2, 3).mean(axis=(2, 4))
        parts.append(half.astype(np.uint8))
        time += seconds
        cuts.append(time)
    return np.concatenate(parts), np.array(cuts[:-1], dtype=float)


@pytest.mark.parametrize("frame_rate", [3.0, 12.0])
def test_every_cut_of_the_embedded_world(frame_rate: float) -> None:
    frames, cuts = world_movie(frame_rate, 25, seed=int(frame_rate))
    np.testing.assert_allclose(shots.cut_times(frames, frame_rate), cuts)


def noise_shots(rng: np.random.Generator, lengths: list[int]) -> np.ndarray:
    """Shots of a random still picture each, smooth enough to survive as one shot."""
    stills = rng.integers(0, 256, (len(lengths), 4, 4, 3)).repeat(8, 1).repeat(8, 2)
    return np.concatenate(
        [np.repeat(still[None], n, 0) for still, n in zip(stills, lengths, strict=True)]
    ).astype(np.uint8)


def test_motion_light_and_flash_are_no_cuts() -> None:
    rng = np.random.default_rng(0)
    frames = noise_shots(rng, [30, 30]).astype(float)
    frames[:30] *= np.linspace(1, 0.5, 30)[:, None, None, None]  # slow dimming
    for k in range(30, 60):
        frames[k] = np.roll(frames[k], k, axis=1)  # a pan
    frames[12] = 255  # a flash
    assert shots.cut_times(frames.astype(np.uint8), 10.0).tolist() == [3.0]


def test_no_cut_in_a_still_or_a_single_frame() -> None:
    still = noise_shots(np.random.default_rng(1), [20])
    assert not len(shots.cut_times(still, 3.0))
    assert not len(shots.cut_times(still[:1], 3.0))
    assert shots.shot_bounds(np.array([]), 6.0) == [(0.0, 6.0)]


def test_bounds() -> None:
    assert shots.shot_bounds(np.array([2.0, 5.0]), 6.0) == [(0.0, 2.0), (2.0, 3.0), (5.0, 1.0)]


@pytest.mark.skipif(not REAL.is_dir(), reason="no real clips next to this checkout")
def test_real_cuts() -> None:
    """Five cuts seen by eye; the other clip is one shot."""
    frames = video.read_frames(REAL / "bikes.mp4", shots.FRAME_RATE, shots.SIDE)
    found = shots.cut_times(frames, shots.FRAME_RATE)
    np.testing.assert_allclose(found, [1.2, 3.07, 5.53, 7.53, 9.73], atol=0.07)
    frames = video.read_frames(REAL / "carphone_pristine.mp4", shots.FRAME_RATE, shots.SIDE)
    assert not len(shots.cut_times(frames, shots.FRAME_RATE))
