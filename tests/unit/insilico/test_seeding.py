from __future__ import annotations

import numpy as np

from boldreel.insilico.seeding import generator


def test_names_decide():
    draw = generator(1, "noise", "01", 2).standard_normal(4)
    assert np.array_equal(draw, generator(1, "noise", "01", 2).standard_normal(4))
    for other in (generator(2, "noise", "01", 2), generator(1, "noise", "0", "12")):
        assert not np.allclose(draw, other.standard_normal(4))


def test_the_stream_is_the_same_on_every_machine():
    assert generator(20230507, "a").integers(0, 1000, 3).tolist() == [217, 54, 759]
