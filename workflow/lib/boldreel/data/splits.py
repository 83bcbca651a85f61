"""Splits by whole segment: which runs are for training, validation and test.

Takes the config's patterns on segment (task) names; returns one split per segment. Validation is taken
out of training. A segment that is both training and test is refused; one that no pattern names is
not used.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

from boldreel.errors import UserError

SPLITS = ("train", "validation", "test")
# Penalties are chosen across training segments, which takes two.
FEWEST = {"train": 2, "validation": 1, "test": 1}


def split_of(segment: str, patterns: Mapping[str, Sequence[str]]) -> str | None:
    """The split of a segment, None if no pattern names it.

    Parameters
    ----------
    patterns : shell patterns by split, for example {"train": ["seg*"], "validation": ["seg18"],
        "test": ["test*"]}; validation may be absent

    Raises
    ------
    UserError : the segment is named both by test and by train or validation.
    """
    named = [
        split
        for split in SPLITS
        if any(fnmatchcase(segment, pattern) for pattern in patterns.get(split) or ())
    ]
    if "test" in named and len(named) > 1:
        raise UserError(
            f"segment {segment} is matched by segments.test and by segments.{named[0]}; make the "
            "patterns exclusive, or test data leaks into training"
        )
    if "validation" in named:
        return "validation"
    return named[0] if named else None


def check_patterns(patterns: object) -> dict[str, list[str]]:
    """The patterns of a config, each a list.

    Raises
    ------
    UserError : not a mapping of train, validation and test to patterns, or train or test missing.
    """
    if not isinstance(patterns, Mapping):
        raise UserError("segments is missing; give patterns: segments: {train: [...], test: [...]}")
    unknown = set(patterns) - set(SPLITS)
    if unknown:
        raise UserError(f"segments.{sorted(unknown)[0]}: no such split; {', '.join(SPLITS)} exist")
    lists = {
        split: [value] if isinstance(value, str) else list(value or [])
        for split, value in patterns.items()
    }
    for split in ("train", "test"):
        if not lists.get(split):
            raise UserError(
                f"segments.{split} is empty; name its segments, for example ['{split}*']"
            )
    return lists


def check_enough(
    segments: Iterable[str], patterns: Mapping[str, Sequence[str]], whose: str
) -> None:
    """Refuse a subject whose runs cannot serve every stage.

    Parameters
    ----------
    segments : of the subject's runs. patterns : as in `split_of`. whose : name in the message.

    Raises
    ------
    UserError : fewer segments in a split than FEWEST.
    """
    names = sorted(set(segments))
    found = [split_of(name, patterns) for name in names]
    for split, fewest in FEWEST.items():
        count = found.count(split)
        if count < fewest:
            raise UserError(
                f"{whose}: {count} segment(s) for {split}, {fewest} needed (runs of: {', '.join(names)}); "
                f"change the patterns of segments.{split}, or add runs"
            )
