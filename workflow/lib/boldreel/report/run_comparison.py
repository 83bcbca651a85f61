"""Two runs of the pipeline, clip by clip: `python -m boldreel.report.run_comparison results/a results/b`.

Reads the results folders of two configurations; writes a folder with `compare.tsv` (for each subject, method
and metric the mean difference over the clips that both reconstructed, its 95 % interval and two-sided p,
corrected by Holm over a subject's metrics) and `compare.html`, which
also says in which options the two differ, step by step, from their provenance.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boldreel.data import atomic, provenance, tables
from boldreel.errors import UserError
from boldreel.evaluate import method_differences
from boldreel.layout import Layout
from boldreel.report import labels, markup, page, sections
from boldreel.report.markup import esc
from boldreel.report.settings import CompareSettings
from boldreel.settings import read
from boldreel.stats.correction import holm
from boldreel.step import parser, run

if TYPE_CHECKING:
    import pandas as pd

_LINKS = (("scores", "Scores"), ("options", "Options"))
_SAME = "Nothing: every step that left a provenance had the same options in both."


def clip_values(root: Path) -> dict[tuple[str, str], pd.DataFrame]:
    """{(subject, method): clip values of the reconstructions}; UserError if a folder has none."""
    found: dict[tuple[str, str], pd.DataFrame] = {}
    layout = Layout(str(root))
    own, others = layout.clip_scores("*"), layout.method_clip_scores("*", "*")
    for path in sorted(map(Path, [*layout.find(own), *layout.find(others)])):
        subject = layout.subject_of(path)
        table = tables.read(path, "clip_metrics")
        for method, rows in table[table["condition"] == "model"].groupby("method", sort=False):
            found[subject, str(method)] = rows
    if not found:
        raise UserError(
            f"{root}: no sub-XX/metrics.parquet; name two results folders of finished runs"
        )
    return found


def paired(first: Path, second: Path) -> pd.DataFrame:
    """Table "compare": the first folder less the second; UserError if they share no subject or clip."""
    import pandas as pd

    a, b = clip_values(first), clip_values(second)
    parts = []
    for key in [k for k in a if k in b]:
        rows = pd.DataFrame(method_differences.compare(a[key], b[key]))
        if len(rows):
            means = {
                name: rows[method_differences.KEYS].merge(
                    _means(values), on=method_differences.KEYS, how="left"
                )["value"]
                for name, values in (("first", a[key]), ("second", b[key]))
            }
            corrected = holm(rows["p"].to_numpy())
            parts.append(rows.assign(subject=key[0], method=key[1], p_corrected=corrected, **means))
    if not parts:
        raise UserError(
            f"{first}, {second}: no subject, method and clip in common; compare runs on the same data set"
        )
    table = pd.concat(parts, ignore_index=True)
    return table[["subject", "method", *table.columns.drop(["subject", "method"])]]


def _means(values: pd.DataFrame) -> pd.DataFrame:
    return values.groupby(method_differences.KEYS, sort=False)["value"].mean().reset_index()


def options(first: Path, second: Path) -> list[tuple[str, str, str, str]]:
    """(option, value in the first, in the second, an artefact that had it) where the two differ."""
    a, b = _configs(first), _configs(second)
    found: dict[tuple[str, str, str], list[str]] = {}
    for name in sorted(a.keys() & b.keys()):
        flat = [dict(_flat(config)) for config in (a[name], b[name])]
        for key in sorted(flat[0].keys() | flat[1].keys()):
            values = [json.dumps(of[key]) if key in of else "–" for of in flat]
            if values[0] != values[1]:
                found.setdefault((key, values[0], values[1]), []).append(name)
    return [(*key, _these(names)) for key, names in found.items()]


def _these(names: list[str]) -> str:
    return names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "")


def _configs(root: Path) -> dict[str, dict[str, Any]]:
    """{artefact below the root: the options that its step was given}."""
    return {str(path.relative_to(root)): entry["config"] for path, entry in provenance.find(root)}


def _flat(value: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, inner in value.items():
        if isinstance(inner, Mapping):
            yield from _flat(inner, f"{above}{key}.")
        else:
            yield f"{above}{key}", inner


def render(
    table: pd.DataFrame,
    changed: list[tuple[str, str, str, str]],
    names: tuple[str, str],
    level: float,
) -> str:
    """The page."""
    n = labels.number
    rows = []
    for row in table.itertuples():
        text = labels.definition(row.definition)
        name = labels.entry(row.metric).name + (f" ({text})" if text else "")
        gap = n(row.difference, signed=True)
        gap = f"<b>{gap}</b>" if row.p_corrected <= level else gap
        ends = f"[{n(row.ci_low, signed=True)}, {n(row.ci_high, signed=True)}]"
        rows.append(
            [
                esc(labels.who(row.subject)),
                esc(row.method),
                esc(name),
                n(row.first),
                n(row.second),
                f"{gap} <small>{ends}</small>",
                f"{labels.p_value(row.p)} <small>({labels.p_value(row.p_corrected)})</small>",
                str(row.n),
            ]
        )
    head = ["Subject", "Method", "Metric", *map(esc, names), "Difference [95 %]", "p (corrected)"]
    differing = [[f"<code>{esc(a)}</code>", esc(b), esc(c), esc(d)] for a, b, c, d in changed]
    title = f"{names[0]} against {names[1]}"
    body = [
        f'<header class="top"><h1>{esc(title)}</h1><p class="lede">Reconstructions of the same test clips by '
        "two runs, compared clip by clip. A difference is the first less the second; bold ones differ from "
        f"0 at {level:g} after correction over a subject's metrics. An order of two runs that are both at "
        "chance says nothing: see their own pages first.</p></header>",
        '<main id="main">',
        sections.section("scores", "Scores", markup.table([*head, "Clips"], rows, "Differences")),
        sections.section(
            "options",
            "What the runs were given",
            markup.table(["Option", *map(esc, names), "Of"], differing, "Options that differ")
            if differing
            else markup.note(_SAME),
        ),
        "</main>",
    ]
    return page.document(title, "".join(body), _LINKS)


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    started = time.time()
    arguments = parser(__doc__)
    arguments.add_argument("first", type=Path, help="results folder of a run")
    arguments.add_argument("second", type=Path, help="results folder of another")
    arguments.add_argument("--output", type=Path, default=Path("results/compare"))
    args = arguments.parse_args(argv)
    settings = read(CompareSettings, args.config, "evaluate")
    table = paired(args.first, args.second)
    changed = options(args.first, args.second)
    names = (str(args.first), str(args.second))
    with atomic.folder(args.output) as aside:
        tables.write(aside / "compare.tsv", table, "compare")
        atomic.write_text(aside / "compare.html", render(table, changed, names, settings.level))
        provenance.record(
            aside,
            inputs=[
                Path(path)
                for layout in (Layout(str(args.first)), Layout(str(args.second)))
                for path in layout.find(layout.clip_scores("*"))
            ],
            config=asdict(settings),
            started=started,
        )
    sure = int((table["p_corrected"] <= settings.level).sum())
    print(f"{sure} of {len(table)} scores differ; {len(changed)} options differ")
    print(f"page: {args.output / 'compare.html'}")


if __name__ == "__main__":
    run(main)
