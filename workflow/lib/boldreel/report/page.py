"""Step: one self-contained page about everything, and the headline numbers on standard output.

Reads the results folder, the subjects, the figures folder, published scores and Snakemake's
benchmarks; writes report.html, which opens from a file without network. Required: group/metrics.tsv,
clips.parquet and reconstructions; everything else is left out with a visible note when missing.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boldreel
from boldreel import packaged
from boldreel.data import atomic, provenance, tables
from boldreel.data.presentations import ENTITIES
from boldreel.report import (
    cost,
    labels,
    markup,
    media,
    method_comparison,
    scoretable,
    sections,
    texts,
    verdicts,
)
from boldreel.report.clips import count_cuts
from boldreel.report.markup import esc
from boldreel.report.results import Results
from boldreel.report.script import JS
from boldreel.report.settings import PageSettings
from boldreel.report.style import CSS
from boldreel.settings import read
from boldreel.step import parser, run

if TYPE_CHECKING:
    import pandas as pd

_LINKS = (
    ("watch", "Watch"),
    ("scores", "Scores"),
    ("brain", "Brain"),
    ("training", "Training"),
    ("audit", "Leakage"),
    ("cost", "Cost"),
    ("methods", "Methods"),
)


def caption(name: str) -> str:
    """The figure's caption file as plain text; empty if there is none."""
    path = packaged.path("boldreel.report", f"captions/{name}.rst")
    if not path.exists():
        return ""
    text = " ".join(path.read_text(encoding="utf-8").split())
    return re.sub(r"``|\*\*|\*", "", text)


def document(title: str, body: str, sections: Sequence[tuple[str, str]] = _LINKS) -> str:
    """The whole page; `sections` are (id, name in the bar at the top)."""
    links = "".join(f'<a href="#{name}">{text}</a>' for name, text in sections)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<link rel="icon" href="data:,">'
        f"<title>{esc(title)}</title><style>{CSS}</style></head><body>"
        '<a class="skip" href="#main">Skip to content</a>'
        f'<nav aria-label="Sections"><div><b>boldreel</b>{links}'
        '<button id="theme" type="button">Dark</button></div></nav>'
        f"{body}<footer>Made by boldreel {esc(boldreel.__version__)} from files alone."
        f"</footer><script>{JS}</script></body></html>\n"
    )


