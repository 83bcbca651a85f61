"""Step: what other subjects' data alone teach about a new subject's responses.

Reads windows, series and voxels of all subjects, clips and features, and the cohort's noise model; writes a
table of retrieval on all test clips, condition "zero_shot": the linear path of the encoder, fitted on the
training and validation windows of other subjects together, reads each subject's test responses. Positions are
anatomical, so that it can. Everything is chosen on left-out segments of the others, and others who are not
decoded there themselves stand in for nobody. Of the subject itself only its positions are known, and where
its windows begin.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from boldreel.align.settings import AlignSettings
from boldreel.data import cohort_noise, provenance, tables
from boldreel.errors import UserError
from boldreel.probe.settings import RetrievalSettings
from boldreel.settings import read
from boldreel.step import parser, run
from boldreel.training.progress import Progress

if TYPE_CHECKING:
    from boldreel.align.data import Trials
    from boldreel.align.linear import LinearPath

CONDITION = "zero_shot"
# Others that a subject is read with: a bound on time and memory; of more, some spread evenly over the list.
AT_MOST = 8


# Standard errors over left-out folds by which a subject is decoded, or counts as one without signal.
CERTAIN = 3.0


def others(number: int, decoded: list[bool]) -> list[int]:
    """Numbers of the subjects that stand in for a subject: those who are decoded themselves, or where nobody
    else is all, AT_MOST of them."""
    everybody = [k for k in range(len(decoded)) if k != number]
    rest = [k for k in everybody if decoded[k]] or everybody
    kept = min(len(rest), AT_MOST)
    return [rest[k * len(rest) // kept] for k in range(kept)]


def is_decoded(path: LinearPath, trials: Trials) -> bool:
    """Whether segments are decoded by fits without them: the cosine of text embeddings' deviations with what
    they should be."""
    from boldreel.align.linear import folds

    text = path.targets.groups(trials.features)["text"]
    guess = path.left_out(trials)[:, text]
    truth = path.targets.values(trials.features)[trials.clip][:, text]
    names = folds(trials)
    cosines = []
    for name in np.unique(names):
        p, t = guess[names == name], truth[names == name]
        cosines.append((p * t).sum() / max(np.linalg.norm(p) * np.linalg.norm(t), 1e-12))
    return bool(np.mean(cosines) > CERTAIN * np.std(cosines, ddof=1) / np.sqrt(len(cosines)))


def main(argv: list[str] | None = None) -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--subjects", nargs="+", required=True, help="labels, two or more")
    for name in ("windows", "series-dir", "voxels"):
        arguments.add_argument(f"--{name}", type=Path, nargs="+", required=True, help="for each")
    arguments.add_argument("--clips", type=Path, required=True)
    arguments.add_argument("--features", type=Path, nargs="+", required=True)
    arguments.add_argument("--noise", type=Path, help="folder of the cohort's noise model")
    arguments.add_argument("--align", type=json.loads, required=True, help="the section align")
    arguments.add_argument("--output", type=Path, required=True)
    args = arguments.parse_args(argv)
    started = time.time()
    scoring = read(RetrievalSettings, args.config, "evaluate")
    settings = read(AlignSettings, args.align, "align")
    count = len(args.subjects)
    if count < 2 or not count == len(args.windows) == len(args.series_dir) == len(args.voxels):
        raise UserError(
            f"--subjects: {count}; give two or more, and --windows, --series-dir and --voxels of each"
        )

    import pandas as pd
    import torch

    from boldreel.align.data import coordinates, used_positions
    from boldreel.align.fit import choose_path
    from boldreel.align.pool import SPLITS, common_window, pooled_trials
    from boldreel.data.responses import series_files
    from boldreel.probe.cross import scored
    from boldreel.training.loop import set_threads

    set_threads()
    noise = None if args.noise is None else cohort_noise.read(args.noise)
    xyz = coordinates(args.voxels[0])  # positions are the same in all subjects
    given = args.windows, args.series_dir, args.voxels

    def fitted(of: list[int], width: int) -> tuple[LinearPath, Trials]:
        windows, series, voxels = ([part[k] for k in of] for part in given)
        trials, used = pooled_trials(
            windows, series, voxels, args.clips, args.features, settings, width
        )
        return choose_path(trials, used, xyz, settings, noise), trials

    rows: list[dict[str, Any]] = []
    progress = Progress(2 * count, "zero-shot", unit="fits")
    decoded = []
    for number, subject in enumerate(args.subjects):
        decoded.append(is_decoded(*fitted([number], common_window([args.windows[number]]))))
        if not decoded[-1]:
            print(f"sub-{subject} is not decoded in left-out segments, and stands in for nobody")
        progress.update()
    for number, subject in enumerate(args.subjects):
        of = others(number, decoded)
        # what every table holds: a longer window might lie outside a run
        width = min(common_window([args.windows[k]]) for k in (number, *of))
        path, trials = fitted(of, width)
        decoder = path.decoder(trials)
        own = used_positions(args.voxels[number], settings.voxels)
        decoder.present.copy_(torch.from_numpy(path.used & own))
        files = args.windows[number], args.series_dir[number], args.clips, args.features
        rows += scored(decoder, *files, scoring, subject, CONDITION, width)
        progress.update()
    tables.write(args.output, pd.DataFrame(rows), "metrics")
    inputs = [*args.windows, *args.voxels, args.clips, *args.features]
    for table, folder in zip(args.windows, args.series_dir, strict=True):
        inputs += series_files(table, folder, (*SPLITS, "test"))
    provenance.record(
        args.output,
        inputs=[*inputs, *([args.noise] if args.noise else [])],
        config={"align": asdict(settings), "evaluate": asdict(scoring)},
        seed=settings.seed,
        started=started,
    )


if __name__ == "__main__":
    run(main)
