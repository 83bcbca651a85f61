"""Which test clips a job draws, and which of them follow each other.

Takes the clips table and names of clips; returns chains of clips and the part of a shard.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from boldreel.data import tables
from boldreel.errors import UserError

Chain = list[str]


def chains(clips_table: Path, clips: Sequence[str]) -> list[Chain]:
    """The clips in chains: each clip of a chain begins in its movie where the one before it ends."""
    table = tables.read(clips_table, "clips")
    table = table[table["clip"].isin(clips)].sort_values(["movie", "start"])
    found: list[Chain] = []
    movie, end = "", 0.0
    for row in table.itertuples():
        if row.movie == movie and math.isclose(row.start, end, abs_tol=1e-6):
            found[-1].append(row.clip)
        else:
            found.append([row.clip])
        movie, end = row.movie, row.start + row.duration
    return found


def alone(clips: Sequence[str]) -> list[Chain]:
    """The sorted clips, each a chain of its own."""
    return [[clip] for clip in sorted(clips)]


def part(whole: Sequence[Chain], shard: int, shards: int) -> list[Chain]:
    """The chains whose number leaves the rest ``shard`` when divided by ``shards``.

    Raises
    ------
    UserError : no such shard, or more shards than chains.
    """
    if not 0 <= shard < shards:
        raise UserError(f"--shard {shard} of --shards {shards}: shards count from 0")
    if shards > len(whole):
        what = "clips" if all(len(chain) == 1 for chain in whole) else "continuous movies"
        raise UserError(
            f"--shards {shards}: only {len(whole)} {what}; take fewer (reconstruct.shards)"
        )
    return list(whole[shard::shards])
