"""Step: how one subject's methods differ, clip by clip.

Reads the tables of clip values (kind "clip_metrics") of two or more methods; writes a table "between": for
each pair and metric the mean difference over the clips that both reconstructed, its 95 % interval and
two-sided p (`stats.means`), corrected by Holm over the pair's metrics. Whether a
method is above chance at all is in its own scores: the order of two methods at chance means nothing.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from boldreel.data import provenance, tables
from boldreel.errors import UserError
from boldreel.stats import means, permutation
from boldreel.stats.correction import holm
from boldreel.step import parser, run

if TYPE_CHECKING:
    import pandas as pd

KEYS = ["metric", "definition"]


def compare(first: pd.DataFrame, second: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """A row for each metric that both tables have, without names and correction.

    Parameters
    ----------
    first, second : rows of the reconstructions, condition "model": clip, segment, shot, metric, definition
        and value, in the order in which the clips of each segment were shown.
    """
    joined = first.merge(
        second.drop(columns="segment"), on=["clip", "shot", *KEYS], suffixes=("", "_other")
    )
    for (metric, definition), rows in joined.groupby(KEYS, sort=False):
        apart = permutation.apart(rows["value"].to_numpy(), rows["value_other"].to_numpy())
        if not np.isfinite(apart).any():
            continue
        found = means.of_mean(apart, rows["segment"].to_numpy(), rows["shot"].to_numpy())
        yield {
            "metric": metric,
            "definition": definition,
            "difference": found.value,
            "ci_low": found.ci_low,
            "ci_high": found.ci_high,
            "p": found.p,
            "n": int(np.isfinite(apart).sum()),
        }


def between(by_method: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The table for all pairs of methods, in the order given."""
    import pandas as pd

    parts = []
    for one, other in itertools.combinations(by_method, 2):
        rows = pd.DataFrame(compare(by_method[one], by_method[other]))
        if len(rows):
            corrected = holm(rows["p"].to_numpy())
            parts.append(rows.assign(method=one, other=other, p_corrected=corrected))
    if not parts:
        raise UserError(
            "methods have no clip and metric in common; score them on the same test clips"
        )
    return pd.concat(parts, ignore_index=True)


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    started = time.time()
    arguments = parser(__doc__)
    arguments.add_argument(
        "--clips", nargs="+", required=True, help="metrics.parquet of each method"
    )
    arguments.add_argument("--subject", required=True)
    arguments.add_argument("--output", required=True, type=Path)
    args = arguments.parse_args(argv)
    by_method = {}
    for path in args.clips:
        table = tables.read(path, "clip_metrics")
        own = table[table["condition"] == "model"]
        for method, rows in own.groupby("method", sort=False):
            if method in by_method:
                raise UserError(f"{path}: method {method} is in another table too; give each once")
            by_method[str(method)] = rows
    table = between(by_method)
    table.insert(0, "subject", args.subject)
    tables.write(args.output, table, "between")
    provenance.record(args.output, inputs=args.clips, config={}, started=started)


if __name__ == "__main__":
    run(main)
