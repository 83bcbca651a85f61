"""The headline table, and the rows for the table of all scores.

Takes the table "metrics" and verdicts; returns HTML, and a compact object for the page's script.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from boldreel.report import figure_style, labels, markup, verdicts
from boldreel.report.markup import esc

if TYPE_CHECKING:
    import pandas as pd

# Conditions with a column of their own where the table has them; `gray` only on wide screens.
_BASELINES = {
    "shuffled": "Shuffled",
    "gray": '<span class="wide">Gray</span>',
    "true_colour": "Mean colour",
    "true_features": "Upper bound <small>(reached)</small>",
}


def _baselines(table: pd.DataFrame) -> list[str]:
    return [name for name in _BASELINES if (table["condition"] == name).any()]


def _columns(baselines: Sequence[str]) -> list[str]:
    """The baselines with a column: where there are all of them, gray has its mark on the axis alone."""
    return [name for name in baselines if name != "gray" or len(baselines) < len(_BASELINES)]


def headline(
    table: pd.DataFrame,
    subjects: Sequence[str],
    method: str,
    judged: Mapping[str, verdicts.Verdict],
) -> str:
    """Every primary metric over all test clips, per subject, with chance and baselines."""
    shown = verdicts.primary(table[table["segment"] == "all"])
    baselines = _baselines(shown)
    columns = 5 + len(_columns(baselines))
    parts = []
    # Videos that were only handed in have no scores before the generator.
    level = "" if any(map(labels.before_generator, shown["metric"])) else "after"
    for metric, definition in dict.fromkeys(zip(shown["metric"], shown["definition"], strict=True)):
        rows = shown[(shown["metric"] == metric) & (shown["definition"] == definition)]
        here = "before" if labels.before_generator(metric) else "after"
        if here != level:
            level = here
            words = "Before the generator: in feature space"
            if here == "after":
                words = "After the generator: on reconstructed video"
            parts.append(f'<tr class="level"><td colspan="{columns}">{words}</td></tr>')
        parts.append(_group(metric, definition, columns))
        ends = _scale(rows, baselines)
        for place, subject in enumerate(subjects):
            mine = rows[rows["subject"] == subject]
            of = mine[mine["method"] == method]
            for condition in ("model", "ridge"):
                index = of.index[of["condition"] == condition]
                if len(index):
                    label = labels.who(subject, method)
                    label += "" if condition == "model" else ", ridge regression"
                    corrected = judged[subject].corrected.get(index[0])
                    own = of.set_index("condition")
                    parts.append(_row(own, condition, label, place, ends, corrected, baselines))
    names = ["Subject" if any(subjects) else "Method", "Score [95 %]"]
    names += ['<span class="wide">On its axis</span>', "Chance"]
    names += [*(_BASELINES[name] for name in _columns(baselines)), "p (Holm)"]
    head = "".join(f'<th scope="col">{cell}</th>' for cell in names)
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="Headline scores"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(parts)}</tbody></table></div>"
    )


def _group(metric: str, definition: str, columns: int) -> str:
    words, text = labels.entry(metric), labels.definition(definition)
    extra = f" <span>({esc(text)})</span>" if text else ""
    guide = f"<small>{esc(words.shows)} {esc(words.hides)}</small>" if words.shows else ""
    cell = f'<td colspan="{columns}"><b>{esc(words.name)}{extra}</b>{guide}</td>'
    return f'<tr class="group">{cell}</tr>'


def _scale(rows: pd.DataFrame, baselines: Sequence[str]) -> tuple[float, float]:
    """A common axis for all subjects of a metric: from 0 (or below) to what is reached."""
    kept = rows[rows["condition"].isin(["model", "ridge", *baselines])]
    ends = [c for c in ("value", "ci_high", "chance", "ceiling") if c in kept]
    high = max(float(kept[c].max()) for c in ends if kept[c].notna().any())
    low = min(float(kept[c].min()) for c in ("value", "ci_low", "chance") if kept[c].notna().any())
    return min(0.0, low), high if high > 0 else 1.0


def _row(
    of: pd.DataFrame,
    condition: str,
    label: str,
    place: int,
    ends: tuple[float, float],
    corrected: float | None,
    baselines: Sequence[str],
) -> str:
    row = of.loc[condition]
    other = condition != "model"
    known = [] if other else [c for c in baselines if c in of.index]
    values = {c: float(of.loc[c, "value"]) for c in known}
    ceiling = float(row.get("ceiling", float("nan")))
    if not other and ceiling == ceiling:
        values["true_features"] = ceiling  # before the generator the bound is the noise ceiling
    marks = {"model": float(row["value"]), "chance": float(row["chance"]), **values}
    interval = (float(row["ci_low"]), float(row["ci_high"]))
    tint = figure_style.colour(place)
    n = labels.number
    span = (
        f" <small>[{n(interval[0])}, {n(interval[1])}]</small>"
        if interval[0] == interval[0]
        else " <small>[n/a]</small>"
    )
    p = labels.p_value(float(row["p"])) if row["p"] == row["p"] else "n/a"
    holm = f" <small>({labels.p_value(corrected)})</small>" if corrected is not None else ""
    dot = f'<span class="dot" style="background:{tint}"></span>'
    cells = [
        f"{dot}{esc(label)}",
        f"<b>{n(marks['model'])}</b>{span}",
        f'<span class="wide">{markup.gauge(marks, interval, ends, tint)}</span>',
        n(marks["chance"]),
    ]
    for name in _columns(baselines):
        value = n(values.get(name))
        reached = row.get("normalised", float("nan"))
        if name == "true_features" and not other and reached == reached:
            value += f" <small>({reached:.0%})</small>"
        cells.append(f'<span class="wide">{value}</span>' if name == "gray" else value)
    cells.append(f"{p}{holm}")
    body = "".join(
        f'<td class="value">{cell}</td>' if k == 1 else f"<td>{cell}</td>"
        for k, cell in enumerate(cells)
    )
    return f"<tr{' class=other' if other else ''}>{body}</tr>"


_LEGEND = (
    '<span><svg width="24" height="14" aria-hidden="true"><line x1="1" x2="23" '
    'y1="7" y2="7" stroke="#0072b2" stroke-width="3"/><circle cx="12" cy="7" r="4.6" fill="#0072b2"/>'
    "</svg>score, 95 % interval</span>"
    '<span><svg class="gauge" width="6" height="14" aria-hidden="true"><line x1="3" x2="3" y1="0" '
    'y2="14" class="chance"/></svg>chance</span>'
)
# A baseline's mark: width, shape and words.
_MARKS = {
    "shuffled": (10, '<circle cx="5" cy="7" r="3.4" class="shuffled"/>', "shuffled pairing"),
    "gray": (8, '<rect x="1" y="4" width="6" height="6" class="gray"/>', "mid-gray frame"),
    "true_colour": (9, '<path d="M1 4.5h7l-3.5 6z" class="gray"/>', "mean colour of the truth"),
    "true_features": (
        11,
        '<path d="M5.5 2.5l4.5 4.5l-4.5 4.5l-4.5-4.5z" class="upper"/>',
        "generator fed the true features",
    ),
}


def legend(table: pd.DataFrame) -> str:
    """What the marks on the axes mean, for the conditions that the table has."""
    marks = "".join(
        f'<span><svg class="gauge" width="{width}" height="14" aria-hidden="true">{shape}</svg>'
        f"{words}</span>"
        for width, shape, words in map(_MARKS.__getitem__, _baselines(table))
    )
    shown = verdicts.primary(table[table["condition"] == "model"])
    if shown["ci_low"].isna().any():
        marks += "<span>n/a: too few shots to tell</span>"
    return f'<p class="legend">{_LEGEND}{marks}</p>'


def compact(table: pd.DataFrame) -> dict[str, Any]:
    """All rows with five significant digits, and the words for their content."""
    columns = ["subject", "segment", "method", "condition", "metric", "definition"]
    numbers = ["value", "ci_low", "ci_high", "chance", "p"]
    more = ["difference", "p_difference", "seed_sd"]
    numbers += [name for name in more if name in table.columns]
    rows = [
        [*texts, *(None if x != x else float(f"{x:.5g}") for x in values)]
        for texts, values in zip(
            table[columns].to_numpy().tolist(), table[numbers].to_numpy().tolist(), strict=True
        )
    ]
    names = {}
    for metric, definition in sorted(set(zip(table["metric"], table["definition"], strict=True))):
        text = labels.definition(definition)
        named = labels.entry(metric).name + (f" ({text})" if text else "")
        names[f"{metric}|{definition}"] = named
    conditions = sorted(set(table["condition"]))
    known = [c for c in labels.CONDITIONS if c in conditions]
    return {
        "columns": [*columns, *numbers],
        "rows": rows,
        "words": {
            "metric": names,
            "condition": {c: labels.condition(c) for c in conditions},
            "order": known + [c for c in conditions if c not in known],
        },
    }


def explorer(table: pd.DataFrame, method: str, file: str = "group/metrics.tsv") -> str:
    """Form, place and data of the table of all scores, which `file` holds as well."""

    def options(column: str, first: str, words: Mapping[str, str] | None = None) -> str:
        found = sorted(set(table[column]), key=lambda v: (v != first, v))
        names = words or {}
        return "".join(f'<option value="{esc(v)}">{esc(names.get(v, v))}</option>' for v in found)

    subjects = {s: labels.who(s, method) for s in sorted(set(table["subject"]))}
    return (
        '<form id="explore" class="controls" aria-label="Choose scores">'
        f'<label>Subject<select name="subject">{options("subject", "", subjects)}</select></label>'
        f'<label>Test clips<select name="segment">{options("segment", "all")}</select></label>'
        f'<label>Method<select name="method">{options("method", method)}</select></label>'
        '</form><div class="scroll" id="explore-out" tabindex="0" role="region" '
        'aria-label="All scores" aria-live="polite">'
        f'<p class="note">This table needs scripts; its rows stand in {esc(file)}.</p></div>'
        f'<script type="application/json" id="all-scores">{markup.embedded_json(compact(table))}'
        "</script>"
    )


def ablation(table: pd.DataFrame) -> str:
    """Every ablation of `make ablate`, with its difference to the encoder with all parts."""
    n = labels.number
    rows = []
    for row in table[table["metric"].isin(["two_way_text", "top1_text"])].itertuples():
        gap = "–"
        if row.ablation != "full":
            gap = (
                f"{n(row.difference, signed=True)} <small>[{n(row.difference_low, signed=True)}, "
                f"{n(row.difference_high, signed=True)}]</small>"
            )
        rows.append(
            [
                esc(labels.who(row.subject)),
                esc(labels.entry(row.metric).name),
                esc(labels.ablation(row.ablation)),
                f"<b>{n(row.value)}</b> <small>[{n(row.ci_low)}, {n(row.ci_high)}]</small>",
                n(row.chance),
                gap,
                str(row.seeds),
            ]
        )
    head = [
        "Subject",
        "Score",
        "Encoder",
        "Value [95 %]",
        "Chance",
        "Against all parts",
        "Trainings",
    ]
    body = markup.table(head, rows, "What each part is worth")
    return f"<details><summary>The numbers</summary>{body}</details>"
