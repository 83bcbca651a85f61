"""Scores of methods next to each other in files for other programs and for a paper.

Takes the table of metrics of one or more methods on the same clips; returns a table with a row for each
metric and the columns of each method, and its texts: TSV, CSV, JSON with how each metric was computed, and
LaTeX (booktabs).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from boldreel.report import labels, verdicts

if TYPE_CHECKING:
    import pandas as pd

_OF_METHOD = ("value", "ci_low", "ci_high", "p", "rank")


def side_by_side(table: pd.DataFrame) -> pd.DataFrame:
    """Rows metric and definition of all clips, in the order of the headline and then of the table.

    Columns `METHOD value`, `METHOD ci_low`, `METHOD ci_high`, `METHOD p` (against shuffled pairs) and `METHOD
    rank` (1 is best, ties share the mean; none where neither direction is better, or with one method).
    """
    import pandas as pd

    own = table[(table["segment"] == "all") & (table["condition"] == "model")]
    methods = list(dict.fromkeys(own["method"]))
    first = verdicts.primary(own)
    keys = [*zip(first["metric"], first["definition"], strict=True)]
    keys += [*zip(own["metric"], own["definition"], strict=True)]
    rows = []
    for metric, definition in dict.fromkeys(keys):
        here = own[(own["metric"] == metric) & (own["definition"] == definition)]
        here = here.set_index("method").reindex(methods)
        better = str(here["better"].dropna().iloc[0])
        sign = {"higher": -1.0, "lower": 1.0}.get(better, np.nan)
        ranks = (sign * here["value"]).rank() if len(methods) > 1 else here["value"] * np.nan
        row: dict[str, Any] = {
            "metric": metric,
            "definition": definition,
            "better": better,
            "chance": here["chance"].max(),
            "n": int(here["n"].max()),
        }
        for method, mine in here.assign(rank=ranks).iterrows():
            row |= {f"{method} {name}": mine[name] for name in _OF_METHOD}
        rows.append(row)
    return pd.DataFrame(rows)


def texts(table: pd.DataFrame) -> dict[str, str]:
    """{file name: content} of the scores in each format."""
    wide = side_by_side(table)
    methods = [c.removesuffix(" value") for c in wide.columns if c.endswith(" value")]
    return {
        "scores.tsv": wide.to_csv(sep="\t", index=False, na_rep="n/a"),
        "scores.csv": wide.to_csv(index=False, na_rep=""),
        "scores.json": _json(wide, methods),
        "scores.tex": _tex(wide, methods),
    }


def _json(wide: pd.DataFrame, methods: list[str]) -> str:
    def plain(value: Any) -> Any:
        return None if value != value else float(value)

    found = []
    for row in wide.to_dict("records"):
        entry = labels.entry(row["metric"])
        found.append(
            {
                "metric": row["metric"],
                "definition": row["definition"],
                "name": entry.name,
                "computed": labels.definition(row["definition"]) or row["definition"],
                "shows": entry.shows,
                "hides": entry.hides,
                "better": row["better"],
                "chance": plain(row["chance"]),
                "clips": row["n"],
                "methods": {
                    m: {name: plain(row[f"{m} {name}"]) for name in _OF_METHOD} for m in methods
                },
            }
        )
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


def _tex(wide: pd.DataFrame, methods: list[str]) -> str:
    """A table for \\usepackage{booktabs}; the best value of a row is bold."""
    head = " & ".join(["Metric", "Chance", *map(_escaped, methods)])
    lines = [
        "% scores with 95 % intervals; p against shuffled pairs and definitions: scores.json",
        rf"\begin{{tabular}}{{ll{'r' * len(methods)}}}",
        r"\toprule",
        rf"{head} \\",
        r"\midrule",
    ]
    for row in wide.to_dict("records"):
        text = labels.definition(row["definition"])
        name = labels.entry(row["metric"]).name + (f" ({text})" if text else "")
        cells = [_escaped(name), _number(row["chance"])]
        for method in methods:
            low, high = (_number(row[f"{method} {end}"]) for end in ("ci_low", "ci_high"))
            cell = _number(row[f"{method} value"])
            cell = rf"\textbf{{{cell}}}" if row[f"{method} rank"] == 1 else cell
            known = row[f"{method} ci_low"] == row[f"{method} ci_low"]
            cells.append(f"{cell} [{low}, {high}]" if known else cell)
        lines.append(" & ".join(cells) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _number(value: float) -> str:
    text = labels.number(value)
    return f"${text}$" if text.startswith("-") else text.replace("–", "--")


def _escaped(text: str) -> str:
    """Text as LaTeX prints it."""
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    return "".join(special.get(c, "\\" + c if c in "&%$#_{}" else c) for c in text)
