"""Presets: the values of every key that depends on the scale of a study, one file per preset."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

NAMES = ("demo", "base", "mindvideo")


@cache
def load(name: str) -> dict[str, Any]:
    """The preset `name` as nested dictionaries; do not modify it."""
    import yaml

    return yaml.safe_load(files(__name__).joinpath(f"{name}.yaml").read_text(encoding="utf-8"))
