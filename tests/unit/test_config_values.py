"""Texts from the command line become what the schema wants, and nothing else does."""

from __future__ import annotations

import pytest
from snakemake.cli import parse_config
from tests.fixtures_settings import ASKED

from boldreel import configuration
from boldreel.config_values import typed
from boldreel.errors import UserError


@pytest.mark.parametrize(
    ("text", "rules", "value"),
    [
        ("7", {"type": "integer"}, 7),
        ("-7", {"type": "integer", "minimum": 0}, -7),  # for the validation to refuse
        ("1e-4", {"type": "number"}, 1e-4),
        (".5", {"type": "number"}, 0.5),
        ("7", {"type": "string"}, "7"),
        ("true", {"type": "boolean"}, True),
        ("False", {"type": "boolean"}, False),
        ("no", {"type": "boolean"}, False),
        ("true", {"type": "integer"}, "true"),
        ("7", {"type": "boolean"}, "7"),
        ("seven", {"type": "integer"}, "seven"),
        ("0.5", {"type": "integer"}, "0.5"),
        ("NaN", {"type": "number"}, "NaN"),
        ("[1", {"type": "number"}, "[1"),
        ("null", {"type": ["number", "null"]}, None),
        ("~", {"type": ["integer", "null"]}, None),
        ("", {"type": ["integer", "null"]}, None),
        ("null", {"type": ["string", "null"]}, None),
        ("null", {"type": "string"}, "null"),
        ("", {"type": "string"}, ""),
        ("7", {"type": ["string", "null"]}, "7"),
        ("3", {"type": ["string", "integer"]}, 3),
        ("average", {"type": ["string", "integer"]}, "average"),
        ("null", {"type": ["object", "null"], "properties": {}}, None),
        ("no", {"enum": ["no", "bf16"]}, "no"),
        ("null", {"enum": ["mindvideo", None]}, None),
        ("null", {"enum": ["mindvideo"]}, "null"),
        ("7", {}, 7),
        ("no", {}, "no"),
        ("2020-01-01", {}, "2020-01-01"),
    ],
)
def test_a_text_is_read_where_it_fits(text, rules, value):
    found = typed(text, rules)
    assert found == value and type(found) is type(value)


def test_what_is_typed_already_stays():
    rules = {"items": {"type": "number"}}
    assert typed([1, 2.5, None, True], rules) == [1, 2.5, None, True]


def test_each_section_as_snakemake_hands_it_on():
    """The command line goes through Snakemake's own parser."""
    words = [
        "align={epochs: 7, learning_rate: 1e-4, pool: [01, 02]}",
        "bold={output_box: [[-72, 72], [-108, -36], [-32, 44]]}",
        "generator={feed_forward: false, image_above: null, strip: {clips: 5, guidance: 3}}",
        "insilico={explainable_variance: {01: 0.05}}",
        "reconstruct={repeats: 3, scheduler_options: {use_karras_sigmas: true, spacing: leading}}",
        "pretrain={subjects: [01, 02], mixed_precision: no}",
        "method_options={cvgan: {epochs: 2, mixed_precision: no}}",
        "bids=null",
    ]
    found = configuration.complete({**ASKED, **parse_config(words)})
    assert found["align"]["epochs"] == 7 and found["align"]["learning_rate"] == 1e-4
    assert found["align"]["pool"] == ["01", "02"] and found["pretrain"]["subjects"] == ["01", "02"]
    assert found["bold"]["output_box"] == [[-72, 72], [-108, -36], [-32, 44]]
    assert found["generator"]["feed_forward"] is False
    assert found["generator"]["image_above"] is None
    assert found["generator"]["strip"]["clips"] == 5
    assert found["generator"]["strip"]["steps"] == 8  # what is not named keeps its value
    assert found["insilico"]["explainable_variance"] == {"01": 0.05}
    assert found["reconstruct"]["repeats"] == 3
    assert found["reconstruct"]["scheduler_options"] == {
        "use_karras_sigmas": True,
        "spacing": "leading",
    }
    assert found["pretrain"]["mixed_precision"] == "no"
    assert found["method_options"] == {"cvgan": {"epochs": 2, "mixed_precision": "no"}}
    assert found["bids"] is None


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("align={epochs: seven}", "align.epochs: 'seven' is not of type 'integer'"),
        ("align={epochs: -1}", "align.epochs: -1 is less than the minimum"),
        ("align={epoch: 7}", "did you mean 'align.epochs'"),
    ],
)
def test_what_does_not_fit_is_refused_as_before(word, told):
    with pytest.raises(UserError, match=told):
        configuration.complete({**ASKED, **parse_config([word])})
