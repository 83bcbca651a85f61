"""The movie clock against the numbers of cc2017, plain loops, and any timing at all."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fixtures_presentations import row

from boldreel.windows import clock


def clips_of(movie: str, number: int, duration: float) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "clip": [f"{movie}-{k:04d}" for k in range(number)],
            "movie": movie,
            "start": duration * np.arange(number),
            "duration": duration,
        }
    )


@pytest.mark.parametrize("start_time", [0.0, 1.0])
@pytest.mark.parametrize(("volumes", "begins", "dropped"), [(246, 0.0, 2), (245, 2.0, 1)])
def test_cc2017(volumes: int, begins: float, dropped: int, start_time: float) -> None:
    """The authors drop 2 of 246 or 1 of 245 volumes and the last 4, and keep one per clip: a lag of 4 s.

    Runs of 245 volumes begin 2 s after the movie, so the movie's onset is at -2 s. It holds whether
    volumes are timed by their beginning or, after slice-time correction, by their middle.
    """
    clips = clips_of("seg1", 240, 2.0)
    shown = clock.clip_onsets(clips, [row(-begins, 480.0, "seg1.mp4")])
    first = clock.first_volumes(shown.onsets, 4.0, 2.0, start_time)
    kept = np.arange(volumes)[dropped:-4]
    assert len(kept) == 240
    np.testing.assert_array_equal(first, kept)


def test_ties_go_to_the_later_volume() -> None:
    times = clock.volume_times(5, 2.0, 1.0)
    np.testing.assert_array_equal(times, [1, 3, 5, 7, 9])
    assert clock.first_volumes(np.array([0.0]), 4.0, 2.0, 1.0).tolist() == [2]
    assert clock.first_volumes(np.array([0.0]), 3.9, 2.0, 1.0).tolist() == [1]


def test_gaps_parts_and_repeats() -> None:
    """A movie interrupted by a pause, its first part again, and another movie that is not known."""
    events = [
        row(6, 4, "m.mp4", 0),
        row(20, 5, "m.mp4", 5),
        row(40, 4, "m.mp4", 0),
        row(50, 4, "other.mp4"),
    ]
    shown = clock.clip_onsets(clips_of("m", 5, 2.0), events)
    # Clip 2 (4 to 6 s) is never shown whole; clips 3 and 4 come 1 and 3 s into the second part.
    assert shown.rows.tolist() == [0, 1, 3, 4, 0, 1]
    assert shown.onsets.tolist() == [6, 8, 21, 23, 40, 42]


def test_nothing_shown() -> None:
    assert not len(clock.clip_onsets(clips_of("m", 2, 2.0), []).rows)


@settings(max_examples=150)
@given(
    t_r=st.sampled_from([0.72, 1.0, 1.49, 1.75, 2.0, 2.5]),
    clip_duration=st.sampled_from([0.5, 1.0, 2.0, 3.0, 6.0]),
    begins=st.floats(-10, 30).map(lambda x: round(x, 2)),
    gap=st.floats(0, 20).map(lambda x: round(x, 2)),
    start_share=st.sampled_from([0.0, 0.25, 0.5]),
    lag=st.floats(-2, 12).map(lambda x: round(x, 2)),
    volumes=st.integers(1, 60),
)
def test_any_timing(
    t_r: float,
    clip_duration: float,
    begins: float,
    gap: float,
    start_share: float,
    lag: float,
    volumes: int,
) -> None:
    """Whatever TR, clip length, start and pause: the nearest volume, as a plain search finds it."""
    clips = clips_of("m", 8, clip_duration)
    half = 4 * clip_duration
    shown_rows = [
        row(begins, half, "m.mp4", 0.0),
        row(begins + half + gap, half, "m.mp4", half),
    ]
    shown = clock.clip_onsets(clips, shown_rows)
    expected = [begins + k * clip_duration + (gap if k >= 4 else 0) for k in range(8)]
    assert shown.rows.tolist() == list(range(8))
    np.testing.assert_allclose(shown.onsets, expected, atol=1e-9)

    start_time = start_share * t_r
    first = clock.first_volumes(shown.onsets, lag, t_r, start_time)
    inside = clock.inside(first, volumes)
    times = clock.volume_times(volumes, t_r, start_time)
    for onset, volume, is_inside in zip(shown.onsets, first, inside, strict=True):
        distance = abs(start_time + t_r * volume - onset - lag)
        assert distance <= t_r / 2 + 1e-5
        if is_inside:
            nearest = abs(times - onset - lag)
            assert distance <= nearest.min() + 1e-5
        else:
            assert not (times[0] <= onset + lag <= times[-1])
    assert (np.diff(first) >= 0).all()
