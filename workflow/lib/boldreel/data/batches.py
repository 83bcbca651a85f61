"""Batches of movies: films that are decoded, described and stored together.

Where few movies are shown, each is a batch of its own, whose folder has its name. Thousands of short clips
share folders: the arrays of a batch hold its movies one after the other, and their sidecars say which rows
are whose (`movies`: {name: [first row, number of rows]}). The clips table then has a column `batch`.
Standard library only: the workflow names batches while it plans.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from boldreel.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd


def name_of(splits: Iterable[str], movies: Sequence[str]) -> str:
    """The name of a batch: splits and a digest of its movies, so that other movies have another folder."""
    digest = hashlib.blake2b("\n".join(movies).encode(), digest_size=5).hexdigest()
    return "-".join([*splits, digest])


def pattern(splits: Iterable[str]) -> str:
    """What the names of all batches of these splits fit; each batch fits the pattern of one."""
    return "-".join([*splits, "*"])


def as_ranges(rows: Iterable[int]) -> str:
    """Rising row numbers as a short word: `0-199,203`."""
    ranges: list[list[int]] = []
    for row in rows:
        if ranges and row == ranges[-1][1] + 1:
            ranges[-1][1] = row
        else:
            ranges.append([row, row])
    return ",".join(f"{first}-{last}" if last > first else f"{first}" for first, last in ranges)


def rows_in(word: str) -> list[int]:
    """The row numbers of `as_ranges`; UserError for anything else."""
    rows: list[int] = []
    for part in word.split(","):
        first, _, last = part.partition("-")
        if not (first.isdigit() and (last or first).isdigit()):
            raise UserError(f"rows {word!r}: write whole numbers and ranges, such as 0-199,203")
        rows += range(int(first), int(last or first) + 1)
    return rows


def of_clips(clips: pd.DataFrame) -> pd.Series:
    """The batch of each row of a clips table; a movie's own name where each is a batch of its own."""
    return clips["batch"] if "batch" in clips else clips["movie"]


def among(batch: str, named: Collection[str]) -> bool:
    """Whether a batch is one of those named, by its name or by the pattern of its splits."""
    return batch in named or f"{batch.rpartition('-')[0]}-*" in named


def movies_of(clips: pd.DataFrame, named: Collection[str]) -> set[str]:
    """The movies of these batches (`among`) that have clips."""
    pairs = set(zip(of_clips(clips), clips["movie"], strict=True))
    return {movie for batch, movie in pairs if among(batch, named)}


def parts(meta: Mapping[str, Any], batch: str, length: int) -> dict[str, slice]:
    """{movie: its rows} of an array of a batch, in their order.

    Parameters
    ----------
    meta : the array's sidecar
    batch : name of the batch, and of its movie where it has but one
    length : number of the array's rows
    """
    if "movies" not in meta:
        return {batch: slice(0, length)}
    return {name: slice(first, first + count) for name, (first, count) in meta["movies"].items()}


def part(meta: Mapping[str, Any], movie: str, length: int, path: Path) -> slice:
    """The rows of one movie in an array at `path`; UserError if the array does not have it."""
    found = parts(meta, movie, length)
    if movie not in found:
        raise UserError(f"{path}: movie {movie!r} is not in this batch; decode its movies again")
    return found[movie]


def counted(lengths: Mapping[str, int]) -> dict[str, list[int]]:
    """`movies` of a sidecar, from the number of rows of each movie, in their order."""
    found, first = {}, 0
    for movie, count in lengths.items():
        found[movie] = [first, count]
        first += count
    return found
