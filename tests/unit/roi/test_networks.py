"""Networks of places: calcarine cortex is visual, places off cortex have none."""

import numpy as np

from boldreel.roi import networks


def test_known_places() -> None:
    calcarine, hand, off, unknown = [-10, -95, 0], [-38, -24, 56], [0, 0, 200], [np.nan] * 3
    found = networks.yeo17(np.array([calcarine, hand, off, unknown], float))
    assert found[0] in ("network_1", "network_2")
    assert found[1] in ("network_3", "network_4")
    assert list(found[2:]) == [networks.NONE] * 2


def test_both_hemispheres_are_alike() -> None:
    rng = np.random.default_rng(0)
    places = rng.uniform([5, -100, -20], [60, 60, 70], (400, 3))
    left = networks.yeo17(places * [-1, 1, 1])
    right = networks.yeo17(places)
    known = (left != networks.NONE) & (right != networks.NONE)
    assert known.sum() > 100 and (left[known] == right[known]).mean() > 0.6
