"""Sections as dataclasses: what is read, what is refused, and the JSON schema of a class."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import FrozenInstanceError, dataclass, fields
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from tests.fixtures_settings import ASKED, section, settings

import boldreel
from boldreel import configuration, presets
from boldreel.errors import UserError
from boldreel.sections import SECTIONS
from boldreel.settings import (
    by_preset,
    from_workflow,
    keys,
    leaves,
    read,
    required,
    schema,
    setting,
    subsection,
)

LIBRARY = Path(boldreel.__file__).parents[1]
Range = tuple[float, float]


@dataclass(frozen=True)
class Inner:
    """A section within one."""

    rate: float = by_preset("Rate.", unit="Hz", above=0)
    colours: tuple[str, ...] = setting(("red",), "Colours.", items={"choices": ("red", "blue")})


@dataclass(frozen=True)
class Outer:
    """One key of every kind."""

    seed: int = from_workflow(0)
    size: int = by_preset("Size.", unit="mm", minimum=2, maximum=9)
    name: str = required("Name.", pattern="^[a-z]+$")
    kind: str | None = setting(None, "Kind.", choices=("round", None))
    share: float | None = setting(0.5, "Share.", minimum=0, maximum=1)
    box: tuple[Range, Range] = setting(
        ((0.0, 1.0), (0.0, 2.0)), "Box.", min_items=2, max_items=2, unique=True
    )
    who: tuple[str, ...] | str | None = setting(None, "Who.", min_items=2)
    shares: dict[str, float] = setting({"01": 0.1}, "Shares.", items={"minimum": 0, "maximum": 1})
    options: dict[str, Any] = setting({}, "Options.")
    inner: Inner = subsection(Inner, "Inside.")


GIVEN = {"size": 2, "name": "a", "inner": {"rate": 1}}
PLAIN = {"unit": "", "by preset": False}
NUMBER = {"type": "number", "minimum": 0, "maximum": 1}
SIZE = {"type": "integer", "minimum": 2, "maximum": 9, "description": "Size.", "unit": "mm"}
RATE = {"type": "number", "exclusiveMinimum": 0, "description": "Rate.", "unit": "Hz"}
COLOURS = {"type": "array", "items": {"type": "string", "enum": ["red", "blue"]}}
BOX = {"type": "array", "items": {"type": "array", "items": {"type": "number"}}}
BOUNDED = {"minItems": 2, "maxItems": 2, "uniqueItems": True, "default": [[0.0, 1.0], [0.0, 2.0]]}
WHO = {"type": ["array", "string", "null"], "items": {"type": "string"}, "minItems": 2}
CLOSED = {"type": "object", "additionalProperties": False}
SCHEMA = {
    **CLOSED,
    "description": "All.",
    "properties": {
        "size": {**SIZE, "by preset": True},
        "name": {**PLAIN, "type": "string", "pattern": "^[a-z]+$", "description": "Name."},
        "kind": {**PLAIN, "enum": ["round", None], "default": None, "description": "Kind."},
        "share": {
            **{**PLAIN, **NUMBER, "type": ["number", "null"]},
            **{"default": 0.5, "description": "Share."},
        },
        "box": {**PLAIN, **BOX, **BOUNDED, "description": "Box."},
        "who": {**PLAIN, **WHO, "default": None, "description": "Who."},
        "shares": {
            **{**PLAIN, "type": "object", "additionalProperties": NUMBER},
            **{"default": {"01": 0.1}, "description": "Shares."},
        },
        "options": {
            **{**PLAIN, "type": "object", "additionalProperties": {}},
            **{"default": {}, "description": "Options."},
        },
        "inner": {
            **CLOSED,
            "description": "Inside.",
            "properties": {
                "rate": {**RATE, "by preset": True},
                "colours": {**PLAIN, **COLOURS, "default": ["red"], "description": "Colours."},
            },
        },
    },
}


def outer(**changes: Any) -> Outer:
    return read(Outer, {**GIVEN, **changes}, "part")


def test_values_become_what_the_class_says() -> None:
    made = outer(seed=3, share=1, box=[[1, 2], [3, 4]], who=["a", "b"], inner={"rate": 2})
    assert made == Outer(
        seed=3,
        size=2,
        name="a",
        share=1.0,
        box=((1.0, 2.0), (3.0, 4.0)),
        who=("a", "b"),
        inner=Inner(rate=2.0),
    )
    numbers = (made.share, made.inner.rate, *made.box[0], *made.box[1])
    assert all(type(number) is float for number in numbers) and type(made.size) is int
    assert outer(who="people.tsv").who == "people.tsv"
    assert outer(inner=Inner(rate=7.0)).inner == Inner(rate=7.0)
    assert outer(share=None).share is None and outer(options={"a": [1]}).options == {"a": [1]}
    assert outer().seed == 0


def test_nothing_is_shared_or_changed() -> None:
    one, other = outer(), outer()
    one.shares["02"] = 1.0
    assert other.shares == outer().shares == {"01": 0.1}
    assert GIVEN == {"size": 2, "name": "a", "inner": {"rate": 1}}
    with pytest.raises(FrozenInstanceError):
        one.size = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"name": "a", "inner": {"rate": 1}}, r"configuration: part\.size is missing; config/READ"),
        ({"size": 2, "name": "a"}, r"part\.inner is missing"),
        ({"size": 2, "inner": {"rate": 1}}, r"part\.name is missing"),
        ({"size": 2, "name": "a", "inner": {}}, r"part\.inner\.rate is missing"),
        ({**GIVEN, "sise": 2}, r"part\.sise is not a key \(known: box, .*, size, who\)"),
        ({**GIVEN, "inner": {"rates": 1}}, r"part\.inner\.rates is not a key"),
    ],
)
def test_keys_that_are_missing_or_unknown_are_named(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        read(Outer, given, "part")


def test_a_section_that_draws_nothing_leaves_the_seed_out() -> None:
    assert read(Inner, {"rate": 1, "seed": 3}, "part") == Inner(rate=1.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": 1}, r"part\.size is 1; it must be at least 2"),
        ({"size": 10}, r"part\.size is 10; it must be at most 9"),
        ({"inner": {"rate": 0}}, r"part\.inner\.rate is 0\.0; it must be above 0"),
        ({"kind": "square"}, r"part\.kind is 'square'; it must be round or null"),
        ({"who": ["a"]}, r"part\.who: 1 given, at least 2 needed"),
        ({"box": [[1, 2], [3, 4], [5, 6]]}, r"part\.box is .*: 3 given, 2 wanted"),
        ({"shares": {"01": 0.1, "02": 1.5}}, r"part\.shares is 1\.5; it must be at most 1"),
        (
            {"inner": {"rate": 1, "colours": ["red", "green"]}},
            r"part\.inner\.colours is 'green'; it must be red or blue",
        ),
    ],
)
def test_values_out_of_bounds_are_refused_here_and_by_the_schema(
    change: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        outer(**change)
    validator = jsonschema.Draft202012Validator(schema(Outer))
    assert validator.is_valid(GIVEN) and not validator.is_valid({**GIVEN, **change})


@pytest.mark.parametrize(
    "change",
    [
        *({"size": 2}, {"size": 9}, {"share": 0}, {"share": 1}, {"share": None}, {"kind": None}),
        *({"who": ["a", "b"]}, {"who": "a"}, {"who": None}, {"inner": {"rate": 1e-9}}),
        *({"shares": {}}, {"shares": {"01": 0, "02": 1}}, {"kind": "round"}),
    ],
)
def test_values_on_their_bounds_are_taken_here_and_by_the_schema(change: dict[str, Any]) -> None:
    outer(**change)
    assert jsonschema.Draft202012Validator(schema(Outer)).is_valid({**GIVEN, **change})


def test_the_schema_of_a_class() -> None:
    assert schema(Outer, "All.") == SCHEMA
    assert [one.name for one in keys(Outer)] == list(SCHEMA["properties"])
    jsonschema.Draft202012Validator.check_schema(schema(Outer))


def test_leaves_are_in_the_order_of_the_class() -> None:
    found = dict(leaves(schema(Outer)))
    assert list(found) == [
        *("size", "name", "kind", "share", "box", "who", "shares", "options"),
        *("inner.rate", "inner.colours"),
    ]
    assert found["inner.rate"] == SCHEMA["properties"]["inner"]["properties"]["rate"]


def dotted(values: dict[str, Any], known: set[str], above: str = "") -> set[str]:
    """Names of the values of a preset; one that is a key is not looked into."""
    found: set[str] = set()
    for key, value in values.items():
        name = f"{above}{key}"
        if isinstance(value, dict) and name not in known:
            found |= dotted(value, known, f"{name}.")
        else:
            found.add(name)
    return found


@pytest.mark.parametrize("name", presets.NAMES)
def test_presets_give_every_key_of_theirs_and_no_unknown_one(name: str) -> None:
    rules = dict(leaves(configuration.schema()))
    given = dotted(presets.load(name), set(rules))
    assert given <= set(rules)
    assert {key for key, rule in rules.items() if rule["by preset"]} <= given
    own = {} if name == "demo" else {"bids": "data/mine"}
    configuration.complete({**ASKED, **own, "preset": name})


def test_every_key_is_described_and_has_one_source() -> None:
    for key, rule in leaves(configuration.schema()):
        assert rule["description"].endswith("."), key
        if rule["by preset"]:
            assert "default" not in rule, key


@pytest.mark.parametrize("name", SECTIONS)
def test_sections_read_what_the_configuration_gives(name: str) -> None:
    made = settings(name)
    assert all(_plain(getattr(made, key)) == value for key, value in section(name).items())


def _plain(value: Any) -> Any:
    """Tuples as lists, and sections as dictionaries."""
    if isinstance(value, (tuple, list)):
        return [_plain(entry) for entry in value]
    if hasattr(value, "__dataclass_fields__"):
        return {one.name: _plain(getattr(value, one.name)) for one in fields(value)}
    return value


def test_sections_need_the_standard_library_alone() -> None:
    """A plan reads all of them; `-S` leaves installed packages out."""
    modules = sorted({kind.__module__ for kind in SECTIONS.values()})
    assert "boldreel.generator.settings" in modules
    codes = [f"import boldreel.sections, {', '.join(modules)}", "import numpy"]
    results = [
        subprocess.run(
            [sys.executable, "-S", "-c", code],
            env={**os.environ, "PYTHONPATH": str(LIBRARY)},
            capture_output=True,
            text=True,
            check=False,
        )
        for code in codes
    ]
    assert results[0].returncode == 0, results[0].stderr
    assert results[1].returncode == 1 and "No module named 'numpy'" in results[1].stderr


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("size", "3", "size is '3', of type string; it must be integer"),
        ("size", True, "of type boolean"),
        ("size", 3.0, "of type number"),
        ("size", None, "of type null"),
        ("name", 3, "of type integer; it must be string"),
        ("who", 3, "it must be array or string or null"),
        ("shares", 1.0, "of type number; it must be object"),
    ],
)
def test_a_value_of_another_type_is_refused(key, value, words):
    """By steps that are run by hand too, and in options of methods, which no schema sees."""
    with pytest.raises(UserError, match=words):
        read(Outer, {**GIVEN, key: value}, "outer")


@pytest.mark.parametrize("name", presets.NAMES)
def test_presets_have_the_order_of_the_definitions(name):
    order = [key for key, _ in leaves(configuration.schema())]

    def named(section, above=""):
        for key, value in section.items():
            inner = isinstance(value, dict) and above + key not in order
            yield from named(value, f"{above}{key}.") if inner else [above + key]

    keys_of = list(named(presets.load(name)))
    assert keys_of == sorted(keys_of, key=order.index)
