"""How well test clips are found in CLIP space, before any generator.

Reads what the encoder of one subject predicts of test clips (`encode`), the encoder's means and the ridge,
test windows (repeats averaged) and features; writes `retrieval.tsv`: identification of clips and of
their attributes by the encoder ("model"), by ridge regression alone ("ridge") and by re-paired predictions of
the encoder ("shuffled").
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from boldreel.align import identify
from boldreel.data import attributes, provenance, tables
from boldreel.data.features import ClipFeatures, load_features
from boldreel.data.responses import load_responses, series_files, subject_of
from boldreel.probe import significance
from boldreel.probe.averages import sorted_clips, split_halves
from boldreel.probe.predictions import HALVES, Predictions, predict
from boldreel.probe.settings import RetrievalSettings
from boldreel.settings import read
from boldreel.stats.settings import InferenceSettings
from boldreel.step import parser, run

if TYPE_CHECKING:
    import pandas as pd

    from boldreel.models.decoder import Decoder

METRICS = ("two_way_text", "two_way_image", "top1_text", "top1_image")
CORRELATION = "feature_correlation"
# Analyses of parts of the data are no rows of the group's table: its keys do not repeat their fits.
PARTS = InferenceSettings(permutations=199)
SPACE = "cosine of deviations from the training mean"


def spaces(decoder: Decoder) -> dict[str, Any]:
    """{"text" or "image": what turns features into directions from the training mean}."""
    calibration = decoder.calibration
    return {"text": calibration.centred_text, "image": calibration.centred_image}


def ceilings(
    decoder: Decoder,
    halves: tuple[dict[str, np.ndarray], dict[str, np.ndarray]],
    rows: np.ndarray,
    pool: significance.Pool,
) -> dict[str, float]:
    """The noise ceiling of the feature correlation in each space, from predictions of halves of repeats."""
    import torch

    found = {}
    for space, centre in spaces(decoder).items():
        odd, even = (centre(torch.from_numpy(half[space][rows])).numpy() for half in halves)
        found[space] = significance.reliability_ceiling(odd, even, pool)
    return found


def outcomes(
    decoder: Decoder,
    predicted: dict[str, np.ndarray],
    test: ClipFeatures,
    training: ClipFeatures | None,
    pool: np.ndarray,
) -> Iterator[tuple[str, str, identify.Outcome]]:
    """(metric, definition, outcome) of every score.

    training : clips whose labels name the attributes; None leaves attributes out
    pool : row numbers of the test clips that are searched, and scored
    """
    import torch

    groups = test.positives()[pool]
    own = np.arange(len(pool))
    for space, centre in spaces(decoder).items():
        guess = centre(torch.from_numpy(predicted[space][pool])).numpy()
        truth = centre(torch.from_numpy(getattr(test, space)[pool])).numpy()
        similarity = identify.cosine(guess, truth)
        # The size of the pool is `n`: in the definition it would part subjects of different lag.
        about = f"{SPACE}, CLIP {space}, nearest of all test clips"
        yield (
            f"two_way_{space}",
            f"{about}, against clips of other shots and captions",
            identify.two_way(similarity, groups),
        )
        for k in (1, 5):
            yield (
                f"top{k}_{space}",
                f"{about}, clips of the same shot or caption count as right",
                identify.top_k(similarity, groups, k),
            )
        yield CORRELATION, space, identify.correlation(guess, truth)
        yield (
            f"top1_strict_{space}",
            f"{about}, only the clip itself is right",
            identify.top_k(similarity, own, 1),
        )
        if space == "text" and training is not None:
            yield from _attributes(guess, decoder, test, training, pool)


def _attributes(
    guess: np.ndarray,
    decoder: Decoder,
    test: ClipFeatures,
    training: ClipFeatures,
    pool: np.ndarray,
) -> Iterator[tuple[str, str, identify.Outcome]]:
    """Classification of each attribute by the nearest mean training embedding of its values."""
    import torch

    text = decoder.calibration.centred_text(torch.from_numpy(training.text)).numpy()
    shown = dict.fromkeys(name for labels in test.attributes for name in labels)
    names = [name for name in shown if all(name in a for a in training.attributes)]
    for name in names:
        labels = np.array([str(a[name]) for a in training.attributes])
        values = np.unique(labels)
        prototypes = np.stack([text[labels == value].mean(0) for value in values])
        prototypes = prototypes - prototypes.mean(0)
        prototypes /= np.maximum(np.linalg.norm(prototypes, axis=1, keepdims=True), 1e-12)
        number = {value: k for k, value in enumerate(values)}
        truth = np.array([number.get(str(test.attributes[row].get(name)), -1) for row in pool])
        yield (
            f"{name}_text",
            f"{SPACE}, nearest of {len(values)} mean training embeddings of CLIP text",
            identify.classification(guess @ prototypes.T, truth),
        )


def summaries(
    decoder: Decoder,
    x: np.ndarray,
    test: ClipFeatures,
    segments: np.ndarray,
    onsets: np.ndarray,
    metrics: tuple[str, ...],
    seed: int,
) -> list[dict[str, Any]]:
    """metric, value, interval, chance, p and n of some scores over all test clips, in the order of
    `metrics`.

    Parameters
    ----------
    x : (clips, w, V), averaged responses. segments, onsets : (clips,), segments whose clips are shifted in
        their order for p.
    """
    shots, every = np.asarray(test.shots), np.arange(len(test.clips))
    pool = significance.Pool(segments, shots, onsets, replace(PARTS, seed=seed))
    found = {}
    for metric, _, outcome in outcomes(decoder, predict(decoder, x), test, None, every):
        if metric in metrics:
            result = significance.summarise(outcome, np.ones(len(every), dtype=bool), pool)
            found[metric] = {
                "metric": metric,
                **{
                    name: getattr(result, name)
                    for name in ("value", "ci_low", "ci_high", "chance", "p", "n")
                },
            }
    return [found[metric] for metric in metrics]


def score(
    decoders: dict[str, Decoder],
    predictions: dict[str, Predictions],
    test: ClipFeatures,
    segments: np.ndarray,
    onsets: np.ndarray,
    training: ClipFeatures,
    settings: RetrievalSettings,
    subject: str,
) -> pd.DataFrame:
    """The table of scores.

    predictions : of each decoder; those of halves of the repeats give the noise ceiling.
    onsets : (clips,), s from the start of the run that shows them.

    Each score is given over all test segments and for each segment with a pool of its own; over all,
    also for clips whose combination of attributes was seen in training and for the others.
    """
    import pandas as pd

    shots = np.asarray(test.shots)
    seen = attributes.all_seen(test.attributes, training.attributes, settings.combination)
    rows: list[dict[str, Any]] = []
    for condition, decoder in decoders.items():
        predicted, parts = predictions[condition].whole, predictions[condition].halves
        for segment, pool in pools(segments).items():
            scored = significance.Pool(segments[pool], shots[pool], onsets[pool], settings)
            most = {} if parts is None else ceilings(decoder, parts, pool, scored)
            chosen = subsets(len(pool), seen if segment == "all" else None)
            for metric, definition, outcome in outcomes(decoder, predicted, test, training, pool):
                ceiling = most.get(definition, np.nan) if metric == CORRELATION else np.nan
                for suffix, clips in chosen.items():
                    shared = {
                        "dataset": settings.dataset,
                        "subject": subject,
                        "segment": segment,
                        "method": settings.method,
                        "metric": metric + suffix,
                        "definition": definition,
                    }
                    result = significance.summarise(outcome, clips, scored)
                    # of some clips of a pool there is no ceiling of their own
                    rows.append(_row(shared, condition, result, np.nan if suffix else ceiling))
                    if condition == "model":
                        rows.append(_shuffled_row(shared, result))
    return pd.DataFrame(rows)


def pools(segments: np.ndarray) -> dict[str, np.ndarray]:
    """Row numbers of the clips that are searched: all, and each segment's where there are several."""
    found = {"all": np.arange(len(segments))}
    names = np.unique(segments)
    if len(names) > 1:
        found |= {str(name): np.flatnonzero(segments == name) for name in names}
    return found


