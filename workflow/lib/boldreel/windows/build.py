"""Windows: which volumes hold each clip's response, one row per clip and run.

Reads a subject's series, presentations and clips and the chosen lag and window; writes windows.parquet.
A window is ``window`` volumes from ``first_volume`` on, inside its run, whose last volume is repeated
beyond its end. A clip in two splits is refused.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boldreel import step
from boldreel.data import json_documents, provenance, tables
from boldreel.errors import UserError
from boldreel.settings import read
from boldreel.windows import clock, runs
from boldreel.windows.settings import WindowsSettings

if TYPE_CHECKING:
    import pandas as pd


def build(
    clips: pd.DataFrame, shown: Sequence[runs.ShownRun], lag: float, window: int
) -> tuple[pd.DataFrame, int]:
    """The table "windows" and the number of clips left out since their response is outside the run.

    Parameters
    ----------
    lag : s from clip onset to the first volume's time
    window : volumes

    Raises
    ------
    UserError : a clip is shown in two splits, or no clip has its response in a run.
    """
    import pandas as pd

    if window < 1:
        raise UserError(f"window is {window} volumes; expected 1 or more")
    names, shots = clips["clip"].to_numpy(), clips["shot"].to_numpy()
    split_of: dict[str, tuple[str, str]] = {}
    rows: list[dict[str, Any]] = []
    outside = 0
    for run in shown:
        first = run.first(lag)
        inside = clock.inside(first, len(run.values))
        outside += int((~inside).sum())
        kept = zip(run.shown.rows[inside], run.shown.onsets[inside], first[inside], strict=True)
        for row, onset, volume in kept:
            clip = names[row]
            before = split_of.setdefault(clip, (run.split, run.segment))
            if before[0] != run.split:
                raise UserError(
                    f"clip {clip} is shown in {before[1]} ({before[0]}) and in {run.segment} "
                    f"({run.split}); choose other splits, or set presentations.overlap: drop-from-train"
                )
            rows.append(
                {
                    "clip": clip,
                    "segment": run.segment,
                    "run": run.label,
                    "repeat": run.repeat,
                    "onset": float(onset),
                    "first_volume": int(volume),
                    "window": window,
                    "lag": lag,
                    "split": run.split,
                    "shot": shots[row],
                }
            )
    if not rows:
        raise UserError(
            f"no clip has its response inside a run at a lag of {lag:g} s; check the onsets in the "
            "events and the length of the runs"
        )
    return pd.DataFrame(rows), outside


def read_choice(path: Path) -> tuple[float, int]:
    """Lag (s) and window (volumes) from choice.json."""
    choice = json_documents.read(path, "choice")
    return float(choice["lag"]), choice["window"]


def main(argv: list[str] | None = None) -> None:
    arguments = step.parser(__doc__)
    arguments.add_argument("--choice", type=Path, required=True)
    arguments.add_argument("--series", type=Path, nargs="+", required=True, metavar="NPY")
    arguments.add_argument("--presentations", type=Path, required=True, metavar="TSV")
    arguments.add_argument("--clips", type=Path, required=True)
    arguments.add_argument("--output", type=Path, required=True)
    args = arguments.parse_args(argv)
    started = time.time()
    lag, window = read_choice(args.choice)
    clips = tables.read(args.clips, "clips")
    settings = read(WindowsSettings, args.config, "windows")
    shown = runs.load_runs(args.series, args.presentations, clips)
    frame, outside = build(clips, shown, lag, window)
    tables.write(args.output, frame, "windows")
    print(
        f"{len(frame)} windows of {window} volumes at a lag of {lag:g} s; {outside} clips at the ends "
        "of runs have their response outside and are left out",
        file=sys.stderr,
    )
    provenance.record(
        args.output,
        inputs=[args.choice, args.clips, args.presentations],
        config=asdict(settings),
        started=started,
        extra={"outside": outside},
    )


if __name__ == "__main__":
    step.run(main)
