"""Label names of the judging classifiers, and what each label says.

Takes the world's vocabulary; returns the joint labels in their fixed order and the way back from a
model's ``id2label`` to the factors, so that a prediction can be scored per attribute.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from boldreel.insilico.world import BACKGROUNDS, CLASSES, COLOURS, MOTIONS


def image_labels() -> list[str]:
    """All (class, colour, background) labels, such as ``red ball on grass``; background fastest."""
    return [
        f"{colour} {name} on {background}"
        for name, colour, background in itertools.product(CLASSES, COLOURS, BACKGROUNDS)
    ]


def video_labels() -> list[str]:
    """All (class, colour, motion) labels, such as ``red ball moving left``; motion fastest."""
    return [
        f"{colour} {name} moving {motion}"
        for name, colour, motion in itertools.product(CLASSES, COLOURS, MOTIONS)
    ]


def label_factors(id2label: Mapping[int, str]) -> dict[int, tuple[str, str, str]]:
    """What each label says.

    Returns
    -------
    label id -> (object, colour, background) of an image label, (object, colour, motion) of a video
    label. ValueError for a label that is neither.
    """
    factors = {}
    for index, label in id2label.items():
        match label.split():
            case [colour, name, "on" | "moving", third]:
                factors[int(index)] = (name, colour, third)
            case _:
                raise ValueError(f"label {index} is not one of this world's: {label!r}")
    return factors