def render(
    results: Results,
    figures: Path,
    published: pd.DataFrame | None,
    jobs: pd.DataFrame,
    settings: PageSettings,
) -> tuple[str, pd.DataFrame, list[verdicts.Verdict]]:
    """(HTML, table of metrics, verdicts)."""
    table, subjects, method = results.metrics(), results.subjects, results.method
    judged = [verdicts.judge(table, s, method, settings.level) for s in subjects]
    per_clip = _per_clip(results)
    clips = media.shown(results, per_clip, settings.page_clips, settings.seed, settings.combination)
    dataset = settings.dataset or str(table["dataset"].iloc[0] if len(table) else "")
    by = {verdict.subject: verdict for verdict in judged}
    simulated = settings.simulated
    once, no_ceiling = _without_repeats(results), _without_ceiling(results)
    body = [
        f'<header class="top"><h1>From BOLD to reel: {esc(dataset)}</h1>'
        f"{texts.SIMULATED if simulated else ''}"
        f'<p class="lede">{texts.overview(judged, simulated)}</p>'
        f"{sections.verdict_cards(judged, table, method)}</header>",
        '<main id="main">',
        sections.watch(clips, subjects, per_clip, settings.seed),
        sections.section(
            "scores",
            "Scores",
            sections.audited(results.document(results.layout.audit(), "audit")),
            '<p class="lede">Over all test clips. Every score stands next to its chance, the same '
            "reconstructions shifted against the truth, a gray frame, the truth’s mean colour, and the "
            "generator fed the true features. All scores, below, have further controls: the generator "
            "fed the mean response, noise and another subject’s responses, and training clips. "
            f"{esc(texts.without_other(settings.without_other))}</p>",
            scoretable.legend(table),
            scoretable.headline(table, subjects, method, by),
            sections.figure(figures, "scores", caption("scores")),
            _figure_or(figures, "repeats", texts.without_repeats(once)),
            sections.figure(figures, "attributes", caption("attributes"))
            if (figures / "attributes.svg").exists()
            else "",
            sections.figure(figures, "scaling", caption("scaling")),
            "<h3>All scores</h3>",
            scoretable.explorer(table, method),
            _continuous(results),
        ),
        method_comparison.section(
            table,
            _differences(results),
            subjects,
            method,
            settings.level,
            [
                sections.figure(figures, name, caption(name))
                for name in ("method_curves", "linear_weights")
                if (figures / f"{name}.svg").exists()
            ],
        ),
        sections.section(
            "brain",
            "Brain",
            sections.figure(figures, "roi", caption("roi")),
            _figure_or(figures, "noise_ceiling", texts.without_ceiling(no_ceiling)),
            sections.figure(figures, "ceiling_map", caption("ceiling_map"))
            if (figures / "ceiling_map.svg").exists() or not no_ceiling
            else "",
            _intersubject(results),
            sections.figure(figures, "attention", caption("attention")),
            sections.figure(figures, "attention_regions", caption("attention_regions")),
            sections.figure(figures, "rois", caption("rois")),
            sections.figure(figures, "lag_sweep", caption("lag_sweep")),
            sections.figure(figures, "kernels", caption("kernels"))
            if (figures / "kernels.svg").exists()
            else "",
        ),
        sections.section(
            "training",
            "Training",
            sections.figure(figures, "training_curves", caption("training_curves")),
            texts.beyond_linear(_histories(results)),
            *_pretraining(results, figures),
            *_evidence(results, figures),
            f"<details><summary>Sample sheet, frame by frame</summary>"
            f"{sections.figure(figures, 'sample_sheet', caption('sample_sheet'))}</details>",
        ),
        sections.audit(results.document(results.layout.audit(), "audit")),
        "" if published is None else sections.published(published),
        _ran(results, figures, jobs, settings.ignored),
        sections.section(
            "methods",
            "Methods and responsible use",
            texts.methods(
                _choices(results),
                _tests(table, method) | {"once": len(once) == len(subjects)},
                settings,
            ),
            "<h3>Responsible use</h3>",
            texts.responsible(dataset, subjects, simulated),
            "<h3>Citation</h3>",
            texts.CITATION,
        ),
        "</main>",
    ]
    return document(f"boldreel: {dataset}", "".join(body)), table, judged


def _without_repeats(results: Results) -> list[str]:
    """Subjects who saw no test clip in two runs, if that is known."""
    found = {s: results.table(results.layout.repeats(s), "repeats") for s in results.subjects}
    return [s for s, table in found.items() if table is not None and table["repeats"].max() < 2]


def _without_ceiling(results: Results) -> list[str]:
    """Subjects who saw no clip in two runs, if that is known."""
    found = {
        s: results.table(results.layout.noise_ceiling(s), "noise_ceiling") for s in results.subjects
    }
    return [s for s, table in found.items() if table is not None and not len(table)]


def _figure_or(figures: Path, name: str, why: str) -> str:
    """A figure, and why it leaves somebody or everybody out."""
    shown = (figures / f"{name}.svg").exists()
    note = markup.note(why) if why else ""
    return (sections.figure(figures, name, caption(name)) if shown or not why else "") + note


def _intersubject(results: Results) -> str:
    path = results.layout.intersubject()
    return texts.intersubject(results.table(path, "intersubject")) if Path(path).exists() else ""


def _excluded(results: Results) -> list[tuple[str, str, str]]:
    """(subject, run by its BIDS entities, reason) of the runs that a table of presentations excludes."""
    found = []
    for subject in results.subjects:
        for one in results.presentations(subject):
            words = [f"{ENTITIES[name]}-{word}" for name, word in one.entities.items()]
            if one.excluded:
                found.append((labels.who(subject), "_".join(words) or one.label, one.excluded))
    return list(dict.fromkeys(found))


