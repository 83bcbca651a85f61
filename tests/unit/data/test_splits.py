"""Every stage needs segments of every split."""

import pytest

from boldreel.data.splits import check_enough
from boldreel.errors import UserError

ENOUGH = {"train": {"train01", "train02"}, "validation": {"train06"}, "test": {"test01"}}


def test_a_subject_needs_segments_of_every_split() -> None:
    check_enough(ENOUGH, "sub-01")
    for split, missing, message in (
        (
            "train",
            "train02",
            r"sub-01: 1 segment\(s\) for train, 2 needed \(runs that are named: test01, train01, train06\)",
        ),
        ("validation", "train06", r"0 segment\(s\) for validation, 1 needed"),
        ("test", "test01", r"segments\.test"),
    ):
        with pytest.raises(UserError, match=message):
            check_enough(ENOUGH | {split: ENOUGH[split] - {missing}}, "sub-01")
    with pytest.raises(UserError, match=r"named: none\); change the patterns of segments\.train"):
        check_enough({}, "sub-01")
