"""`python -m boldreel.evaluate`: any method's videos against the truth, without brain data.

Takes a folder of true clips and one of reconstructions, matched by name: NAME.mp4 (gif, avi, mov, mkv,
webm), NAME/ with png or jpg frames, or NAME.npy (uint8, frames x height x width x 3). Leaves in the output
folder metrics.tsv, clips.tsv (every clip), matching.tsv (how clips were matched), scores.tsv, .csv, .json
and .tex (a row for each metric), report.html and provenance.json, for the conditions model, shuffled, gray
and true_colour. Metrics whose model is not given are left out and named.

Several methods (--method NAME=FOLDER, each) are scored on the clips that all have, at one size and number of
frames; between.tsv has their differences, clip by clip.

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
from dataclasses import asdict
from pathlib import Path
from typing import Any

from boldreel.data import atomic, provenance, tables
from boldreel.errors import UserError
from boldreel.evaluate import clips, matching, method_differences, videos
from boldreel.evaluate.metrics import left_out
from boldreel.evaluate.output_cache import Stored
from boldreel.evaluate.pairs import Pairs
from boldreel.evaluate.readings import Judges, Models
from boldreel.evaluate.score import score
from boldreel.evaluate.summary import Summary
from boldreel.evaluate.table import tabulate
from boldreel.report import exports, page, standalone
from boldreel.report.settings import StandaloneSettings
from boldreel.settings import read
from boldreel.step import parser
from boldreel.training.device import lease

# Shifts of one run alone must reach a p that survives correction; those of several runs multiply.
SHIFTS_OF_ONE_RUN = 200


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
        provenance.record(folder, **traces, extra={"target": str(out)})  # where it will be
        out.mkdir(exist_ok=True)
        for path in sorted(folder.iterdir()):
            os.replace(path, out / path.name)


def _arguments(argv: Sequence[str] | None) -> Any:
    arguments = parser(__doc__)
    arguments.add_argument("--truth", type=Path, required=True, help="folder of true clips")
    arguments.add_argument("--reconstruction", type=Path, help="folder of clips of one method")
    arguments.add_argument(
        "--method",
        action="append",
        default=[],
        metavar="NAME=FOLDER",
        help="a method and its folder of clips, in place of --reconstruction; again for each method",
    )
    arguments.add_argument("--out", type=Path, required=True, help="folder; other files in it stay")
    arguments.add_argument("--name", help="of the method (default: the reconstructions' folder)")
    Models.add_arguments(arguments)
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
    # Before hours of work, not after them.
    there = next(
        path for path in (args.out.absolute(), *args.out.absolute().parents) if path.exists()
    )
    if not os.access(there, os.W_OK | os.X_OK):
        raise UserError(
            f"{args.out}: no permission to write in {there}; name another folder, or ask for it"
        )
    args.methods = _methods(args)
    return args


def _methods(args: Any) -> dict[str, Path]:
    """{name: folder} of the methods; UserError unless they are named once, in one of two ways."""
    if (args.reconstruction is None) == (not args.method):
        raise UserError("name either --reconstruction FOLDER or --method NAME=FOLDER, once or more")
    if not args.method:
        return {args.name or args.reconstruction.resolve().name: args.reconstruction}
    if args.name:
        raise UserError("--name is of --reconstruction; with --method write NAME=FOLDER")
    found: dict[str, Path] = {}
    for word in args.method:
        name, equals, folder = word.partition("=")
        if not (name and equals and folder):
            raise UserError(f"--method {word}: write NAME=FOLDER")
        if name in found or Path(folder).resolve() in [path.resolve() for path in found.values()]:
            raise UserError(f"--method {word}: this name or folder is there twice; give each once")
        found[name] = Path(folder)
    return found


def _shared(made: Mapping[str, Mapping[str, Path]]) -> tuple[dict[str, dict[str, Path]], list[str]]:
    """(the clips of each method that all have, sentences on the others)."""
    common = set.intersection(*(set(clips_) for clips_ in made.values()))
    notes = []
    for name, own in made.items():
        if lone := [clip for clip in own if clip not in common]:
            notes.append(
                f"{len(lone)} clips of {name} that not every method has, left out: {lone[0]}, …"
            )
    if not common:
        raise UserError(f"{', '.join(made)}: no clip that all methods have; name clips alike")
    return {m: {c: p for c, p in own.items() if c in common} for m, own in made.items()}, notes


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    import pandas as pd

    started = time.time()
    args = _arguments(argv)
    truth = videos.find(args.truth)
    made, notes = _shared({name: videos.find(folder) for name, folder in args.methods.items()})
    for folder in args.methods.values():
        args.reconstruction = folder
        test, told = matching.arrange(args, truth, made[next(iter(made))])
    notes += told
    names = list(test["clip"])
    true = matching.probe(truth, names, "truth")
    shown_by = {name: matching.probe(own, names, name) for name, own in made.items()}
    asked = args.frames
    if len(made) > 1 and asked is None:  # at one number for all
        asked = min(
            videos.compared_frames(true.values(), own.values()) for own in shown_by.values()
        )
    for own in shown_by.values():
        frames, told = matching.times(true, own, asked)
        notes += [note for note in told if note not in notes]
    every = {f"{name}/{clip}": one for name, own in shown_by.items() for clip, one in own.items()}
    size, more = matching.sizes(
        true, every if len(made) > 1 else next(iter(shown_by.values())), args.size
    )
    notes += more
    runs = clips.segments(test)
    defaults = {"shifts": SHIFTS_OF_ONE_RUN} if len(runs) == 1 else {}
    settings = read(StandaloneSettings, {**defaults, **args.config}, "evaluate")
    seed = settings.seed
    models = Models.from_args(args)

    with lease() if models else nullcontext("cpu") as device:
        judges = Judges(models, device, settings.batch_size, video_frames=settings.video_frames)
        absent = left_out(judges.kinds, frames, size)
        notes += [f"Left out: {standalone.metric(m)} needs {what}." for m, what in absent.items()]
        for note in notes:
            print(f"note: {note}", file=sys.stderr, flush=True)
        summary = Summary(runs, test["shot"].to_numpy(), None, settings)
        parts, clip_parts, sides = [], [], {}
        for name, own in shown_by.items():
            sides[name] = Pairs(true, own, test, frames, size)
            measured, collected = score(
                sides[name], runs, judges, Stored([], judges.parts), settings
            )
            rows, by_clip = tabulate(measured, collected, summary, test, runs, name)
            parts.append(rows)
            clip_parts.append(by_clip)

    rows, by_clip = (pd.concat(both, ignore_index=True) for both in (parts, clip_parts))
    rows.insert(0, "subject", standalone.SUBJECT)
    rows.insert(0, "dataset", settings.dataset)
    table = tables.check(rows, "metrics", args.out / "metrics.tsv")
    main_method = next(iter(sides))
    pairs = sides[main_method]
    how = matching.matching(pairs)
    mine = by_clip[by_clip["method"] == main_method]
    seconds = {name: clip.duration for name, clip in true.items() if clip.duration}
    shown = standalone.shown(test, mine, pairs.clip, seconds, settings.page_clips, seed)
    told = [note for note in notes if not note.startswith("Left out")]
    between = None
    if len(sides) > 1:
        of = by_clip[by_clip["condition"] == "model"]
        between = method_differences.between({m: of[of["method"] == m] for m in sides})
        between.insert(0, "subject", standalone.SUBJECT)
    html, judged = standalone.render(
        table,
        mine,
        how,
        shown,
        method=main_method,
        notes=told,
        left_out=absent,
        seed=seed,
        level=settings.level,
        between=between,
    )
    files = {
        "metrics.tsv": (table, "metrics"),
        "clips.tsv": (by_clip, "clip_metrics"),
        "matching.tsv": (how, "matching"),
        "report.html": (html, ""),
        **{name: (text, "") for name, text in exports.texts(table).items()},
    }
    if between is not None:
        files["between.tsv"] = (between, "between")
    inputs = [args.truth, *args.methods.values(), *([args.clips] if args.clips else [])]
    _write(args.out, files, inputs=inputs, config=asdict(settings), seed=seed, started=started)
    print(page.spoken(args.out / "report.html", table, judged, main_method))