def subsets(count: int, seen: np.ndarray | None) -> dict[str, np.ndarray]:
    """{suffix of a metric: clips that are scored, bool (count,)}: all; seen and unseen where both occur."""
    found = {"": np.ones(count, dtype=bool)}
    if seen is not None and seen.any() and not seen.all():
        found |= {"_seen": seen, "_unseen": ~seen}
    return found


def _row(
    shared: dict[str, Any], condition: str, result: significance.Score, ceiling: float
) -> dict[str, Any]:
    """A row of the table, for a decoder."""
    return {
        **shared,
        "chance": result.chance,
        "n": result.n,
        "condition": condition,
        "value": result.value,
        "ci_low": result.ci_low,
        "ci_high": result.ci_high,
        "p": result.p,
        "p_low": result.p_low,
        "p_high": result.p_high,
        "permutations": result.permutations,
        "ceiling": ceiling,
        "normalised": result.value / ceiling,
    }


def _shuffled_row(shared: dict[str, Any], result: significance.Score) -> dict[str, Any]:
    """The row of shuffled pairs under a decoder's, without a test of its own."""
    return {
        **shared,
        "chance": result.chance,
        "n": result.n,
        "condition": "shuffled",
        "value": result.null,
        "ci_low": result.null_low,
        "ci_high": result.null_high,
        "p": np.nan,
    }


