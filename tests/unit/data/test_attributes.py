"""Attributes of clips, and which combinations of them training has."""

import pytest

from boldreel.data.attributes import all_seen, parse, parse_as_text, seen

TRAINING = [
    {"object": "ball", "colour": "red", "size": "small"},
    {"object": "star", "colour": "blue", "size": "large"},
    {"object": "star"},
]
TEST = [
    {"object": "ball", "colour": "red", "size": "large"},
    {"object": "ball", "colour": "blue", "size": "large"},
]


def test_values_are_read_as_they_are_or_as_text() -> None:
    texts = ['{"object": "ball", "count": 2}', "{}"]
    assert parse(texts) == [{"object": "ball", "count": 2}, {}]
    assert parse_as_text(texts) == [{"object": "ball", "count": "2"}, {}]


def test_a_combination_is_seen_if_training_has_it_together() -> None:
    """Both values are in training, but not in one clip."""
    found = all_seen(TEST, TRAINING, ["object", "colour"])
    assert found is not None and found.tolist() == [True, False]
    assert seen([*TEST, {}], TRAINING, ["object", "colour"]) == [True, False, None]


def test_numbers_of_two_tables_are_the_same_value() -> None:
    """A column with an empty cell is read as floats."""
    assert seen([{"count": 1}], [{"count": 1.0}], ["count"]) == [True]


@pytest.mark.parametrize("names", [(), ("shape",)])
def test_nothing_is_known_without_attributes(names: tuple[str, ...]) -> None:
    assert all_seen(TEST, TRAINING, names) is None


def test_one_clip_without_labels_leaves_the_split_unknown() -> None:
    assert all_seen([*TEST, {}], TRAINING, ["object", "colour"]) is None
