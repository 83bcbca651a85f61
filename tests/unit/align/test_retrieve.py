"""Seen and unseen combinations of attributes."""

from __future__ import annotations

from boldreel.align.retrieve import unseen

TRAINING = [
    {"object": "ball", "colour": "red", "size": "small"},
    {"object": "star", "colour": "blue", "size": "large"},
]
TEST = [
    {"object": "ball", "colour": "red", "size": "large"},
    {"object": "ball", "colour": "blue", "size": "large"},
    {},
]


def test_unseen_combinations() -> None:
    assert unseen(TEST, TRAINING, ["object", "colour"]).tolist() == [False, True, False]


def test_any_pair_without_a_named_combination() -> None:
    assert unseen(TEST, TRAINING, None).tolist() == [True, True, False]
