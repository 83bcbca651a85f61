"""Where the cuts of continuous movies fall, next to the truth's.

Takes the tables of cuts that reconstruction leaves, and the clips; returns a paragraph.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from boldreel.report import wording
from boldreel.report.markup import esc

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Cuts:
    """Of one subject: places where clips meet; cuts there in the reconstruction, in the truth and in both;
    cuts of the reconstruction within clips."""

    places: int
    made: int
    true: int
    both: int
    within: int


def count(cuts: pd.DataFrame, clips: pd.DataFrame) -> Cuts:
    """Compare a table of cuts with the clips that were reconstructed.

    Parameters
    ----------
    cuts : table "movie_cuts". clips : rows of the table "clips" of the clips that were reconstructed.
    """
    ordered = clips.sort_values(["movie", "start"])
    true, places = set(), 0
    for before, after in pairwise(ordered.itertuples()):
        gap = abs(before.start + before.duration - after.start)  # type: ignore[operator]
        if before.movie == after.movie and gap < 1e-6:
            places += 1
            if before.shot != after.shot:
                true.add(after.clip)
    made = set(cuts.loc[cuts["between_clips"], "clip"])
    within = int((~cuts["between_clips"]).sum())
    return Cuts(places, len(made), len(true), len(made & true), within)


def told(counts: Sequence[tuple[str, Cuts]]) -> str:
    """A paragraph on all subjects' continuous movies; empty without any."""
    if not counts:
        return ""
    parts = [
        f"{esc(wording.who(subject))}: {own.made} (with the truth: {own.both}), and {own.within} within clips"
        for subject, own in counts
    ]
    first = counts[0][1]
    return (
        "<h3>Continuous movies</h3><p>Each clip went on from the end of the one before it. Of "
        f"{first.places} places where clips meet the truth begins another shot at {first.true}. Cuts that "
        f"are found there in the reconstruction: {'; '.join(parts)}.</p>"
    )
