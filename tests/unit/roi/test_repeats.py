"""Repeats are runs that show the same second of the same film at the same time."""

from __future__ import annotations

import numpy as np
from tests.fixtures_presentations import row as presented

from boldreel.roi import repeats

COUNT, T_R = 100, 2.0


def shown(*rows, count=COUNT, t_r=T_R, start_time=1.0):
    """A run whose presentations are (onset, duration, film, stimulus_onset[, speed])."""
    return repeats.shown([presented(*row) for row in rows], count, t_r, start_time)


def numbers(*runs):
    return [group.runs for group in repeats.groups(runs)]


def test_a_volume_answers_what_was_on_screen_five_seconds_before():
    run = shown((10.0, 20.0, "a", 30.0))
    times = 1.0 + T_R * np.arange(COUNT)
    np.testing.assert_array_equal(run.movie == "a", (times >= 15) & (times < 35))
    np.testing.assert_allclose(run.second[run.movie == "a"], times[run.movie == "a"] - 5 + 20)


def test_films_are_grouped_whatever_the_run():
    a, b = shown((10.0, 180.0, "a", 0.0)), shown((10.0, 180.0, "b", 0.0))
    assert numbers(a, b, a, b, a) == [[0, 2, 4], [1, 3]]
    assert numbers(a, b) == []
    for group in repeats.groups([a, a]):
        assert group.same.all(), "before and after the film too"


def test_another_part_or_another_time_is_no_repeat():
    whole = shown((10.0, 180.0, "a", 0.0))
    assert numbers(whole, shown((10.0, 180.0, "a", 600.0))) == []
    assert numbers(whole, shown((14.0, 180.0, "a", 0.0))) == []
    assert numbers(whole, shown((10.4, 180.0, "a", 0.0))) == [[0, 1]], "a late trigger"
    assert numbers(whole, shown((10.0, 180.0, "a", 0.0), t_r=1.0)) == []
    assert numbers(whole, shown((10.0, 180.0, "a", 0.0, 1.5))) == [], "another speed"
    single = float(np.float32(1.3)), 1.3  # as a header holds it, and as a sidecar does
    same = [shown((10.0, 180.0, "a", 0.0), t_r=t_r) for t_r in single]
    assert numbers(*same) == [[0, 1]]
    fast = (10.0, 180.0, "a", 0.0, 1.04)
    assert numbers(shown(fast), shown(fast)) == [[0, 1]]
    # The same seconds of the film at the same time, cut into rows otherwise.
    assert numbers(whole, shown((10.0, 90.0, "a", 0.0), (100.0, 90.0, "a", 90.0))) == [[0, 1]]


def test_only_the_stretch_that_overlaps_is_kept():
    whole = shown((0.0, 200.0, "a", 0.0))
    half = shown((0.0, 100.0, "a", 0.0), (100.0, 100.0, "b", 0.0))
    (group,) = repeats.groups([whole, half])
    times = 1.0 + T_R * np.arange(COUNT)
    np.testing.assert_array_equal(group.same, times < 105)
    (group,) = repeats.groups([whole, shown((0.0, 120.0, "a", 0.0), count=60)])
    assert group.same.shape == (60,) and group.same.all()
    assert numbers(whole, shown((0.0, 18.0, "a", 0.0), (18.0, 182.0, "b", 0.0))) == []


def test_rest_is_no_film():
    rest = shown()
    assert numbers(rest, rest) == []
