"""Inter-subject correlation: how well others' responses predict a subject's responses to the test.

Reads windows and series of all subjects; writes intersubject.parquet, one row per subject and position: the
correlation, over the test clips that at least two others saw too, of the subject's response with the mean of
the others' (leave-one-out; Nastase, Gazzola, Hasson & Keysers 2019, Measuring shared responses across
subjects using intersubject correlation), and its p among circular shifts of the subject's clips within
runs. A response is the mean over a clip's window and repeats. It stands in for a noise ceiling where nothing
is repeated: it counts only what brains share, so that a decoder of what is a subject's own may exceed it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from boldreel import step
from boldreel.data import provenance, responses, tables
from boldreel.data.responses import Responses
from boldreel.data.schemas import TABLES
from boldreel.errors import UserError
from boldreel.settings import read
from boldreel.stats import correlation, permutation, shifts
from boldreel.stats.inference import shifts_of_run
from boldreel.stats.settings import InferenceSettings
from boldreel.windows.settings import WindowsSettings

if TYPE_CHECKING:
    import pandas as pd

_FEWEST_OTHERS = 2
_FEWEST_CLIPS = 10  # of fewer a correlation says little


def common(
    one: Responses, others: Sequence[Responses]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A subject's responses to clips that enough others saw, and the mean of theirs.

    Returns
    -------
    rows : int (n,), of `one`
    own, mean : (n, positions) float64, means over windows; `mean` is 0 where nobody has the position
    count : int (positions,), others who have the position, at the clip with the fewest
    """
    seen = [dict(zip(other.clips, range(len(other.clips)), strict=True)) for other in others]
    rows = np.array(
        [k for k, clip in enumerate(one.clips) if sum(clip in of for of in seen) >= _FEWEST_OTHERS],
        dtype=int,
    )
    own = one.x[rows].mean(axis=1, dtype=np.float64)
    total, count = np.zeros_like(own), np.zeros(own.shape, dtype=int)
    for other, of in zip(others, seen, strict=True):
        there = np.array([one.clips[row] in of for row in rows], dtype=bool)
        theirs = np.array([of[one.clips[row]] for row in rows[there]], dtype=int)
        total[there] += other.x[theirs].mean(axis=1, dtype=np.float64)
        count[there] += (other.x != 0).any(axis=(0, 1))  # an absent position is 0 throughout
    least = count.min(axis=0) if len(rows) else np.zeros(own.shape[1], dtype=int)
    return rows, own, total / np.maximum(count, 1), least


def intersubject(
    one: Responses, others: Sequence[Responses], settings: InferenceSettings
) -> tuple[np.ndarray, np.ndarray, int, int]:
    """(correlation, p, clips, shifts) of a subject's positions.

    Correlation and p (positions,) are NaN where the subject or all but one of the others have no signal, and
    everywhere if they have too few clips in common; p also if no run can be shifted.
    """
    rows, own, mean, count = common(one, others)
    found, p = np.full((2, own.shape[1]), np.nan)
    if len(rows) < _FEWEST_CLIPS:
        return found, p, len(rows), 0
    known = (count >= _FEWEST_OTHERS) & (np.ptp(own, axis=0) > 0)
    own, mean = own[:, known], mean[:, known]
    found[known] = correlation.of_columns(own, mean)
    segments, shots = (np.asarray(names)[rows] for names in (one.segments, one.shots))
    onsets = one.onsets[rows]
    members = shifts.runs_in_time(segments, onsets, np.unique(segments))
    by = [shifts_of_run(shots[run], settings, shifts.spacing(onsets[run])) for run in members]
    orders = shifts.orders(
        members, by, settings.permutations, np.random.default_rng([settings.seed, 5])
    )
    if len(orders):
        above = np.ones(int(known.sum()))
        for order in orders:
            above += correlation.of_columns(own[order], mean) >= found[known] - permutation.TIE
        p[known] = above / (1 + len(orders))
    return found, p, len(rows), len(orders)


def main(argv: list[str] | None = None) -> None:
    import pandas as pd

    arguments = step.parser(__doc__)
    arguments.add_argument("--subjects", nargs="+", required=True, help="labels, three or more")
    arguments.add_argument("--windows", type=Path, nargs="+", required=True, help="one for each")
    arguments.add_argument("--series-dir", type=Path, nargs="+", required=True, help="one for each")
    arguments.add_argument("--output", type=Path, required=True)
    args = arguments.parse_args(argv)
    started = time.time()
    settings = read(WindowsSettings, args.config, "windows")
    if len(args.subjects) < 3 or not (
        len(args.subjects) == len(args.windows) == len(args.series_dir)
    ):
        raise UserError(
            f"--subjects: {len(args.subjects)}; give three or more, and --windows and --series-dir of each"
        )
    inference = InferenceSettings(
        seed=settings.seed, permutations=settings.permutations, min_shift=settings.min_shift
    )
    every = [
        responses.load_responses(windows, folder, "test")
        for windows, folder in zip(args.windows, args.series_dir, strict=True)
    ]
    frames = [pd.DataFrame(columns=list(TABLES["intersubject"]))]
    for number, subject in enumerate(args.subjects):
        others = every[:number] + every[number + 1 :]
        found, p, clips, permutations = intersubject(every[number], others, inference)
        if not np.isfinite(found).any():
            print(f"sub-{subject}: too few test clips that two others saw too", file=sys.stderr)
            continue
        frames.append(_table(subject, found, p, clips, permutations))
        print(f"sub-{subject}: median inter-subject correlation {np.nanmedian(found):.3f}")
    kept = frames[1:] or frames
    tables.write(args.output, pd.concat(kept, ignore_index=True), "intersubject")
    series = [
        path
        for windows, folder in zip(args.windows, args.series_dir, strict=True)
        for path in responses.series_files(windows, folder, "test")
    ]
    provenance.record(
        args.output, inputs=[*args.windows, *series], config=asdict(settings), started=started
    )


def _table(
    subject: str, found: np.ndarray, p: np.ndarray, clips: int, permutations: int
) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(
        {
            "subject": subject,
            "position": np.arange(len(found)),
            "correlation": found,
            "p": p,
            "clips": clips,
            "permutations": permutations,
        }
    )


if __name__ == "__main__":
    step.run(main)
