"""`python -m boldreel.evaluate`: any method's videos against the truth, without brain data.

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
from dataclasses import asdict
from pathlib import Path
from typing import Any

from boldreel.data import atomic, provenance, tables
from boldreel.errors import UserError
from boldreel.evaluate import clips, matching, videos
from boldreel.evaluate.metrics import left_out
from boldreel.evaluate.output_cache import Stored
from boldreel.evaluate.pairs import Pairs
from boldreel.evaluate.readings import Judges, Models
from boldreel.evaluate.score import score
from boldreel.evaluate.summary import Summary
from boldreel.evaluate.table import tabulate
from boldreel.report import page, standalone
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
    arguments.add_argument("--reconstruction", type=Path, required=True, help="folder of clips")
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
    args.name = args.name or args.reconstruction.resolve().name
    return args


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    started = time.time()
    args = _arguments(argv)
    truth, made = videos.find(args.truth), videos.find(args.reconstruction)
    test, notes = matching.arrange(args, truth, made)
    names = list(test["clip"])
    sides = (
        matching.probe(truth, names, "truth"),
        matching.probe(made, names, "reconstruction"),
    )
    frames, told = matching.times(*sides, args.frames)
    size, more = matching.sizes(*sides, args.size)
    notes += told + more
    runs = clips.segments(test)
    own = {"shifts": SHIFTS_OF_ONE_RUN} if len(runs) == 1 else {}
    settings = read(StandaloneSettings, {**own, **args.config}, "evaluate")
    seed = settings.seed
    models = Models.from_args(args)

    with lease() if models else nullcontext("cpu") as device:
        judges = Judges(models, device, settings.batch_size)
        absent = left_out(judges.kinds, frames, size)
        notes += [f"Left out: {standalone.metric(m)} needs {what}." for m, what in absent.items()]
        for note in notes:
            print(f"note: {note}", file=sys.stderr, flush=True)
        pairs = Pairs(*sides, test, frames, size)
        measured, collected = score(pairs, runs, judges, Stored([], judges.parts), settings)

    summary = Summary(runs, test["shot"].to_numpy(), None, settings)
    rows, by_clip = tabulate(measured, collected, summary, test, runs, args.name)
    rows.insert(0, "subject", standalone.SUBJECT)
    rows.insert(0, "dataset", settings.dataset)
    table = tables.check(rows, "metrics", args.out / "metrics.tsv")
    how = matching.matching(pairs)
    seconds = {name: clip.duration for name, clip in sides[0].items() if clip.duration}
    shown = standalone.shown(test, by_clip, pairs.clip, seconds, settings.page_clips, seed)
    told = [note for note in notes if not note.startswith("Left out")]
    html, judged = standalone.render(
        table,
        by_clip,
        how,
        shown,
        method=args.name,
        notes=told,
        left_out=absent,
        seed=seed,
        level=settings.level,
    )
    files = {
        "metrics.tsv": (table, "metrics"),
        "clips.tsv": (by_clip, "clip_metrics"),
        "matching.tsv": (how, "matching"),
        "report.html": (html, ""),
    }
    inputs = [args.truth, args.reconstruction, *([args.clips] if args.clips else [])]
    _write(args.out, files, inputs=inputs, config=asdict(settings), seed=seed, started=started)
    print(page.spoken(args.out / "report.html", table, judged, args.name))
