"""What each subject's encoder makes of another subject's responses to the same clips.

Reads the aligned encoders, test windows and series of all subjects, and features; writes a table of
retrieval on all test clips, condition "other_subject": each encoder reads the responses of the next
subject in the list. Positions are anatomical, so that it can; what is found is what brains share, and
a control of what an encoder finds in its own subject.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from boldreel.data import provenance, tables
from boldreel.data.features import load_features
from boldreel.data.responses import Responses, load_responses, series_files
from boldreel.errors import UserError
from boldreel.probe import significance
from boldreel.probe.averages import sorted_clips
from boldreel.probe.predictions import predict
from boldreel.probe.retrieve import outcomes
from boldreel.probe.settings import RetrievalSettings
from boldreel.settings import read
from boldreel.step import parser, run
from boldreel.training.progress import Progress

if TYPE_CHECKING:
    from boldreel.models.decoder import Decoder

CONDITION = "other_subject"


def scored(
    decoder: Decoder,
    windows: Path,
    series_dir: Path,
    clips: Path,
    features: list[Path],
    settings: RetrievalSettings,
    subject: str,
    condition: str,
    window: int | None = None,
) -> list[dict[str, Any]]:
    """Rows of a subject's table of metrics: what a decoder makes of averaged test responses, which may be
    those of somebody else.

    window : volumes of a window in place of what the table says
    """
    responses = load_responses(windows, series_dir, "test", window=window)
    _, order = sorted_clips(responses)
    predicted = predict(decoder, responses.x[order])
    found = (decoder, responses, order, predicted)
    return rows_of(*found, clips, features, settings, subject, condition)


def rows_of(
    decoder: Decoder,
    responses: Responses,
    order: np.ndarray,
    predicted: Any,
    clips: Path,
    features: list[Path],
    settings: RetrievalSettings,
    subject: str,
    condition: str,
) -> list[dict[str, Any]]:
    """Rows of a subject's table of metrics, of predictions for responses in this order."""
    test = load_features(clips, features, [responses.clips[k] for k in order])
    shots, every = np.asarray(test.shots), np.arange(len(order))
    segments = np.asarray(responses.segments)[order]
    pool = significance.Pool(segments, shots, responses.onsets[order], settings)
    kept = ("value", "ci_low", "ci_high", "chance", "p", "p_low", "p_high", "permutations", "n")
    rows = []
    for metric, definition, outcome in outcomes(decoder, predicted, test, None, every):
        result = significance.summarise(outcome, np.ones(len(every), dtype=bool), pool)
        rows.append(
            {
                "dataset": settings.dataset,
                "subject": subject,
                "segment": "all",
                "method": settings.method,
                "condition": condition,
                "metric": metric,
                "definition": definition,
                **{name: getattr(result, name) for name in kept},
            }
        )
    return rows


def main(argv: list[str] | None = None) -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--subjects", nargs="+", required=True, help="labels, two or more")
    arguments.add_argument("--align", type=Path, nargs="+", required=True, help="one for each")
    arguments.add_argument("--windows", type=Path, nargs="+", required=True, help="one for each")
    arguments.add_argument("--series-dir", type=Path, nargs="+", required=True, help="one for each")
    arguments.add_argument("--clips", type=Path, required=True)
    arguments.add_argument("--features", type=Path, nargs="+", required=True)
    arguments.add_argument("--output", type=Path, required=True)
    args = arguments.parse_args(argv)
    started = time.time()
    settings = read(RetrievalSettings, args.config, "evaluate")
    count = len(args.subjects)
    if count < 2 or not count == len(args.align) == len(args.windows) == len(args.series_dir):
        raise UserError(
            f"--subjects: {count}; give two or more, and --align, --windows and --series-dir of each"
        )

    import pandas as pd

    from boldreel.models.encoder import SpatioTemporalEncoder
    from boldreel.training.device import lease
    from boldreel.training.loop import set_threads

    set_threads()
    encoders: list[SpatioTemporalEncoder] = []
    seen: list[tuple[Responses, np.ndarray, list[str]]] = []
    for number, folder in enumerate(args.align):
        other = (number + 1) % count
        responses = load_responses(args.windows[other], args.series_dir[other], "test")
        clips, order = sorted_clips(responses)
        seen.append((responses, order, clips))
        encoders.append(SpatioTemporalEncoder.from_pretrained(folder / "model").eval())
    with lease() as device:  # for the encoders alone: scoring takes longer
        predictions = [
            predict(encoder.to(device), responses.x[order])
            for encoder, (responses, order, _) in zip(encoders, seen, strict=True)
        ]
    rows: list[dict[str, Any]] = []
    progress = Progress(count, "other subjects", unit="subjects")
    for number, subject in enumerate(args.subjects):
        responses, order, _ = seen[number]
        found = (encoders[number].cpu(), responses, order, predictions[number])
        rows += rows_of(*found, args.clips, args.features, settings, subject, CONDITION)
        progress.update()
    tables.write(args.output, pd.DataFrame(rows), "metrics")
    inputs = [*(folder / "model" for folder in args.align), *args.windows]
    for windows, folder in zip(args.windows, args.series_dir, strict=True):
        inputs += series_files(windows, folder, "test")
    inputs += [args.clips, *args.features]
    provenance.record(
        args.output, inputs=inputs, config=asdict(settings), seed=settings.seed, started=started
    )


if __name__ == "__main__":
    run(main)
