"""Retrieval against the number of test repeats that are averaged.

Reads what the encoder of one subject predicts of test clips (`encode`), the ridge, test windows of every
single run, and features; writes a table of retrieval after averaging 1, 2, 5, ... repeats of each clip, since
scores over all test repeats say little about a single showing. All repeats are used at each number: they are
split into sets of that size, each set is decoded separately, and scores are means over sets.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from boldreel.align import identify
from boldreel.data import provenance, tables
from boldreel.data.features import ClipFeatures, load_features
from boldreel.data.responses import load_responses, subject_of
from boldreel.probe import significance
from boldreel.probe.averages import averages, counts, rows_by_clip
from boldreel.probe.predictions import Predicted, Predictions, of_repeats, predict
from boldreel.probe.retrieve import METRICS, arguments, load_decoders, outcomes, read_files
from boldreel.probe.settings import RetrievalSettings
from boldreel.settings import read
from boldreel.step import run
from boldreel.training.progress import Progress

if TYPE_CHECKING:
    from boldreel.models.decoder import Decoder


def mean_outcomes(
    decoder: Decoder, parts: list[Predicted], test: ClipFeatures
) -> dict[str, identify.Outcome]:
    """The mean over sets of repeats of each metric's outcome."""
    found: dict[str, list[identify.Outcome]] = {}
    every = np.arange(len(test.clips))
    for predicted in parts:
        for metric, _, outcome in outcomes(decoder, predicted, test, None, every):
            if metric in METRICS:
                found.setdefault(metric, []).append(outcome)
    return {
        metric: identify.Outcome(np.mean([one.matrix for one in of], axis=0), of[0].chance)
        for metric, of in found.items()
    }


def main(argv: list[str] | None = None) -> None:
    args = arguments(__doc__).parse_args(argv)
    started = time.time()
    settings = read(RetrievalSettings, args.config, "evaluate")

    import pandas as pd

    from boldreel.training.loop import set_threads

    set_threads()
    trials = load_responses(args.windows, args.series_dir, "test", "each")
    names, rows = rows_by_clip(trials)
    test = load_features(args.clips, args.features, names)
    segments = np.asarray([trials.segments[own[0]] for own in rows])
    shots = np.asarray(test.shots)
    onsets = np.asarray([trials.onsets[own[0]] for own in rows])
    pool = significance.Pool(segments, shots, onsets, settings)
    decoders = load_decoders(args.align)
    subject = args.subject or subject_of(args.output)
    found: list[dict[str, Any]] = []
    numbers = counts(rows)
    progress = Progress(len(numbers) * len(decoders), "repeats", unit="averages")
    stored = Predictions.read(args.test, names)
    for n in numbers:
        windows = averages(trials.x, rows, n)
        for condition, decoder in decoders.items():
            if condition == "model":
                parts = [stored.sets[of_repeats(n, k)] for k in range(len(windows))]
            else:
                parts = [predict(decoder, x) for x in windows]
            for metric, outcome in mean_outcomes(decoder, parts, test).items():
                result = significance.summarise(outcome, np.ones(len(names), dtype=bool), pool)
                shared = {"subject": subject, "repeats": n, "sets": len(parts)}
                shared |= {"condition": condition, "metric": metric}
                kept = ("value", "ci_low", "ci_high", "chance", "p", "n")
                found.append({**shared, **{name: getattr(result, name) for name in kept}})
            progress.update()
    table = pd.DataFrame(found)
    tables.write(args.output, table, "repeats")
    provenance.record(
        args.output,
        inputs=read_files(args),
        config=asdict(settings),
        seed=settings.seed,
        started=started,
    )
    shown = table[(table["metric"] == "two_way_text") & (table["condition"] == "model")]
    for row in shown.itertuples():
        print(f"two-way, text, {row.repeats} repeats: {row.value:.3f} (chance {row.chance:.3f})")


if __name__ == "__main__":
    run(main)
