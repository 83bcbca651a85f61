"""Step: one table of all subjects' scores, with their mean.

Reads tables of kind "metrics" (scores and retrieval of each subject); writes one such table. The
rows of subject "mean" average over subjects, whose number stands in `n`; they carry no interval and
no p, since a handful of subjects is no sample of a population.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from boldreel.data import provenance, tables
from boldreel.errors import UserError
from boldreel.step import parser, run

if TYPE_CHECKING:
    import pandas as pd

KEYS = ["dataset", "segment", "method", "condition", "metric", "definition"]


def by_segment(table: pd.DataFrame) -> pd.DataFrame:
    """Metrics named ..._seen and ..._unseen become rows of the segments "seen" and "unseen"."""
    parts = table["metric"].str.extract(r"^(?P<metric>.+?)_(?P<subset>seen|unseen)$")
    special = parts["subset"].notna()
    out = table.copy()
    out.loc[special, "metric"] = parts.loc[special, "metric"]
    out.loc[special, "segment"] = parts.loc[special, "subset"]
    return out


def mean_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of subject "mean": mean value and chance of each entry over at least two subjects."""
    grouped = table.groupby(KEYS, sort=False, dropna=False)
    extra = {name: (name, "first") for name in ("better",) if name in table.columns}
    out = grouped.agg(
        value=("value", "mean"), chance=("chance", "mean"), n=("subject", "nunique"), **extra
    ).reset_index()
    out = out[out["n"] > 1]
    return out.assign(subject="mean", ci_low=float("nan"), ci_high=float("nan"), p=float("nan"))


def combine(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """All rows, then the means. Raises UserError for two rows of one entry."""
    import pandas as pd

    table = by_segment(pd.concat(parts, ignore_index=True))
    if "better" in table.columns:  # tables of other stages hold only metrics where more is better
        table["better"] = table["better"].fillna("higher")
    twice = table.duplicated(["subject", *KEYS])
    if twice.any():
        row = table[twice].iloc[0]
        raise UserError(
            f"subject {row['subject']}: {row['metric']} {row['definition']} ({row['condition']}, "
            f"{row['segment']}) is in two tables; give each subject's tables once"
        )
    return pd.concat([table, mean_rows(table)], ignore_index=True)


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    started = time.time()
    arguments = parser(__doc__)
    arguments.add_argument("--scores", nargs="+", required=True, help="tables of all subjects")
    arguments.add_argument("--output", required=True, type=Path)
    args = arguments.parse_args(argv)
    table = combine([tables.read(path, "metrics") for path in args.scores])
    tables.write(args.output, table, "metrics")
    provenance.record(args.output, inputs=args.scores, config=args.config, started=started)


if __name__ == "__main__":
    run(main)
