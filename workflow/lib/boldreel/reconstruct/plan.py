"""In which order the clips of a shard are drawn.

Takes chains of clips with their conditions; returns every sample of every clip, drawn in batches: all at
once where clips stand alone, else each after the clip that it goes on from. Clips that are kept from an
earlier try are not drawn again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from boldreel.generator import memory
from boldreel.training.progress import Progress

if TYPE_CHECKING:
    from boldreel.reconstruct.partial import PartialClips
    from boldreel.reconstruct.shards import Chain


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


def draw_all(
    wanted: Sequence[Unit], draw: Draw, kept: PartialClips, batch: int
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
        chosen, drawn = memory.halving(attempt, size, "reconstruction")
        if len(chosen) < size:  # memory did not suffice for more
            batch = len(chosen)
        for unit, result in zip(chosen, drawn, strict=True):
            kept.put(unit, result)
            done[unit] = result
        waiting = [unit for unit in waiting if unit not in done]
        progress.update(len(chosen))
    return done
