"""Movies of the embedded data set, with exact annotations.

Reads the `insilico` section and a segment's name; writes an H.264 mp4 of 64 x 64 pixels and, beside
it, a table of its shots: onset, duration (s), shot, caption and the scene's five labels. All movies
are planned together from the seed, so that labels are balanced, no scene of a test movie occurs in a
training movie, and held-out pairs of object and colour occur in about one test shot of five only.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from boldreel import step
from boldreel.data import tables, video
from boldreel.errors import UserError
from boldreel.insilico import design, world
from boldreel.insilico.seeding import generator
from boldreel.insilico.settings import InsilicoSettings
from boldreel.insilico.world import Scene
from boldreel.settings import read

FRAME_RATE = 12.0
CLIP_DURATION = 2.0
# A shot lasts one to four clips.
SHOT_CLIPS = (1, 2, 3, 4)
# x264 constant quality: visually lossless at this size.
QUALITY = 12

T = TypeVar("T")


@dataclass(frozen=True)
class Shot:
    """One shot: its scene and its place in the movie, in seconds."""

    label: str
    scene: Scene
    onset: float
    duration: float


class _Deck(Generic[T]):
    """Deals every card once in random order, then shuffles again: balanced, yet random."""

    def __init__(self, cards: Sequence[T], rng: np.random.Generator) -> None:
        self.cards, self.rng, self.left = list(cards), rng, list[T]()

    def deal(self) -> T:
        if not self.left:
            self.left = [self.cards[k] for k in self.rng.permutation(len(self.cards))]
        return self.left.pop()


class _Scenes:
    """Deals scenes with every label balanced, none of them twice while there are new ones."""

    def __init__(self, rng: np.random.Generator, taken: set[Scene]) -> None:
        pairs = list(itertools.product(world.CLASSES, world.COLOURS))
        self.seen = _Deck([pair for pair in pairs if pair not in world.HELD_OUT], rng)
        self.unseen = _Deck([pair for pair in pairs if pair in world.HELD_OUT], rng)
        self.background = _Deck(world.BACKGROUNDS, rng)
        self.motion = _Deck(world.MOTIONS, rng)
        self.size = _Deck(world.SIZES, rng)
        self.forbidden = frozenset(taken)
        self.taken = set(taken)

    def deal(self, held_out: bool) -> Scene:
        name, colour = (self.unseen if held_out else self.seen).deal()
        for attempt in range(400):
            scene = Scene(
                name, colour, self.background.deal(), self.motion.deal(), self.size.deal()
            )
            # After many attempts a repeat is let pass, a scene of the other split never.
            if scene not in self.taken or (attempt >= 200 and scene not in self.forbidden):
                self.taken.add(scene)
                return scene
        raise UserError(
            "configuration: insilico asks for more shots than the world has scenes; "
            "lower test_movies, train_movies or volumes"
        )


def plan(settings: InsilicoSettings, seed: int) -> dict[str, list[Shot]]:
    """The shots of every movie, by segment.

    Test movies are planned first: a longer training set leaves them as they are.
    """
    shots: dict[str, list[Shot]] = {}
    taken: set[Scene] = set()
    for split, names in (
        ("test", design.test_segments(settings)),
        ("train", design.train_segments(settings)),
    ):
        rng = generator(seed, "scenes", split)
        scenes = _Scenes(rng, taken)
        lengths = _Deck(SHOT_CLIPS, rng)
        held_out = _Deck([split == "test", *[False] * 4], rng)
        for name in names:
            onset, shots[name] = 0.0, []
            end = design.movie_duration(settings)
            while onset < end - 1e-6:
                duration = min(lengths.deal() * CLIP_DURATION, end - onset)
                scene = scenes.deal(held_out.deal())
                label = f"{name}-s{len(shots[name]):03d}"
                shots[name].append(Shot(label, scene, onset, duration))
                onset += duration
        taken = scenes.taken
    return shots


def frames(
    shots: Sequence[Shot], seed: int, frame_rate: float = FRAME_RATE
) -> Iterator[np.ndarray]:
    """The movie's frames, uint8 (64, 64, 3) each, shot after shot without gap."""
    for shot in shots:
        first, last = (round(t * frame_rate) for t in (shot.onset, shot.onset + shot.duration))
        rng = generator(seed, "shot", shot.label)
        yield from world.render_shot(shot.scene, last - first, frame_rate, rng)


def shot_rows(shots: Sequence[Shot]) -> list[dict[str, Any]]:
    """Rows of the table next to the movie."""
    return [
        {
            "onset": shot.onset,
            "duration": shot.duration,
            "shot": shot.label,
            "caption": shot.scene.caption,
            "object": shot.scene.object,
            "colour": shot.scene.colour,
            "background": shot.scene.background,
            "motion": shot.scene.motion,
            "size": shot.scene.size,
        }
        for shot in shots
    ]


def main(argv: list[str] | None = None) -> None:
    """Draw one movie and write it and its annotations."""
    import pandas as pd

    parser = step.parser(__doc__)
    parser.add_argument("--segment", required=True, help="name of the movie, such as train01")
    parser.add_argument("--output", required=True, type=Path, help="mp4; the .tsv goes next to it")
    args = parser.parse_args(argv)
    settings = read(InsilicoSettings, args.config, "insilico")
    design.repeats(settings, args.segment)
    seed = settings.seed
    shots = plan(settings, seed)[args.segment]
    tables.write(args.output.with_suffix(".tsv"), pd.DataFrame(shot_rows(shots)), "annotations")
    video.write_mp4(args.output, frames(shots, seed), FRAME_RATE, crf=QUALITY)
    print(f"{args.segment}: {len(shots)} shots", file=sys.stderr)


if __name__ == "__main__":
    step.run(main)