def arguments(doc: str | None) -> argparse.ArgumentParser:
    """The command line of a step that scores a subject's aligned decoders."""
    found = parser(doc)
    found.add_argument("--align", type=Path, required=True)
    found.add_argument("--test", type=Path, required=True, help="folder that the step encode left")
    found.add_argument("--windows", type=Path, required=True)
    found.add_argument("--series-dir", type=Path, required=True)
    found.add_argument("--clips", type=Path, required=True)
    found.add_argument("--features", type=Path, nargs="+", required=True)
    found.add_argument("--subject", help="label; default: from the folder sub-XX of --output")
    found.add_argument("--output", type=Path, required=True)
    return found


def read_files(args: argparse.Namespace) -> list[Path]:
    """What such a step reads, for provenance: decoders, test responses, and features of clips."""
    series = series_files(args.windows, args.series_dir, "test")
    decoders = [args.test, args.align / "model", args.align / "ridge"]
    return [*decoders, args.windows, *series, args.clips, *args.features]


def load_decoders(align: Path) -> dict[str, Decoder]:
    """The subject's encoder, "model", and ridge regression, "ridge"."""
    from boldreel.models.decoder import LinearDecoder
    from boldreel.models.encoder import SpatioTemporalEncoder

    return {
        "model": SpatioTemporalEncoder.from_pretrained(align / "model"),
        "ridge": LinearDecoder.from_pretrained(align / "ridge"),
    }


def main(argv: list[str] | None = None) -> None:
    args = arguments(__doc__).parse_args(argv)
    started = time.time()
    settings = read(RetrievalSettings, args.config, "evaluate")

    from boldreel.training.loop import set_threads

    set_threads()
    responses = load_responses(args.windows, args.series_dir, "test")
    clips, order = sorted_clips(responses)
    windows = tables.read(args.windows, "windows")
    shown = windows.loc[windows["split"] != "test", "clip"]
    trials = load_responses(args.windows, args.series_dir, "test", "each")
    decoders = load_decoders(args.align)
    ridge = decoders["ridge"]
    parts = zip(HALVES, split_halves(trials, clips) or (), strict=False)
    table = score(
        decoders,
        {
            "model": Predictions.read(args.test, clips),
            "ridge": Predictions(
                clips,
                predict(ridge, responses.x[order]),
                {name: predict(ridge, x) for name, x in parts},
            ),
        },
        load_features(args.clips, args.features, clips),
        np.asarray(responses.segments)[order],
        responses.onsets[order],
        load_features(args.clips, args.features, list(dict.fromkeys(shown))),
        settings,
        args.subject or subject_of(args.output),
    )
    tables.write(args.output, table, "metrics")
    provenance.record(
        args.output,
        inputs=read_files(args),
        config=asdict(settings),
        seed=settings.seed,
        started=started,
    )
    for metric in ("two_way_text", "top1_text"):
        for row in table[(table["metric"] == metric) & (table["segment"] == "all")].itertuples():
            print(
                f"{metric}, {row.condition}: {row.value:.3f} (chance {row.chance:.3f}), p {row.p:.3f}"
            )


if __name__ == "__main__":
    run(main)
