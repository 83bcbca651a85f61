"""Splits: training, validation and test, by what was shown.

Which run or presentation belongs to which split is said by study.selectors, once; everybody else reads it
from the table of presentations.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from boldreel.errors import UserError

SPLITS = ("train", "validation", "test")
# Penalties are chosen across training segments, which takes two.
FEWEST = {"train": 2, "validation": 1, "test": 1}


def check_enough(segments: Mapping[str, Collection[str]], whose: str) -> None:
    """Refuse a subject whose runs cannot serve every stage.

    Parameters
    ----------
    segments : of the subject's runs, by split
    whose : name in the message

    Raises
    ------
    UserError : fewer segments in a split than FEWEST.
    """
    names = ", ".join(sorted({name for each in segments.values() for name in each})) or "none"
    for split, fewest in FEWEST.items():
        count = len(segments.get(split, ()))
        if count < fewest:
            raise UserError(
                f"{whose}: {count} segment(s) for {split}, {fewest} needed (runs that are named: {names}); "
                f"change the patterns of segments.{split}, or add runs"
            )
