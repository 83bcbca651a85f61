"""The order of places keeps neighbours together."""

import numpy as np

from boldreel.roi import hilbert


def test_the_hilbert_curve_visits_every_cell_in_steps_of_one():
    cells = np.indices((8, 8, 8)).reshape(3, -1)
    distance = hilbert.hilbert(cells, 3)
    assert sorted(distance) == list(range(512))
    walk = cells[:, np.argsort(distance)]
    assert (np.abs(np.diff(walk, axis=1)).sum(0) == 1).all()


def test_patches_are_compact_and_do_not_depend_on_the_order_given():
    rng = np.random.default_rng(0)
    places = np.indices((10, 8, 6)).reshape(3, -1)[:, rng.permutation(480)] * 4.0
    order = hilbert.order(places)
    assert sorted(order) == list(range(480))
    walk = places[:, order]
    np.testing.assert_array_equal(walk, places[:, ::-1][:, hilbert.order(places[:, ::-1])])
    patches = walk.reshape(3, 30, 16)
    size = np.sqrt(((patches - patches.mean(2, keepdims=True)) ** 2).sum(0).mean())
    shuffled = places.reshape(3, 30, 16)
    loose = np.sqrt(((shuffled - shuffled.mean(2, keepdims=True)) ** 2).sum(0).mean())
    assert size < 0.5 * loose


def test_a_single_place():
    assert hilbert.order(np.zeros((3, 1))).tolist() == [0]
