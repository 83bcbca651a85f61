"""Step: score any method's videos against the truth, without brain data.

Takes a folder of true clips and one of reconstructions, matched by name: NAME.mp4 (gif, avi, mov,
mkv, webm), NAME/ with png or jpg frames, or NAME.npy (uint8, frames x height x width x 3). Leaves
in the output folder metrics.tsv, clips.tsv (every clip), matching.tsv (how clips were matched),
report.html and provenance.json, for the conditions model, shuffled, gray and true_colour. Metrics
whose model is not given are left out and named.

Frames: every clip is shown at the same K evenly spaced times k / K of its own duration; K is
--frames, or the fewest frames of any clip on either side. The truth is scaled to the
reconstruction's size.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boldreel.data import atomic, provenance, tables
from boldreel.errors import UserError
from boldreel.evaluate import clips, listing, videos
from boldreel.evaluate.measures import left_out
from boldreel.evaluate.pairs import Pairs
from boldreel.evaluate.readings import Judges, Models
from boldreel.evaluate.score import DEFAULTS, score
from boldreel.evaluate.stored import Stored
from boldreel.evaluate.summary import Summary
from boldreel.evaluate.table import tabulate
from boldreel.report import page, standalone
from boldreel.step import parser, run
from boldreel.training.device import lease
from boldreel.training.progress import Progress

if TYPE_CHECKING:
    import pandas as pd

# Shifts of one run alone must reach a p that survives correction; those of several runs multiply.
SHIFTS_OF_ONE_RUN = 200
ALONE: dict[str, Any] = {**DEFAULTS, "pixel_shifts": 40, "page_clips": 16, "level": 0.05}
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
    frames = asked or videos.compared_frames(truth.values(), reconstruction.values())
    why = "as asked" if asked else "as many as every clip of more than one picture has"
    notes = [
        f"Each clip is shown at {frames} evenly spaced times k/{frames} of its own duration ({why}), "
        "and the picture shown at that time is compared."
    ]
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
    args: Any, truth: Mapping[str, Path], made: Mapping[str, Path]
) -> tuple[pd.DataFrame, list[str]]:
    """(rows of the clips to score, sentences on which clips those are)."""
    both, *lone = videos.matched(truth, made, (args.truth, args.reconstruction))
    notes = [
        _some(names, f"only in {folder}, left out")
        for names, folder in zip(lone, (args.truth, args.reconstruction), strict=True)
        if names
    ]
    if args.clips is None:
        notes.append(
            f"{_clips(len(both))} in natural order of names, as one run; each counts as a shot of its "
            "own, so that intervals are too narrow where clips are cut from one shot (--clips tells)."
        )
        return listing.every(both), notes
    test, absent, unlisted = listing.read(args.clips, both)
    for names, what in (
        (absent, "of the table not in both folders"),
        (unlisted, "not in the table"),
    ):
        if names:
            notes.append(_some(names, f"{what}, left out"))
    notes.append(f"{_clips(len(test))} with runs and shots from {args.clips}.")
    return test, notes


def _probe(paths: Mapping[str, Path], names: Sequence[str], what: str) -> dict[str, videos.Clip]:
    progress = Progress(len(names), f"look at {what}", unit="clips")
    out = {}
    for name in names:
        out[name] = videos.probe(paths[name])
        progress.update()
    return out


def _write(out: Path, files: Mapping[str, tuple[Any, str]], **traces: Any) -> None:
    """All files, aside first: either all are new or none is."""
    out = out.resolve()
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", dir=out.parent) as aside:
        folder = Path(aside) / out.name
        folder.mkdir()
        for name, (content, schema) in files.items():
            if schema:
                tables.write(folder / name, content, schema)
            else:
                atomic.write_text(folder / name, content)
        # Of these files alone, whatever else lies in the folder that they go to.
        extra = {**traces.pop("extra", {}), "target": str(out)}
        provenance.record(folder, **traces, extra=extra)
        out.mkdir(exist_ok=True)
        for path in sorted(folder.iterdir()):
            os.replace(path, out / path.name)


def _arguments(argv: Sequence[str] | None) -> Any:
    arguments = parser(__doc__)
    arguments.add_argument("--truth", type=Path, required=True, help="folder of true clips")
    arguments.add_argument("--reconstruction", type=Path, required=True, help="folder of clips")
    arguments.add_argument("--out", type=Path, required=True, help="folder; other files in it stay")
    arguments.add_argument("--name", help="of the method (default: the reconstructions' folder)")
    Models.ask(arguments)
    arguments.add_argument("--frames", type=int, help="frames to compare of each clip")
    arguments.add_argument("--size", type=int, help="side in pixels of a square to compare at")
    arguments.add_argument("--clips", type=Path, help="TSV: clip; optional run, shot, attributes")
    args = arguments.parse_args(argv)
    for name in ("frames", "size"):
        value = getattr(args, name)
        if value is not None and value < 1:
            raise UserError(f"--{name} is {value}; give a whole number from 1 on")
    if args.out.exists() and not args.out.is_dir():
        raise UserError(f"{args.out}: is a file; name a folder for the results")
    args.name = args.name or args.reconstruction.resolve().name
    return args


def main(argv: list[str] | None = None) -> None:
    started = time.time()
    args = _arguments(argv)
    truth, made = videos.find(args.truth), videos.find(args.reconstruction)
    test, notes = arrange(args, truth, made)
    names = list(test["clip"])
    sides = _probe(truth, names, "truth"), _probe(made, names, "reconstruction")
    frames, told = times(*sides, args.frames)
    size, more = sizes(*sides, args.size)
    notes += told + more
    runs = clips.segments(test)
    shifts = SHIFTS_OF_ONE_RUN if len(runs) == 1 else DEFAULTS["shifts"]
    config = {**ALONE, "shifts": shifts, **args.config}
    seed = int(config.get("seed", 0))
    models = Models.told(args)

    with lease() if models else nullcontext("cpu") as device:
        judges = Judges(models, device, int(config["batch_size"]))
        absent = left_out(judges.kinds, frames, size)
        notes += [f"Left out: {standalone.metric(m)} needs {what}." for m, what in absent.items()]
        for note in notes:
            print(f"note: {note}", file=sys.stderr, flush=True)
        pairs = Pairs(*sides, test, frames, size)
        measured, collected = score(pairs, runs, judges, Stored([], judges.parts), config)

    summary = Summary(runs, test["shot"].to_numpy(), None, config, seed)
    rows, by_clip = tabulate(measured, collected, summary, test, runs, args.name)
    rows.insert(0, "subject", standalone.SUBJECT)
    rows.insert(0, "dataset", str(config.get("dataset", "")))
    table = tables.check(rows, "metrics", args.out / "metrics.tsv")
    how = matching(pairs)
    seconds = {name: clip.duration for name, clip in sides[0].items() if clip.duration}
    page_clips = int(config["page_clips"])
    shown = standalone.shown(test, by_clip, pairs.clip, seconds, page_clips, seed)
    told = [note for note in notes if not note.startswith("Left out")]
    level = float(config["level"])
    html, judged = standalone.render(
        table, by_clip, how, shown, args.name, told, absent, seed, level
    )
    files = {
        "metrics.tsv": (table, "metrics"),
        "clips.tsv": (by_clip, "clip_metrics"),
        "matching.tsv": (how, "matching"),
        "report.html": (html, ""),
    }
    inputs = [args.truth, args.reconstruction, *([args.clips] if args.clips else [])]
    _write(args.out, files, inputs=inputs, config=config, seed=seed, started=started)
    print(page.spoken(args.out / "report.html", table, judged, args.name))


if __name__ == "__main__":
    run(main)
