"""Labels are read as words of attribute values, or left alone."""

import numpy as np
import pytest

from boldreel.evaluate import judge

ATTRIBUTES = [
    {"object": "ball", "colour": "red", "place": "grass", "size": "small", "way": "up left"},
    {"object": "cube", "colour": "blue", "place": "sand", "size": "large", "way": "left"},
]


def test_every_named_attribute_is_read():
    labels = ["red ball on grass", "blue ball on sand", "red cube on sand", "blue cube on grass"]
    found = judge.factors(labels, ATTRIBUTES)
    assert set(found) == {"object", "colour", "place"}
    values, which = found["colour"]
    assert [values[k] for k in which] == ["red", "blue", "red", "blue"]


def test_longer_values_win_and_parts_of_words_do_not_count():
    found = judge.factors(["going up left", "going left", "cleft going Left"], ATTRIBUTES)
    values, which = found["way"]
    assert [values[k] for k in which] == ["up left", "left", "left"]


def test_labels_of_another_world_are_skipped():
    assert judge.factors(["tench, Tinca tinca", "a redshank ball"], ATTRIBUTES) == {}
    assert judge.factors(["red", "blue"], [{}]) == {}


def test_reading_is_the_best_marginal():
    which = np.array([0, 0, 1])
    probabilities = np.array([[0.3, 0.3, 0.4], [0.1, 0.1, 0.8]])
    np.testing.assert_array_equal(judge.read(probabilities, which, 2), [0, 1])
    frames = np.stack([probabilities, probabilities], axis=1)
    np.testing.assert_array_equal(judge.read(frames, which, 2), [0, 1])


def test_softmax():
    found = judge.softmax(np.array([[1000.0, 1000.0], [0.0, np.log(3)]]))
    np.testing.assert_allclose(found, [[0.5, 0.5], [0.25, 0.75]])
    assert found.sum() == pytest.approx(2)
