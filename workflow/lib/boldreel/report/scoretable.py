"""The headline table, and the rows for the table of all scores.

Takes the table "metrics" and verdicts; leaves HTML, and a compact object for the page's script.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from boldreel.report import ink, markup, verdicts, wording
from boldreel.report.markup import esc

if TYPE_CHECKING:
    import pandas as pd

_BASELINES = ("shuffled", "gray", "true_features")
_HEAD = (
    "Subject",
    "Score [95 %]",
    '<span class="wide">On its axis</span>',
    "Chance",
    "Shuffled",
    '<span class="wide">Gray</span>',
    "Upper bound",
    "p (Holm)",
)


def headline(
    table: pd.DataFrame,
    subjects: Sequence[str],
    method: str,
    judged: Mapping[str, verdicts.Verdict],
) -> str:
    """Every primary metric over all test clips, per subject, beside chance and baselines."""
    shown = verdicts.primary(table[table["segment"] == "all"])
    parts = []
    level = ""
    for metric, definition in dict.fromkeys(zip(shown["metric"], shown["definition"], strict=True)):
        rows = shown[(shown["metric"] == metric) & (shown["definition"] == definition)]
        here = "before" if wording.before_generator(metric) else "after"
        if here != level:
            level = here
            words = "Before the generator: in feature space"
            if here == "after":
                words = "After the generator: on reconstructed video"
            parts.append(f'<tr class="level"><td colspan="8">{words}</td></tr>')
        parts.append(_group(metric, definition))
        ends = _scale(rows)
        for place, subject in enumerate(subjects):
            mine = rows[rows["subject"] == subject]
            of = mine[mine["method"] == method]
            for condition in ("model", "ridge"):
                index = of.index[of["condition"] == condition]
                if len(index):
                    label = f"sub-{subject}" + (
                        "" if condition == "model" else ", ridge regression"
                    )
                    corrected = judged[subject].corrected.get(index[0])
                    own = of.set_index("condition")
                    parts.append(_row(own, condition, label, place, ends, corrected))
    head = "".join(f'<th scope="col">{cell}</th>' for cell in _HEAD)
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="Headline scores"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(parts)}</tbody></table></div>"
    )


def _group(metric: str, definition: str) -> str:
    words, text = wording.entry(metric), wording.definition(definition)
    extra = f" <span>({esc(text)})</span>" if text else ""
    guide = f"<small>{esc(words.shows)} {esc(words.hides)}</small>" if words.shows else ""
    return f'<tr class="group"><td colspan="8"><b>{esc(words.name)}{extra}</b>{guide}</td></tr>'


def _scale(rows: pd.DataFrame) -> tuple[float, float]:
    """A common axis for all subjects of a metric: from 0 (or below) to what is reached."""
    kept = rows[rows["condition"].isin(["model", "ridge", *_BASELINES])]
    high = max(
        float(kept[c].max()) for c in ("value", "ci_high", "chance") if kept[c].notna().any()
    )
    low = min(float(kept[c].min()) for c in ("value", "ci_low", "chance") if kept[c].notna().any())
    return min(0.0, low), high if high > 0 else 1.0


def _row(
    of: pd.DataFrame,
    condition: str,
    label: str,
    place: int,
    ends: tuple[float, float],
    corrected: float | None,
) -> str:
    row = of.loc[condition]
    other = condition != "model"
    known = [] if other else [c for c in _BASELINES if c in of.index]
    values = {c: float(of.loc[c, "value"]) for c in known}
    marks = {"model": float(row["value"]), "chance": float(row["chance"]), **values}
    interval = (float(row["ci_low"]), float(row["ci_high"]))
    tint = ink.colour(place)
    n = wording.number
    span = (
        f" <small>[{n(interval[0])}, {n(interval[1])}]</small>"
        if interval[0] == interval[0]
        else ""
    )
    p = wording.p_value(float(row["p"]))
    holm = f" <small>({wording.p_value(corrected)})</small>" if corrected is not None else ""
    dot = f'<span class="dot" style="background:{tint}"></span>'
    cells = [
        f"{dot}{esc(label)}",
        f"<b>{n(marks['model'])}</b>{span}",
        f'<span class="wide">{markup.gauge(marks, interval, ends, tint)}</span>',
        n(marks["chance"]),
        n(values.get("shuffled")),
        f'<span class="wide">{n(values.get("gray"))}</span>',
        n(values.get("true_features")),
        f"{p}{holm}",
    ]
    body = "".join(
        f'<td class="value">{cell}</td>' if k == 1 else f"<td>{cell}</td>"
        for k, cell in enumerate(cells)
    )
    return f"<tr{' class=other' if other else ''}>{body}</tr>"


LEGEND = (
    '<p class="legend"><span><svg width="24" height="14" aria-hidden="true"><line x1="1" x2="23" '
    'y1="7" y2="7" stroke="#0072b2" stroke-width="3"/><circle cx="12" cy="7" r="4.6" fill="#0072b2"/>'
    "</svg>score, 95 % interval over shots</span>"
    '<span><svg class="gauge" width="6" height="14" aria-hidden="true"><line x1="3" x2="3" y1="0" '
    'y2="14" class="chance"/></svg>chance</span>'
    '<span><svg class="gauge" width="10" height="14" aria-hidden="true"><circle cx="5" cy="7" r="3.4" '
    'class="shuffled"/></svg>shuffled pairing</span>'
    '<span><svg class="gauge" width="8" height="14" aria-hidden="true"><rect x="1" y="4" width="6" '
    'height="6" class="gray"/></svg>mid-gray frame</span>'
    '<span><svg class="gauge" width="11" height="14" aria-hidden="true"><path d="M5.5 2.5l4.5 4.5l'
    '-4.5 4.5l-4.5-4.5z" class="upper"/></svg>generator fed the true features</span></p>'
)


def compact(table: pd.DataFrame) -> dict[str, Any]:
    """All rows with five significant digits, and the words for what stands in them."""
    columns = ["subject", "segment", "method", "condition", "metric", "definition"]
    numbers = ["value", "ci_low", "ci_high", "chance", "p"]
    rows = [
        [*texts, *(None if x != x else float(f"{x:.5g}") for x in values)]
        for texts, values in zip(
            table[columns].to_numpy().tolist(), table[numbers].to_numpy().tolist(), strict=True
        )
    ]
    names = {}
    for metric, definition in sorted(set(zip(table["metric"], table["definition"], strict=True))):
        text = wording.definition(definition)
        named = wording.entry(metric).name + (f" ({text})" if text else "")
        names[f"{metric}|{definition}"] = named
    conditions = sorted(set(table["condition"]))
    known = [c for c in wording.CONDITIONS if c in conditions]
    return {
        "columns": [*columns, *numbers],
        "rows": rows,
        "words": {
            "metric": names,
            "condition": {c: wording.condition(c) for c in conditions},
            "order": known + [c for c in conditions if c not in known],
        },
    }


def explorer(table: pd.DataFrame, method: str) -> str:
    """Form, place and data of the table of all scores."""

    def options(column: str, first: str, words: Mapping[str, str] | None = None) -> str:
        found = sorted(set(table[column]), key=lambda v: (v != first, v))
        names = words or {}
        return "".join(f'<option value="{esc(v)}">{esc(names.get(v, v))}</option>' for v in found)

    subjects = {s: s if s == "mean" else f"sub-{s}" for s in sorted(set(table["subject"]))}
    return (
        '<form id="explore" class="controls" aria-label="Choose scores">'
        f'<label>Subject<select name="subject">{options("subject", "", subjects)}</select></label>'
        f'<label>Test clips<select name="segment">{options("segment", "all")}</select></label>'
        f'<label>Method<select name="method">{options("method", method)}</select></label>'
        '</form><div class="scroll" id="explore-out" tabindex="0" role="region" '
        'aria-label="All scores" aria-live="polite">'
        '<p class="note">This table needs scripts; its rows stand in group/metrics.tsv.</p></div>'
        f'<script type="application/json" id="all-scores">{markup.embedded_json(compact(table))}'
        "</script>"
    )