_OF_CLIPS = ("model", "shuffled", "gray", "nearest_training", "true_features")


def _per_clip(results: Results) -> dict[str, pd.DataFrame]:
    layout, subjects = results.layout, results.subjects
    found = {s: results.table(layout.clip_scores(s), "clip_metrics") for s in subjects}
    out = {}
    for subject, table in found.items():
        if table is not None:
            kept = table["condition"].isin(_OF_CLIPS)
            out[subject] = table[kept & (table["method"] == results.method)]
    return out


def _differences(results: Results) -> dict[str, pd.DataFrame]:
    """{subject: table "between"} of those that have one."""
    paths = {s: results.layout.between(s) for s in results.subjects}
    found = {s: results.table(p, "between") for s, p in paths.items() if Path(p).exists()}
    return {s: table for s, table in found.items() if table is not None}


def _continuous(results: Results) -> str:
    clips, counts = results.clips(), []
    for subject in results.subjects:
        cuts = results.cuts(subject)
        if cuts is not None:
            drawn = results.reconstruction(subject).names
            counts.append((subject, count_cuts(cuts, clips[clips["clip"].isin(drawn)])))
    return texts.continuous_movies(counts)


def _histories(results: Results) -> dict[str, pd.DataFrame]:
    found = {s: results.history(results.layout.alignment_history(s)) for s in results.subjects}
    return {s: history for s, history in found.items() if history is not None}


def _pretraining(results: Results, figures: Path) -> list[str]:
    """How well hidden patches were predicted, and a volume to look at; nothing without pretraining."""
    out = []
    for path in results.layout.find(results.layout.pretraining_scores("*")):
        scores = results.table(path, "metrics")
        if scores is not None:
            out.append(texts.masked(Path(path).parent.name, scores))
    if (figures / "masked.svg").exists():
        out.append(sections.figure(figures, "masked", caption("masked")))
    return out


def _evidence(results: Results, figures: Path) -> list[str]:
    """After `make ablate`: what each part is worth, and what a new subject gains from others."""
    out = []
    if (figures / "ablation.svg").exists():
        out.append("<h3>What each part is worth</h3>")
        out.append(sections.figure(figures, "ablation", caption("ablation")))
        table = results.table(results.layout.ablation(), "ablation")
        if table is not None:
            out.append(scoretable.ablation(table))
    if (figures / "minutes.svg").exists():
        out.append("<h3>A new subject</h3>")
        out.append(sections.figure(figures, "minutes", caption("minutes")))
    return out


def _choices(results: Results) -> dict[str, dict[str, Any]]:
    paths = {s: results.layout.choice(s) for s in results.subjects}
    found = {s: results.document(path, "choice") for s, path in paths.items()}
    return {s: choice for s, choice in found.items() if choice is not None}


def _tests(table: pd.DataFrame, method: str) -> dict[str, Any]:
    of = table[(table["method"] == method) & (table["condition"] == "model")]
    whole = of[of["segment"] == "all"]
    own = whole[whole["subject"] != "mean"]
    runs = set(of["segment"]) - {"all", "seen", "unseen"}
    out: dict[str, Any] = {"runs": max(len(runs), 1)}
    if len(own):
        out["clips"] = int(own["n"].max())
    if "permutations" in own.columns and own["permutations"].notna().any():
        out["permutations"] = int(own["permutations"].max())
    return out


def _ran(results: Results, figures: Path, jobs: pd.DataFrame, ignored: Sequence[str]) -> str:
    quality: list[Sequence[str]] = []
    for subject in results.subjects:
        table = results.table(results.layout.quality(subject), "qc")
        for row in [] if table is None else table.itertuples():
            numbers = (row.mean_fd, row.max_fd, row.outliers, row.median_tsnr)
            cells = [labels.number(float(value)) for value in numbers[:2]]
            quality.append(
                [esc(labels.who(subject)), esc(row.run), str(row.volumes), *cells]
                + [str(row.outliers), labels.number(float(row.median_tsnr))]
            )
    plot = sections.figure(figures, "timing", caption("timing")) if len(jobs) else ""
    return sections.ran(jobs, plot, quality, _excluded(results), ignored, results.missing)


