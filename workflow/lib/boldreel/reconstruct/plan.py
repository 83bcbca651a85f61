"""Which clips a job draws, in which order, and which of them are finished.

Takes the clips table and the condition of each clip; returns chains of clips that follow each other, the
part of a shard, and every sample of every clip, drawn in batches: all at once where clips stand alone, else
each after the clip that it continues. Clips that are kept from an earlier try are not drawn again.
"""

from __future__ import annotations

import hashlib
import json
import math
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from boldreel.data import atomic, tables
from boldreel.errors import UserError
from boldreel.generator import batch_size
from boldreel.training.progress import Progress

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


@dataclass(frozen=True, eq=False)
class Unit:
    """One sample of one clip: condition (length, width), and the one it goes on from."""

    clip: str
    sample: int
    condition: np.ndarray
    before: Unit | None = None


class Drawn(NamedTuple):
    """uint8 frames (F, h, w, 3); float32 latents (k, c, h, w) of the last k, that the next goes on from."""

    frames: np.ndarray
    tail: np.ndarray


# units that all go on from others, or none does; the tails (n, k, c, h, w) they go on from
Draw = Callable[[Sequence[Unit], "np.ndarray | None"], list[Drawn]]


def units(
    chains: Sequence[Chain], conditions: dict[str, np.ndarray], samples: int, first: int = 0
) -> list[Unit]:
    """So many samples of every clip from number `first` on, the first samples first."""
    found: list[Unit] = []
    for sample in range(first, first + samples):
        for chain in chains:
            before: Unit | None = None
            for clip in chain:
                before = Unit(clip, sample, conditions[clip], before)
                found.append(before)
    return found


class FinishedClips:
    """What was drawn, by clip and sample, in a folder, so that a stopped job resumes.

    One file for each finished clip. Its name holds a hash of all that the frames depend on, so that clips of
    another configuration or network are never taken up.
    """

    def __init__(self, folder: Path, shared: dict[str, Any]) -> None:
        """shared : plain values that all clips depend on (config, hashes of the networks)."""
        self.folder = folder
        self.shared = json.dumps(shared, sort_keys=True, default=str).encode()
        folder.mkdir(parents=True, exist_ok=True)

    def _path(self, unit: Unit) -> Path:
        state = hashlib.blake2b(self.shared, digest_size=10)
        before: Unit | None = unit
        while before is not None:  # a clip that goes on depends on all clips before it
            state.update(f"{before.clip}\0{before.sample}\0".encode())
            state.update(np.ascontiguousarray(before.condition).tobytes())
            before = before.before
        return self.folder / f"{unit.clip}_{unit.sample}_{state.hexdigest()}.npz"

    def get(self, unit: Unit) -> Drawn | None:
        """What was drawn for the clip, or None if it is not finished."""
        try:
            with np.load(self._path(unit), allow_pickle=False) as kept:
                return Drawn(kept["frames"], kept["tail"])
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
            return None

    def put(self, unit: Unit, drawn: Drawn) -> None:
        """Keeps a finished clip."""
        with atomic.file(self._path(unit)) as aside, aside.open("wb") as stream:
            np.savez(stream, frames=drawn.frames, tail=drawn.tail)


def draw_all(
    wanted: Sequence[Unit], draw: Draw, kept: FinishedClips, batch: int
) -> dict[Unit, Drawn]:
    """What is drawn for each unit."""
    done: dict[Unit, Drawn] = {}
    for unit in wanted:
        found = kept.get(unit)
        if found is not None:
            done[unit] = found
    progress = Progress(len(wanted), "reconstruction", unit="clips", done=len(done))
    waiting = [unit for unit in wanted if unit not in done]
    while waiting:
        ready = [unit for unit in waiting if unit.before is None or unit.before in done]
        alike = [unit for unit in ready if (unit.before is None) == (ready[0].before is None)]

        def attempt(size: int, alike: list[Unit] = alike) -> tuple[list[Unit], list[Drawn]]:
            chosen = alike[:size]
            tails = [done[unit.before].tail for unit in chosen if unit.before is not None]
            return chosen, draw(chosen, np.stack(tails) if tails else None)

        size = min(batch, len(alike))
        chosen, drawn = batch_size.with_smaller_batches(attempt, size, "reconstruction")
        if len(chosen) < size:  # memory did not suffice for more
            batch = len(chosen)
        for unit, result in zip(chosen, drawn, strict=True):
            kept.put(unit, result)
            done[unit] = result
        waiting = [unit for unit in waiting if unit not in done]
        progress.update(len(chosen))
    return done
