"""The table of scores from what was measured: all conditions, and the reconstruction next to each.

Takes measures by condition and run; returns rows of the tables "metrics" and "clip_metrics". Next to the rows
of `summary`, the reconstruction's say how much of the way to the upper bound it went (`normalised`) and how
far scores vary between seeds of the sampling noise (`seed_sd`), and every other condition's how much better
the reconstruction is on the same clips (`difference`) with the p of a paired test (`p_difference`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from boldreel.evaluate import clips, frechet
from boldreel.evaluate.frechet import Collected
from boldreel.evaluate.metrics import Measure
from boldreel.evaluate.summary import Summary, per_clip
from boldreel.stats import permutation

if TYPE_CHECKING:
    import pandas as pd

NAN = float("nan")
# Values of each clip by condition, metric and definition.
Values = dict[tuple[str, str, str], np.ndarray]


def tabulate(
    measured: Mapping[str, Sequence[Sequence[Measure]]],
    collected: Collected,
    summary: Summary,
    test: pd.DataFrame,
    runs: Sequence[clips.Segment],
    method: str,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(score rows without dataset and subject, clip rows) of all conditions; clips as they were shown."""
    import pandas as pd

    rows: list[dict[str, Any]] = []
    by_clip: list[pd.DataFrame] = []
    known: Values = {}
    shown = summary.inference.order
    segments = np.empty(len(test), dtype=object)
    for run in runs:
        segments[run.rows] = run.name
    for condition, by_run in measured.items():
        for parts in zip(*by_run, strict=True):
            tested = condition == "model"
            metric, definition = parts[0].metric, parts[0].definition
            for row in summary.rows(parts, tested):
                name = row["condition"] or condition
                rows.append({**row, "method": method, "condition": name})
            for name, values in per_clip(runs, parts, tested).items():
                known[name or condition, metric, definition] = values
                frame = test[["clip", "shot"]].assign(
                    segment=segments,
                    method=method,
                    condition=name or condition,
                    metric=metric,
                    definition=definition,
                    value=values,
                )
                by_clip.append(frame.iloc[shown])
    sets = frechet.rows(collected, summary.groups, test["shot"].to_numpy())
    rows += [{**row, "method": method} for row in sets]
    normalise(rows)
    compare(rows, known, summary)
    spread_of_seeds(rows, known, summary)
    return pd.DataFrame(rows), pd.concat(by_clip, ignore_index=True)


def compare(rows: Sequence[dict[str, Any]], known: Values, summary: Summary) -> None:
    """Gives each row of another condition "difference" and "p_difference".

    difference : mean over clips of the reconstruction's value less the condition's, of the clips that both
    have. p_difference : two-sided, of `stats.means`; NaN if there are too few shots. The shuffled pairs have
    a p of their own, other seeds their spread.
    """
    inside = {group.name: group.inside for group in summary.groups}
    for row in rows:
        row["difference"] = row["p_difference"] = NAN
        key = (row["metric"], row["definition"])
        own, other = known.get(("model", *key)), known.get((row["condition"], *key))
        alike = row["condition"] in ("model", "shuffled") or row["condition"].startswith("seed_")
        if alike or own is None or other is None:
            continue
        apart = np.where(inside[row["segment"]], permutation.apart(own, other), NAN)
        row["difference"], row["p_difference"] = summary.paired(apart)


def spread_of_seeds(rows: Sequence[dict[str, Any]], known: Values, summary: Summary) -> None:
    """Gives each row of the reconstruction "seed_sd" and "seeds", where other seeds were drawn.

    The standard deviation between seeds of the mean over the clips that were drawn with all of them.
    """
    others = sorted({condition for condition, *_ in known if condition.startswith("seed_")})
    inside = {group.name: group.inside for group in summary.groups}
    for row in rows:
        row["seed_sd"], row["seeds"] = NAN, NAN
        keys = [(name, row["metric"], row["definition"]) for name in ("model", *others)]
        if row["condition"] != "model" or not others or any(key not in known for key in keys):
            continue
        values = np.stack([known[key] for key in keys])[:, inside[row["segment"]]]
        shared = values[:, np.isfinite(values).all(axis=0)]
        if shared.shape[1]:
            row["seed_sd"] = float(shared.mean(axis=1).std(ddof=1))
            row["seeds"] = float(len(keys))


def normalise(rows: list[dict[str, Any]]) -> None:
    """Gives each row of the model "normalised": (model - shuffled) / (true features - shuffled).

    0 is what shuffled pairs reach, 1 what the generator reaches when it is told the truth: how much of what
    this generator could show was read from the brain. NaN if there is no upper bound, or where it does
    not lie beyond the shuffled pairs by more than its own interval is wide.
    """
    known = {(r["condition"], r["segment"], r["metric"], r["definition"]): r for r in rows}
    for row in rows:
        row["normalised"] = float("nan")
        key = (row["segment"], row["metric"], row["definition"])
        upper, base = known.get(("true_features", *key)), known.get(("shuffled", *key))
        if row["condition"] != "model" or upper is None or base is None:
            continue
        room = upper["value"] - base["value"]
        towards = 1 if row["better"] == "higher" else -1
        if towards * room > upper["ci_high"] - upper["ci_low"]:
            row["normalised"] = (row["value"] - base["value"]) / room
