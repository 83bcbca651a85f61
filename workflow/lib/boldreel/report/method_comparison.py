"""The page's section on several methods: each one's verdicts and scores, and their differences.

Takes the table of metrics and the tables "between"; returns HTML, or nothing if there is one method. Two
methods are ranked only in subjects in whom both are above chance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from boldreel.report import labels, markup, scoretable, sections, verdicts
from boldreel.report.markup import esc

if TYPE_CHECKING:
    import pandas as pd

# By which methods are compared: those that look at videos, a metric and its definition.
SHOWN = (
    ("nway_frame", "top3_n50_k1"),
    ("nway_video", "top3_n50_k1"),
    ("clip_identification", "two_way"),
    ("clip_retrieval", "top1_pool10"),
    ("ssim", "rgb_uniform"),
    ("pixel_correlation", "rgb"),
)

_SAME = "trained on the same windows and clips and "


def section(
    table: pd.DataFrame,
    differences: Mapping[str, pd.DataFrame],
    subjects: Sequence[str],
    main: str,
    level: float,
    drawn: Sequence[str] = (),
) -> str:
    """The section.

    Parameters
    ----------
    table : "metrics" of all methods. differences : {subject: table "between"}. main : the method that
    the rest of the page is about. level : of significance, after correction. drawn : figures, as HTML.
    """
    methods = [m for m in dict.fromkeys(table["method"]) if m != main]
    if not methods:
        return ""
    judged = {
        method: {s: verdicts.judge(table, s, method, level) for s in subjects}
        for method in [main, *methods]
    }
    parts = [
        f'<p class="lede">Other methods, {_SAME if any(subjects) else ""}scored on the same '
        "clips by the same judges. First whether each is above its own shuffled pairing; differences are "
        f"shown {'for subjects in whom' if any(subjects) else 'where'} both are.</p>",
        _against_chance(judged, subjects),
        _differences(differences, judged, level),
    ]
    for method in methods:
        own = table[table["method"] == method]  # another method's metrics would be empty rows
        scores = scoretable.headline(own, subjects, method, judged[method])
        parts.append(f"<details><summary>Scores of {esc(method)}</summary>{scores}</details>")
    return sections.section("compared", "Methods compared", *parts, *drawn)


def _against_chance(
    judged: Mapping[str, Mapping[str, verdicts.Verdict]], subjects: Sequence[str]
) -> str:
    rows = [
        [esc(method), *(f"{of[s].passed} of {of[s].tested}" for s in subjects)]
        for method, of in judged.items()
    ]
    head = ["Metrics above chance, corrected", *(esc(labels.who(s)) for s in subjects)]
    return markup.table(head, rows, "Methods against chance")


def _differences(
    differences: Mapping[str, pd.DataFrame],
    judged: Mapping[str, Mapping[str, verdicts.Verdict]],
    level: float,
) -> str:
    n = labels.number
    rows, silent = [], []
    for subject, table in differences.items():
        for (one, other), own in table.groupby(["method", "other"], sort=False):
            if any(judged[m][subject].passed == 0 for m in (one, other) if m in judged):
                silent.append(f"{labels.who(subject)}: {one} and {other}")
                continue
            own = own.set_index(["metric", "definition"])
            for key in SHOWN:
                if key not in own.index:
                    continue
                row = own.loc[key]
                text = labels.definition(key[1])
                name = labels.entry(key[0]).name + (f" ({text})" if text else "")
                sure = row["p_corrected"] <= level
                gap = n(row["difference"], signed=True)
                ends = f"[{n(row['ci_low'], signed=True)}, {n(row['ci_high'], signed=True)}]"
                rows.append(
                    [
                        esc(labels.who(subject)),
                        f"{esc(one)} less {esc(other)}",
                        esc(name),
                        f"{f'<b>{gap}</b>' if sure else gap} <small>{ends}</small>",
                        f"{labels.p_value(row['p'])} <small>({labels.p_value(row['p_corrected'])})</small>",
                    ]
                )
    note = ""
    if silent:
        note = f"<p>Not compared, since one of the two is not above chance: {esc('; '.join(silent))}.</p>"
    if not rows:
        return note
    head = ["Subject", "Methods", "Metric", "Difference [95 %]", "p (corrected over metrics)"]
    return markup.table(head, rows, "Methods against each other") + note
