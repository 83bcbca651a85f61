"""How any method's clips are matched with the truth: which, at which times, at which size.

Takes folders or probed clips of both sides; returns what to compare, and sentences that say so.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boldreel.errors import UserError
from boldreel.evaluate import clip_list, videos
from boldreel.evaluate.pairs import Pairs
from boldreel.training.progress import Progress

if TYPE_CHECKING:
    import pandas as pd

_UNEQUAL = 0.02  # relative difference from which shapes and durations are remarked upon


def sizes(
    truth: Mapping[str, videos.Clip], reconstruction: Mapping[str, videos.Clip], side: int | None
) -> tuple[tuple[int, int], list[str]]:
    """(size (h, w) to compare at, sentences on it).

    The reconstructions' own size, that of the first one where they differ, or a square of `side`.
    """
    first = next(iter(reconstruction.values())).size
    size = first if side is None else (side, side)
    found = {clip.size for clip in reconstruction.values()}
    text = f"Frames are compared at {_size(size)} pixels (width x height)"
    if side is None:
        which = "that of the first one" if len(found) > 1 else "their own"
        text += f": the reconstructions' size, {which}"
    notes = [f"{text}. What has another size, the truth as a rule, is scaled to it (bicubic)."]
    bent = [
        name
        for clips_ in (truth, reconstruction)
        for name, clip in clips_.items()
        if abs(clip.size[1] * size[0] / (clip.size[0] * size[1]) - 1) > _UNEQUAL
    ]
    if bent:
        notes.append(
            f"{_clips(len(bent))} of another shape, squeezed to it (first: {bent[0]}); crop "
            "them beforehand where the method saw a part of the picture."
        )
    return size, notes


def times(
    truth: Mapping[str, videos.Clip], reconstruction: Mapping[str, videos.Clip], asked: int | None
) -> tuple[int, list[str]]:
    """(frames K to compare, sentences on it)."""
    most = videos.compared_frames(truth.values(), reconstruction.values())
    frames = asked or most
    why = "as asked" if asked else "as many as every clip of more than one picture has"
    notes = [
        f"Each clip is shown at {frames} evenly spaced times k/{frames} of its own duration ({why}), "
        "and the picture shown at that time is compared."
    ]
    if asked and asked > most:
        notes.append(
            f"The shortest clip has {most} pictures: at {asked} times some are compared more than once, "
            f"which "
            "adds nothing and makes motion look smaller."
        )
    still = sum(clip.frames == 1 for side in (truth, reconstruction) for clip in side.values())
    if still and frames > 1:
        notes.append(f"{_clips(still)} of a single picture, shown as stills.")
    unlike = []
    for name, clip in truth.items():
        a, b = clip.duration, reconstruction[name].duration
        if a and b and abs(a / b - 1) > _UNEQUAL:
            unlike.append(f"{name}: {a:.2f} s and {b:.2f} s")
    if unlike:
        notes.append(
            f"{_clips(len(unlike))} of unlike durations, compared at the same fractions of each "
            f"(first: truth and reconstruction of {unlike[0]})."
        )
    return frames, notes


def _clips(count: int) -> str:
    return f"{count} clip{'' if count == 1 else 's'}"


def _size(size: tuple[int, int]) -> str:
    return f"{size[1]}x{size[0]}"


def matching(pairs: Pairs) -> pd.DataFrame:
    """Table "matching" of the clips, in their order."""
    import pandas as pd

    rows = []
    for name in pairs.test["clip"]:
        sides = {side: of[name] for side, of in pairs.sides.items()}
        row: dict[str, Any] = {"clip": name}
        row |= {f"frames_{side}": clip.frames for side, clip in sides.items()}
        row["frames_compared"] = pairs.frames
        row |= {f"seconds_{side}": clip.duration for side, clip in sides.items()}
        row |= {f"size_{side}": _size(clip.size) for side, clip in sides.items()}
        rows.append({**row, "size_compared": _size(pairs.size)})
    return pd.DataFrame(rows)


def _some(names: Sequence[str], what: str) -> str:
    more = ", …" if len(names) > 5 else ""
    return f"{_clips(len(names))} {what}: {', '.join(names[:5])}{more}."


def arrange(
    args: argparse.Namespace, truth: Mapping[str, Path], made: Mapping[str, Path]
) -> tuple[pd.DataFrame, list[str]]:
    """(rows of the clips to score, sentences on which clips those are).

    args : with the folders `truth` and `reconstruction`, and the table `clips` or None.
    """
    if args.truth.resolve() == args.reconstruction.resolve():
        raise UserError(
            f"{args.reconstruction}: the truth's own folder; name the folder of reconstructions"
        )
    both, *lone = videos.matched(truth, made, (args.truth, args.reconstruction))
    notes = [
        _some(names, f"only in {folder}, left out")
        for names, folder in zip(lone, (args.truth, args.reconstruction), strict=True)
        if names
    ]
    if args.clips is None:
        notes.append(
            f"{_clips(len(both))} in natural order of names, as one run; each counts as a shot of its "
            "own. Name runs and shots with --clips where they are known: intervals are narrower then."
        )
        return clip_list.every(both), notes
    test, absent, unlisted = clip_list.read(args.clips, both)
    for names, what in (
        (absent, "of the table not in both folders"),
        (unlisted, "not in the table"),
    ):
        if names:
            notes.append(_some(names, f"{what}, left out"))
    notes.append(f"{_clips(len(test))} with runs and shots from {args.clips}.")
    return test, notes


def probe(paths: Mapping[str, Path], names: Sequence[str], what: str) -> dict[str, videos.Clip]:
    """What is known about the named clips without reading their frames."""
    progress = Progress(len(names), f"look at {what}", unit="clips")
    out = {}
    for name in names:
        out[name] = videos.probe(paths[name])
        progress.update()
    return out
