"""Sections of the configuration for tests: the demo's, with changes."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from boldreel import configuration
from boldreel.sections import SECTIONS
from boldreel.settings import read

ASKED = {
    "dataset": "demo",
    "segments": {"train": ["train*"], "validation": ["train06"], "test": ["test*"]},
}


@cache
def _demo() -> dict[str, Any]:
    return configuration.complete(ASKED)


def section(name: str, **changes: Any) -> dict[str, Any]:
    """A section as the workflow passes it, changed."""
    return {**json.loads(json.dumps(_demo()[name])), **changes}


def words(name: str, **changes: Any) -> str:
    """The same as an argument of --config."""
    return json.dumps(section(name, **changes))


def settings(name: str, **changes: Any) -> Any:
    """The same as the object that steps work with."""
    return read(SECTIONS[name], section(name, **changes), name)
