"""The configuration: unknown keys, defaults, lists of subjects."""

import pytest
from boldreel import configuration
from boldreel.errors import UserError


def test_defaults_are_filled_and_values_kept():
    config = configuration.complete({"dataset": "mine", "segments": {"test": ["probe*"]}})
    assert config["dataset"] == "mine"
    assert config["segments"]["test"] == ["probe*"]
    assert config["segments"]["train"] == ["train*"]


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"datset": "x"}, ["datset", "did you mean 'dataset'"]),
        ({"segments": {"tset": []}}, ["segments.tset", "test"]),
        ({"seed": "one"}, ["seed", "integer"]),
        ({"dataset": "../x"}, ["dataset"]),
    ],
)
def test_mistakes_are_one_clear_line(config, words):
    with pytest.raises(UserError) as caught:
        configuration.complete(config)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_subjects(tmp_path):
    table = tmp_path / "subjects.tsv"
    table.write_text("subject\texclude\n01\tfalse\nsub-02\t\n03\ttrue\n")
    assert configuration.subjects(table) == ["01", "02"]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("name\n01\n", "column 'subject'"),
        ("subject\n01\n01\n", "twice"),
        ("subject\n$(rm x)\n", "letters and digits"),
        ("subject\texclude\n01\ttrue\n", "no subject is left"),
    ],
)
def test_bad_lists_of_subjects(tmp_path, text, word):
    table = tmp_path / "subjects.tsv"
    table.write_text(text)
    with pytest.raises(UserError, match=word.replace("$", r"\$")):
        configuration.subjects(table)


def test_split_takes_validation_out_of_train():
    patterns = {"train": ["train*"], "validation": ["train06"], "test": ["test*"]}
    assert configuration.split_of("train05", patterns) == "train"
    assert configuration.split_of("train06", patterns) == "validation"
    assert configuration.split_of("test01", patterns) == "test"
    assert configuration.split_of("rest", patterns) is None
