"""Attributes that a classifier reads off a reconstruction: its object, colour, background ...

Takes class probabilities, the classifier's labels and the clips' attributes; returns the value read
for each attribute. It works for any data set whose labels name attribute values as whole words
("red ball on grass"); an attribute that not every label names is left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np


def _words(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"[a-z0-9]+", text.lower()))


def _holds(label: tuple[str, ...], value: tuple[str, ...]) -> bool:
    n = len(value)
    return n > 0 and any(label[k : k + n] == value for k in range(len(label) - n + 1))


def factors(
    labels: Sequence[str], attributes: Sequence[Mapping[str, object]]
) -> dict[str, tuple[list[str], np.ndarray]]:
    """What each label says about each attribute.

    Parameters
    ----------
    labels : the classifier's class names, in the order of its outputs.
    attributes : one mapping (attribute -> value) per clip.

    Returns
    -------
    dict attribute -> (values, which): `values` are those that occur in the labels, `which`
    (classes,) the index of each class's value. Attributes named by only some labels, or with
    fewer than two values, are left out.
    """
    seen: dict[str, set[str]] = {}
    for entry in attributes:
        for name, value in entry.items():
            seen.setdefault(name, set()).add(str(value))
    split = [_words(label) for label in labels]
    out: dict[str, tuple[list[str], np.ndarray]] = {}
    for name, found in seen.items():
        # Longest first: "up left" is not "left".
        values = sorted(found, key=lambda value: (-len(_words(value)), value))
        said = [next((v for v in values if _holds(label, _words(v))), None) for label in split]
        named = sorted({v for v in said if v is not None})
        if None in said or len(named) < 2:
            continue
        out[name] = (named, np.array([named.index(v) for v in said if v is not None]))
    return out


def read(probabilities: np.ndarray, which: np.ndarray, values: int) -> np.ndarray:
    """Index of the value with the largest marginal probability.

    Parameters
    ----------
    probabilities : (n, classes), or (n, F, classes): frames are averaged first.
    which : (classes,) value of each class. values : number of values.

    Returns
    -------
    int (n,).
    """
    if probabilities.ndim == 3:
        probabilities = probabilities.mean(axis=1)
    belongs = np.zeros((probabilities.shape[1], values))
    belongs[np.arange(len(which)), which] = 1
    return (probabilities @ belongs).argmax(axis=1)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Softmax over the last axis, float64."""
    shifted = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)
