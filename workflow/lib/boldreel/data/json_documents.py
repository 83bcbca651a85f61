"""JSON objects that pass between stages: checked against `schemas.DOCUMENTS` when written and read.

Reads and writes dictionaries. Keys that the schema does not name are kept.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from boldreel.data import atomic
from boldreel.data.schemas import DOCUMENTS
from boldreel.errors import UserError


def write(path: str | Path, value: Mapping[str, Any], schema: str) -> None:
    """Check `value` against the named schema and write it in one step.

    Raises UserError if it does not fit, ValueError for a number that is not finite.
    """
    text = json.dumps(check(value, schema, path), indent=1, ensure_ascii=False, allow_nan=False)
    atomic.write_text(path, text + "\n")


def read(path: str | Path, schema: str) -> dict[str, Any]:
    """The object in a file; UserError if it is missing, no JSON object, or does not fit the schema."""
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path}: not found; run the stage that writes it")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path}: not JSON ({error}); delete it and run again") from None
    if not isinstance(value, dict):
        raise UserError(f"{path}: a {type(value).__name__}; expected a JSON object")
    return check(value, schema, path)


def check(value: Mapping[str, Any], schema: str, where: str | Path) -> dict[str, Any]:
    """`value` as a dictionary; UserError naming the first key that is absent or of another kind."""
    for name, key in DOCUMENTS[schema].items():
        if name not in value:
            if key.optional:
                continue
            raise UserError(f"{where}: key {name!r} is missing (document kind {schema!r})")
        # True is an int in Python, but no number here.
        if not isinstance(value[name], key.kinds) or isinstance(value[name], bool):
            wanted = " or ".join(kind.__name__ for kind in key.kinds)
            raise UserError(f"{where}: key {name!r} is {value[name]!r}; expected {wanted}")
    return dict(value)
