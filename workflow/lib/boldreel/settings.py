"""How a section of the configuration is defined: one frozen dataclass per section.

Each field carries its default, unit, bounds and one sentence. From these classes come the JSON schema that
checks a user's files, the tables of config/README.md, the order of keys in the presets, and the objects that
steps work with. Standard library only: the workflow reads every section while it plans.
"""

from __future__ import annotations

import copy
import math
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, field, fields, is_dataclass
from typing import Any, TypeVar

from boldreel.errors import UserError

T = TypeVar("T")

_TYPES = {int: "integer", float: "number", str: "string", bool: "boolean"}
# Bounds by their short names here, and their names in a JSON schema.
_BOUNDS = {
    "minimum": "minimum",
    "maximum": "maximum",
    "above": "exclusiveMinimum",
    "choices": "enum",
    "pattern": "pattern",
    "min_items": "minItems",
    "max_items": "maxItems",
    "unique": "uniqueItems",
    "contains": "contains",
}


def setting(default: Any, about: str, *, unit: str = "", **bounds: Any) -> Any:
    """A key with one default.

    about : one sentence, for config/README.md.
    unit : unit of the value, if it has one.
    bounds : minimum, maximum, above, choices, pattern, min_items, max_items, unique, contains; `items` holds
        the bounds of an array's or mapping's entries.
    """
    meta = {"about": about, "unit": unit, "bounds": bounds}
    if isinstance(default, (list, dict, set)):
        return field(default_factory=lambda: copy.deepcopy(default), metadata=meta, kw_only=True)
    return field(default=default, metadata=meta, kw_only=True)


def by_preset(about: str, *, unit: str = "", **bounds: Any) -> Any:
    """A key whose value depends on the scale of the study: every preset sets it, no default does."""
    meta = {"about": about, "unit": unit, "bounds": bounds, "preset": True}
    return field(metadata=meta, kw_only=True)


def required(about: str, *, unit: str = "", **bounds: Any) -> Any:
    """A key that only the user can set: neither a default nor a preset does."""
    meta = {"about": about, "unit": unit, "bounds": bounds, "required": True}
    return field(metadata=meta, kw_only=True)


def subsection(kind: type, about: str) -> Any:
    """A section within a section."""
    meta = {"about": about, "kind": kind}
    if any(f.default is MISSING and f.default_factory is MISSING for f in fields(kind)):
        return field(metadata=meta, kw_only=True)
    return field(default_factory=kind, metadata=meta, kw_only=True)


def from_workflow(default: Any) -> Any:
    """A value that the workflow passes with a section, such as the seed; not a key."""
    if isinstance(default, (list, dict, set)):
        return field(default_factory=lambda: copy.deepcopy(default), kw_only=True)
    return field(default=default, kw_only=True)


def keys(kind: type) -> list[Field]:
    """The fields of a section that a configuration may name, in their order."""
    return [f for f in fields(kind) if f.metadata]


def read(kind: type[T], section: Mapping[str, Any], name: str) -> T:
    """The object of a section called `name`.

    The workflow passes a seed with every section; a section without random numbers drops it.

    Raises
    ------
    UserError : an unknown or missing key, or an invalid value.
    """
    known = {f.name: f for f in fields(kind)}  # type: ignore[arg-type]
    hints = typing.get_type_hints(kind)
    given: dict[str, Any] = {}
    for key, value in section.items():
        if key in known:
            given[key] = _as(hints[key], value, f"{name}.{key}")
            _check_type(given[key], hints[key], f"{name}.{key}")
            bounds = {"minimum": 0} if key == "seed" else {}
            _check(given[key], known[key].metadata.get("bounds", bounds), f"{name}.{key}")
        elif key != "seed":
            raise UserError(
                f"configuration: {name}.{key} is not a key (known: {', '.join(sorted(known))})"
            )
    for key, one in known.items():
        if key not in given and one.default is MISSING and one.default_factory is MISSING:
            raise UserError(
                f"configuration: {name}.{key} is missing; config/README.md shows its value in each preset"
            )
    return kind(**given)


def _check_type(value: Any, hint: Any, name: str) -> None:
    """UserError for a value of the wrong type."""
    wanted = _kind(hint).get("type")
    if wanted is None:
        return
    names = [wanted] if isinstance(wanted, str) else wanted
    if value is None:
        found = "null"
    elif isinstance(value, tuple):
        found = "array"
    elif isinstance(value, dict) or is_dataclass(value):
        found = "object"
    else:
        found = _TYPES.get(type(value), type(value).__name__)
    if found not in names and not (found == "integer" and "number" in names):
        raise UserError(
            f"configuration: {name} is {value!r}, of type {found}; it must be {' or '.join(names)}"
        )


