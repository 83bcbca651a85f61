"""Types of the values of `--config`: numbers, booleans, null.

Takes a configuration and its JSON schema; returns the configuration with strings converted if the schema
requires another type. Snakemake passes everything inside braces as strings: `align={epochs: 7}` arrives as
{"align": {"epochs": "7"}}.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def typed(value: Any, rules: Mapping[str, Any]) -> Any:
    """A copy of `value` in which strings have the type that the schema `rules` requires.

    A string is parsed as unquoted YAML, and replaced only if the result has a type (or is one of the values)
    that the schema allows. "7" stays a string if the schema requires one, and "seven" stays for the
    validation to report. If the schema allows null or a number as well as strings, "null" and "7" become
    these. If the schema gives no type, as for the options of a method, only JSON's numbers, true, false and
    null are converted: "no" stays.
    """
    if isinstance(value, Mapping):
        known, further = rules.get("properties", {}), rules.get("additionalProperties", {})
        further = further if isinstance(further, Mapping) else {}
        return {key: typed(each, known.get(key, further)) for key, each in value.items()}
    if isinstance(value, list):
        return [typed(each, rules.get("items", {})) for each in value]
    return _read(value, rules) if isinstance(value, str) else value


def _read(text: str, rules: Mapping[str, Any]) -> Any:
    import jsonschema
    import yaml

    wanted = {key: rules[key] for key in ("type", "enum") if key in rules}
    allowed = jsonschema.Draft202012Validator(wanted)
    # PyYAML takes 1e-4 for text, JSON does not.
    for parse in (_json, yaml.safe_load) if wanted else (_json,):
        try:
            found = parse(text)
        except (ValueError, yaml.YAMLError):
            continue
        plain = found is None or isinstance(found, bool | int | float)
        if plain and allowed.is_valid(found):
            return found
    return text


def _json(text: str) -> Any:
    """The JSON value of a string; ValueError for NaN and infinities, which JSON does not have."""

    def refuse(name: str) -> None:
        raise ValueError(name)

    return json.loads(text, parse_constant=refuse)
