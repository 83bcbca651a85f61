"""Attributes of clips: what annotations say of a clip next to its caption, such as object and colour.

Takes the column `attributes` of clips.parquet; returns dictionaries, and which test clips combine values that
training combines as well.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np


def parse(texts: Iterable[str]) -> list[dict[str, Any]]:
    """{attribute: value} of each clip, empty for a clip without any; a value is a text or a number."""
    return [json.loads(text) for text in texts]


def parse_as_text(texts: Iterable[str]) -> list[dict[str, str]]:
    """The same with every value as text."""
    return [{name: str(value) for name, value in clip.items()} for clip in parse(texts)]


def combined(attributes: Mapping[str, Any], names: Sequence[str]) -> tuple[Any, ...] | None:
    """A clip's values of some attributes, None if one is missing."""
    if any(name not in attributes for name in names):
        return None
    return tuple(attributes[name] for name in names)


def seen(
    test: Iterable[Mapping[str, Any]],
    training: Iterable[Mapping[str, Any]],
    names: Sequence[str],
) -> list[bool | None]:
    """Whether a training clip combines the same values of some attributes as each test clip.

    None for a test clip without one of the attributes.
    """
    known = {combined(clip, names) for clip in training}
    values = [combined(clip, names) for clip in test]
    return [None if value is None else value in known for value in values]


def all_seen(
    test: Iterable[Mapping[str, Any]],
    training: Iterable[Mapping[str, Any]],
    names: Sequence[str],
) -> np.ndarray | None:
    """The same as bool (clips,); None without `names`, or if it is unknown of any test clip."""
    found = seen(test, training, names)
    return None if not names or None in found else np.array(found, dtype=bool)
