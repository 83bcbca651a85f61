"""Step: retrieval from each group of areas alone, from all others, and from control areas.

Reads windows, series, voxels, clips and features of one subject, the cohort's noise model, and the series of
areas without visual responses, if there are any; writes a table of retrieval on the test clips by the
encoder's linear path on all positions ("all"), on each group of areas alone ("only"), on all others
("without") and on the control areas ("control"). Each fit chooses its own penalties; time to peak and noise
model are those of all positions. Validation segments are held out as in the choice of epochs; test windows
are scored and never fitted.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from boldreel.align.inputs import ask, read_files
from boldreel.align.settings import AlignSettings
from boldreel.data import provenance, tables
from boldreel.errors import UserError
from boldreel.settings import read
from boldreel.step import parser, run
from boldreel.training.progress import Progress

if TYPE_CHECKING:
    from boldreel.align.data import Trials

CONTROL = "control"


def parts(groups: np.ndarray, used: np.ndarray) -> Iterator[tuple[str, str, np.ndarray]]:
    """(group, part, positions that are read as bool (V,)): all, each alone, all but each.

    groups : name of each position's group (V,). used : bool (V,), positions that are there. A group of which
    nothing is there is left out, and where one is all that there is, what it would leave.
    """
    yield "", "all", used
    for group in dict.fromkeys(groups[used]):
        own = used & (groups == group)
        yield str(group), "only", own
        if (used & ~own).any():
            yield str(group), "without", used & ~own


def main(argv: list[str] | None = None) -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--subject", required=True)
    ask(arguments)
    arguments.add_argument("--noise", type=Path, help="folder of the cohort's noise model")
    arguments.add_argument("--control-positions", type=Path, help="positions of control areas")
    arguments.add_argument("--control-series", type=Path, help="folder of their series")
    arguments.add_argument("--output", type=Path, required=True)
    args = arguments.parse_args(argv)
    started = time.time()
    settings = read(AlignSettings, args.config, "align")
    if (args.control_positions is None) != (args.control_series is None):
        raise UserError("give both --control-positions and --control-series, or neither")

    import pandas as pd

    from boldreel.align.data import coordinates, load_trials, used_positions
    from boldreel.align.fit import choose_path
    from boldreel.data import cohort_noise
    from boldreel.data.responses import series_files
    from boldreel.probe import retrieve
    from boldreel.training import loop

    loop.set_threads()
    window = int(tables.read(args.windows, "windows")["window"].iloc[0])
    groups = tables.read(args.voxels, "voxels")["group"].to_numpy(str)
    used = used_positions(args.voxels, settings.voxels)

    def load(series: Path, split: str) -> Trials:
        return load_trials(args.windows, series, args.clips, args.features, split, window)

    pair = load(args.series_dir, "train"), load(args.series_dir, "test")
    noise = None if args.noise is None else cohort_noise.read(args.noise)
    where = coordinates(args.voxels)
    whole = choose_path(pair[0], used, where, settings, noise)
    asked: list[tuple[Any, ...]] = [
        (*part, *pair, where, noise, whole) for part in parts(groups, used)
    ]
    if args.control_series:
        pair = load(args.control_series, "train"), load(args.control_series, "test")
        control_table = tables.read(args.control_positions, "positions")
        names = control_table["group"].to_numpy(str)
        there = (pair[0].x != 0).any(axis=(0, 1))
        label = ", ".join(dict.fromkeys(names[there]))
        # Positions of their own, of which the cohort's noise model knows nothing.
        where = control_table[["x", "y", "z"]].to_numpy(np.float64)
        asked.append((label, CONTROL, there, *pair, where, None, None))

    progress = Progress(len(asked), "areas", unit="fits")
    rows: list[dict[str, Any]] = []
    for group, part, chosen, training, test, xyz, model, like in asked:
        path = choose_path(training, chosen, xyz, settings, model, like)
        linear = path.decoder(training)
        found = retrieve.summaries(
            linear,
            test.averaged(),
            test.features,
            test.segments,
            test.onsets,
            retrieve.METRICS,
            settings.seed,
        )
        about = {"subject": args.subject, "group": group, "part": part}
        rows += [{**about, "positions": int(chosen.sum()), **score} for score in found]
        progress.update()
    tables.write(args.output, pd.DataFrame(rows), "rois")
    known = read_files(args, ("train", "test"))
    if args.noise:
        known.append(args.noise)
    if args.control_series:
        control = series_files(args.windows, args.control_series, ("train", "test"))
        known += [args.control_positions, *control]
    provenance.record(
        args.output, inputs=known, config=asdict(settings), seed=settings.seed, started=started
    )


if __name__ == "__main__":
    run(main)
