"""JSON objects between stages."""

from __future__ import annotations

import pytest

from boldreel.data import json_documents
from boldreel.data.schemas import DOCUMENTS
from boldreel.errors import UserError

CHOICE = {"lag": 4, "window": 3, "source": "sweep", "lag_estimate": None, "p": 0.01}


def test_it_comes_back_with_keys_of_its_own(tmp_path):
    given = CHOICE | {"clips_fitted": 7}
    json_documents.write(tmp_path / "choice.json", given, "choice")
    assert json_documents.read(tmp_path / "choice.json", "choice") == given


@pytest.mark.parametrize(
    ("schema", "key", "wrong"),
    [
        *(("choice", key, True) for key in DOCUMENTS["choice"]),
        *(("choice", key, []) for key in DOCUMENTS["choice"]),
        ("choice", "window", 3.5),
        ("choice", "lag", "4"),
        *(("audit", key, []) for key in DOCUMENTS["audit"]),
    ],
)
def test_every_key_must_be_of_its_kind(tmp_path, schema, key, wrong):
    good = CHOICE if schema == "choice" else {"splits": {}}
    with pytest.raises(UserError, match=f"'{key}' is .*; expected"):
        json_documents.write(tmp_path / "it.json", good | {key: wrong}, schema)
    assert not list(tmp_path.iterdir())


def test_what_is_not_finite_is_not_written(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        json_documents.write(tmp_path / "it.json", CHOICE | {"lag": float("nan")}, "choice")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("key", "needed"), [("lag", True), ("window", True), ("source", False)])
def test_some_keys_must_be_there(tmp_path, key, needed):
    value = {name: kept for name, kept in CHOICE.items() if name != key}
    if needed:
        with pytest.raises(UserError, match=f"key '{key}' is missing"):
            json_documents.write(tmp_path / "choice.json", value, "choice")
    else:
        json_documents.write(tmp_path / "choice.json", value, "choice")


@pytest.mark.parametrize(
    ("text", "message"), [("{", "not JSON"), ("[]", "a list"), (None, "not found")]
)
def test_what_is_no_object_is_one_line(tmp_path, text, message):
    path = tmp_path / "audit.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        json_documents.read(path, "audit")
    assert "\n" not in str(caught.value)
