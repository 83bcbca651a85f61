"""A stage's section of the configuration as an object with defaults.

Takes a dataclass and the section as a dictionary; leaves the dataclass filled in. Keys that it does not
have are refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from boldreel.errors import UserError

T = TypeVar("T")


def read(kind: type[T], section: Mapping[str, Any], name: str) -> T:
    """The settings of a section called `name`; UserError for a key it does not have.

    The workflow gives every section its seed: one that draws nothing leaves it out.
    """
    known = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    given = {key: value for key, value in section.items() if key in known or key != "seed"}
    for key in given:
        if key not in known:
            raise UserError(
                f"config: {name}.{key} is not a key (known: {', '.join(sorted(known))})"
            )
    return kind(**given)