# Conditions in the terminal, and what their lines begin with; the first line of a score has its name.
_SPOKEN = {
    "model": "",
    "ridge": "  by ridge regression",
    "zero_shot": "  fitted on other subjects alone",
}


def row_name(metric: str, definition: str) -> str:
    """What a score's line in the terminal begins with."""
    text = labels.definition(definition).removesuffix(", three right classes, as published")
    return labels.entry(metric).name + (f" ({text})" if text else "")


def spoken(
    path: Path,
    table: pd.DataFrame,
    judged: Sequence[verdicts.Verdict],
    method: str,
    simulated: bool = False,
    left_out: Sequence[str] = (),
) -> str:
    """The lines that `make demo` ends with: where the page is, and the headline with its chance.

    left_out : sentences on what could not be had.
    """
    subjects = [verdict.subject for verdict in judged]
    whole = table[(table["segment"] == "all") & (table["method"] == method)]
    rows = verdicts.primary(whole[whole["condition"].isin(_SPOKEN)])
    rows = rows[rows["subject"].isin(subjects)]
    lines = []
    for key in dict.fromkeys(zip(rows["metric"], rows["definition"], strict=True)):
        for condition, other in _SPOKEN.items():
            own = rows[(rows["metric"] == key[0]) & (rows["definition"] == key[1])]
            own = own[own["condition"] == condition].set_index("subject")
            if not len(own):
                continue
            name = other or row_name(*key)
            values = [labels.short(own["value"].get(subject)) for subject in subjects]
            chance = labels.short(own["chance"].iloc[0])
            lines.append((name, *values, chance))
    for family in dict.fromkeys(name for verdict in judged for name in verdict.against_shuffled):
        p = [labels.p_bound(verdict.against_shuffled.get(family)) for verdict in judged]
        lines.append((f"p against shuffled pairs: {family}", *p, ""))
    head = ("Score over all test clips", *(labels.who(s, method) for s in subjects), "chance")
    wide = max(len(line[0]) for line in [head, *lines])
    shown = [
        line[0].ljust(wide) + "".join(f"{cell:>9}" for cell in line[1:]) for line in [head, *lines]
    ]
    told = [f"{verdict.headline} {verdict.beside}".strip() for verdict in judged]
    if simulated:
        told.insert(0, "These data are simulated: nobody was scanned.")
    return "\n".join([*shown, *told, *filter(None, left_out), f"report: {path}"])


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    started = time.time()
    arguments = parser(__doc__)
    arguments.add_argument("--results", type=Path, required=True, help="results/{dataset}")
    arguments.add_argument("--subjects", nargs="+", required=True)
    arguments.add_argument("--figures", type=Path, help="default: group/figures in the results")
    arguments.add_argument("--published", type=Path, help="table of published scores")
    arguments.add_argument("--benchmarks", type=Path, help="default: benchmarks/ in the results")
    arguments.add_argument("--output", type=Path, required=True)
    args = arguments.parse_args(argv)
    settings = read(PageSettings, args.config, "report")
    results = Results(args.results, args.subjects, settings.method)
    published = None if args.published is None else tables.read(args.published, "published")
    jobs = cost.jobs(args.benchmarks or Path(results.layout.benchmarks()))
    figures = args.figures or Path(results.layout.figures())
    page, table, judged = render(results, figures, published, jobs, settings)
    atomic.write_text(args.output, page)
    inputs = [*results.used, figures, *([args.published] if args.published else [])]
    provenance.record(
        args.output, inputs=inputs, config=asdict(settings), seed=settings.seed, started=started
    )
    left_out = [
        texts.without_repeats(_without_repeats(results)),
        texts.without_other(settings.without_other),
    ]
    print(spoken(args.output, table, judged, results.method, settings.simulated, left_out))


if __name__ == "__main__":
    run(main)
