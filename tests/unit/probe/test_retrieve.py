"""Halves of the repeats of test clips."""

from __future__ import annotations

import numpy as np

from boldreel.data.responses import Responses
from boldreel.probe.averages import split_halves


def test_halves_of_the_repeats_are_every_other_showing() -> None:
    x = np.arange(7, dtype=np.float32)[:, None, None]
    clips = ["b", "a", "a", "b", "a", "b", "a"]
    repeats = np.array([3, 1, 2, 1, 3, 2, 4])
    trials = Responses(x, clips, repeats, ["s"] * 7, ["t"] * 7, np.arange(7.0), ["r"] * 7, x[:, 0])
    found = split_halves(trials, ["a", "b"])
    assert found is not None
    # a: showings 1, 2, 4, 6 in order; b: 3, 5, 0
    assert found[0].ravel().tolist() == [(1 + 4) / 2, (3 + 0) / 2]
    assert found[1].ravel().tolist() == [(2 + 6) / 2, 5]
    once = Responses(x[:1], ["a"], np.ones(1), ["s"], ["t"], np.zeros(1), ["r"], x[:1, 0])
    assert split_halves(once, ["a"]) is None
