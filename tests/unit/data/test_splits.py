"""Splits by patterns: validation comes out of training, test never overlaps."""

import pytest

from boldreel.data.splits import check_enough, check_patterns, split_of
from boldreel.errors import UserError

PATTERNS = {"train": ["train*"], "validation": ["train06"], "test": ["test*"]}


def test_split_of() -> None:
    names = ["train01", "train06", "test02", "rest"]
    assert [split_of(name, PATTERNS) for name in names] == ["train", "validation", "test", None]
    assert split_of("train06", {"train": ["train*"], "test": ["test*"]}) == "train"


def test_overlap_with_test_is_refused() -> None:
    with pytest.raises(
        UserError, match=r"train01 is matched by segments\.test and by segments\.train"
    ):
        split_of("train01", {"train": ["train*"], "test": ["t*"]})


def test_check_patterns() -> None:
    assert check_patterns({"train": "a*", "test": ["b"]}) == {"train": ["a*"], "test": ["b"]}
    for wrong, message in (
        (None, "segments is missing"),
        ({"train": ["a"]}, "segments.test is empty"),
        ({"train": ["a"], "test": ["b"], "dev": []}, "segments.dev: no such split"),
    ):
        with pytest.raises(UserError, match=message):
            check_patterns(wrong)


def test_a_subject_needs_segments_of_every_split() -> None:
    enough = ["train01", "train02", "train06", "test01"]
    check_enough([*enough, *enough], PATTERNS, "sub-01")
    for missing, message in (
        (
            "train02",
            r"sub-01: 1 segment\(s\) for train, 2 needed \(runs of: test01, train01, train06\)",
        ),
        ("train06", r"0 segment\(s\) for validation, 1 needed"),
        ("test01", r"segments\.test"),
    ):
        with pytest.raises(UserError, match=message):
            check_enough([name for name in enough if name != missing], PATTERNS, "sub-01")