def _check(value: Any, bounds: Mapping[str, Any], name: str) -> None:
    """UserError for a value outside the bounds of its key; `choices` alone decide about null."""
    if value not in bounds.get("choices", (value,)):
        allowed = " or ".join("null" if one is None else str(one) for one in bounds["choices"])
        raise UserError(f"configuration: {name} is {value!r}; it must be {allowed}")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise UserError(f"configuration: {name} is {value}; it must be a finite number")
        for bound, holds, words in (
            ("minimum", lambda low: value >= low, "at least"),
            ("maximum", lambda high: value <= high, "at most"),
            ("above", lambda low: value > low, "above"),
        ):
            if bound in bounds and not holds(bounds[bound]):
                raise UserError(
                    f"configuration: {name} is {value}; it must be {words} {bounds[bound]}"
                )
    if isinstance(value, tuple) and len(value) < bounds.get("min_items", 0):
        raise UserError(
            f"configuration: {name}: {len(value)} given, at least {bounds['min_items']} needed"
        )
    if isinstance(value, (tuple, dict)):
        for entry in value.values() if isinstance(value, dict) else value:
            _check(entry, bounds.get("items", {}), name)


def _as(hint: Any, value: Any, name: str) -> Any:
    """A value from JSON or YAML in the type of its annotation: tuples, floats and sections."""
    if value is None or hint is Any:
        return value
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        options = [option for option in typing.get_args(hint) if option is not type(None)]
        if len(options) > 1:
            return tuple(value) if isinstance(value, list) else value
        return _as(options[0], value, name)
    if is_dataclass(hint):
        return value if isinstance(value, hint) else read(hint, value, name)  # type: ignore[arg-type]
    if typing.get_origin(hint) is tuple and isinstance(value, (list, tuple)):
        inner = typing.get_args(hint)
        each = [inner[0]] * len(value) if inner[-1] is Ellipsis else inner
        if len(each) != len(value):
            raise UserError(
                f"configuration: {name} is {value}: {len(value)} given, {len(each)} wanted"
            )
        return tuple(_as(one, entry, name) for one, entry in zip(each, value, strict=True))
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value


def schema(kind: type, about: str = "") -> dict[str, Any]:
    """The JSON schema of a section, with description, bounds and any default of each key."""
    hints = typing.get_type_hints(kind)
    properties = {f.name: _rule(hints[f.name], f) for f in keys(kind)}
    rules: dict[str, Any] = {"type": "object", "additionalProperties": False}
    return rules | {"description": about, "properties": properties}


def _rule(hint: Any, one: Field) -> dict[str, Any]:
    if "kind" in one.metadata:
        return schema(one.metadata["kind"], one.metadata["about"])
    bounds = dict(one.metadata["bounds"])
    items = bounds.pop("items", None)
    rule = _kind(hint)
    if items:
        inner = "items" if "items" in rule else "additionalProperties"
        rule[inner] = {**rule[inner], **{_BOUNDS[k]: _plain(v) for k, v in items.items()}}
    rule |= {_BOUNDS[name]: _plain(value) for name, value in bounds.items()}
    if "enum" in rule:
        rule.pop("type", None)
    rule |= {"description": one.metadata["about"], "unit": one.metadata["unit"]}
    if one.default is not MISSING:
        rule["default"] = _plain(one.default)
    elif one.default_factory is not MISSING:
        rule["default"] = _plain(one.default_factory())
    rule["by preset"] = one.metadata.get("preset", False)
    return rule


def _kind(hint: Any) -> dict[str, Any]:
    """Type and entries of a key, from its annotation."""
    if hint is Any:
        return {}
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        merged: dict[str, Any] = {}
        names: list[str] = []
        for option in inner:
            one = {"type": "null"} if option is type(None) else _kind(option)
            names.append(one.pop("type"))
            merged |= one
        return {"type": names, **merged}
    if is_dataclass(hint):
        return schema(hint)  # type: ignore[arg-type]
    if origin is tuple:
        return {"type": "array", "items": _kind(inner[0])}
    if origin is dict:
        return {"type": "object", "additionalProperties": _kind(inner[1])}
    return {"type": _TYPES[hint]}


def _plain(value: Any) -> Any:
    """A value in its JSON form."""
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    return {k: _plain(v) for k, v in value.items()} if isinstance(value, dict) else value


def leaves(rules: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """(dotted name, rule) of every key that holds a value, in the order of the definitions."""
    for key, rule in rules.get("properties", {}).items():
        if rule.get("type") == "object" and "properties" in rule:
            yield from leaves(rule, f"{above}{key}.")
        else:
            yield f"{above}{key}", rule
