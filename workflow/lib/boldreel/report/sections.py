"""The page's sections, one function each.

Takes results, verdicts and figures; returns HTML. A section whose material is missing says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boldreel.report import cost, figure_style, labels, markup, verdicts
from boldreel.report.clips import Pick, score_of
from boldreel.report.markup import esc
from boldreel.report.media import Reel, Shown

if TYPE_CHECKING:
    import pandas as pd

_LEVELS = {
    "signal": "above chance",
    "matched": "above chance, but not shown to beat every baseline",
    "partial": "partly above chance",
    "border": "at the border of chance",
    "chance": "not above chance",
    "untested": "too few clips to tell",
}


def section(name: str, title: str, *parts: str) -> str:
    """A section with its heading."""
    return (
        f'<section id="{name}" aria-labelledby="{name}-h"><h2 id="{name}-h">{esc(title)}</h2>'
        f"{''.join(parts)}</section>"
    )


def verdict_cards(judged: Sequence[verdicts.Verdict], table: pd.DataFrame, method: str) -> str:
    """One card per subject: what may be said, and three scores with their chance."""
    cards = []
    for verdict in judged:
        of = table[
            (table["subject"] == verdict.subject)
            & (table["segment"] == "all")
            & (table["condition"] == "model")
            & (table["method"] == method)
        ]
        figures: list[str] = []
        for _, rows in verdicts.primary(of).groupby("rank", sort=True):
            row = rows.iloc[-1]
            if row["chance"] == row["chance"] and len(figures) < 3:
                words = labels.entry(row["metric"]).name
                text = labels.definition(row["definition"]).split(",")[0]
                extra = f", {text}" if row["metric"].startswith("nway") else ""
                figures.append(
                    f"<div><b>{labels.number(row['value'])}</b><span>{esc(words + extra)}<br>"
                    f"chance {labels.number(row['chance'])}</span></div>"
                )
        beside = f"<p>{esc(verdict.beside)}</p>" if verdict.beside else ""
        details = "".join(f'<p class="small">{esc(text)}</p>' for text in verdict.details)
        cards.append(
            f'<article class="verdict {verdict.level}"><h3>{esc(labels.who(verdict.subject, method))}'
            f'<span class="tag">{_LEVELS[verdict.level]}</span></h3><p>{esc(verdict.headline)}</p>{beside}'
            f'<div class="figures">{"".join(figures)}</div>'
            f"<details><summary>More</summary>{details}</details></article>"
        )
    return f'<div class="verdicts">{"".join(cards)}</div>'


def watch(
    shown: Shown,
    subjects: Sequence[str],
    per_clip: Mapping[str, pd.DataFrame],
    seed: int,
    method: str = "",
    title: str = "What was seen, and what was read from the brain",
) -> str:
    """Truth next to reconstructions, playing in step, with filters; then the best, median and worst clips.

    method : what reconstructions without subject are called.
    """
    score, reels = score_of(per_clip), shown.drawn
    called = {subject: labels.who(subject, method) for subject in subjects}
    cards = "".join(_card(reel, called, per_clip, score) for reel in reels)
    segments = sorted({reel.segment for reel in reels})
    chosen = "".join(f'<option value="{esc(s)}">{esc(s)}</option>' for s in segments)
    seen = ""
    if any(reel.seen is not None for reel in reels):
        seen = (
            '<label>Combination<select id="seen"><option value="">all</option><option '
            'value="seen">seen in training</option><option value="unseen">unseen</option></select>'
            "</label>"
        )
    orders = '<option value="">as drawn</option>'
    if score is not None:
        for subject in subjects:
            for way in ("best", "worst"):
                words = f"{way} of {called[subject]} first"
                orders += f'<option value="{esc(subject)}:{way}">{esc(words)}</option>'
    kinds = list(called.items())
    if any("upper" in reel.videos for reel in reels):
        kinds.append(("upper", "upper bound"))
    boxes = "".join(
        f'<label><input type="checkbox" name="kind" value="{esc(kind)}" checked>{esc(text)}</label>'
        for kind, text in kinds
    )
    by = "" if score is None else f" Best and worst are by {esc(_metric(score))}."
    marks = ""
    if any(reel.attributes for reel in reels):
        marks = (
            " Under each video: attributes of the truth, and whether a judging classifier reads "
            "them off the reconstruction (✓) or not (✗)."
        )
    return section(
        "watch",
        title,
        f'<p class="lede">{len(reels)} test clips drawn by seed {seed}, at most one from a shot; no '
        f"score was looked at.{marks}{by}</p>",
        '<div class="controls"><button id="play" type="button">Pause</button>'
        f'<label>Test run<select id="segment"><option value="">all</option>{chosen}</select></label>'
        f'{seen}<label>Order<select id="order">{orders}</select></label>'
        f'<fieldset><legend>Show</legend>{boxes}</fieldset><span id="shown" class="tag" '
        f'aria-live="polite">{len(reels)} clips</span></div>',
        f'<ul class="cards" id="clips">{cards}</ul>',
        _picked(shown, called, per_clip, score),
    )


def _picked(
    shown: Shown,
    called: Mapping[str, str],
    per_clip: Mapping[str, pd.DataFrame],
    score: tuple[str, str] | None,
) -> str:
    """The best, median and worst clip of each subject, of all test clips."""
    if score is None or not shown.picked:
        return ""
    cards = "".join(_card(reel, called, per_clip, score, pick) for pick, reel in shown.picked)
    return (
        f'<h3 id="picked">Best, median and worst</h3><p class="lede">Of all test clips, by '
        f"{esc(_metric(score))}. Chosen by the score, so that they say what the score rewards and not how "
        f'good a reconstruction is.</p><ul class="cards" aria-labelledby="picked">{cards}</ul>'
    )


def _metric(key: tuple[str, str]) -> str:
    text = labels.definition(key[1])
    return labels.entry(key[0]).name.lower() + (f" ({text})" if text else "")


def _card(
    reel: Reel,
    subjects: Mapping[str, str],
    per_clip: Mapping[str, pd.DataFrame],
    score: tuple[str, str] | None,
    pick: Pick | None = None,
) -> str:
    """A clip with its videos and scores. pick : why it is shown, where it was not drawn by seed."""
    known = {}
    for subject, table in per_clip.items():
        rows = table[table["clip"] == reel.clip]
        known[subject] = {
            (r.condition, r.metric, r.definition): float(r.value) for r in rows.itertuples()
        }
    columns = [("truth", "<b>Truth</b>")]
    columns += [
        (s, f'<span class="dot" style="background:{figure_style.colour(k)}"></span>{esc(words)}')
        for k, (s, words) in enumerate(subjects.items())
    ]
    columns.append(("upper", "Upper bound"))
    first = known.get(pick.subject if pick else next(iter(subjects)), {})
    figures = []
    for kind, label in columns:
        others = pick is not None and kind in subjects and kind != pick.subject
        if kind not in reel.videos or others:
            continue
        source, poster = reel.videos[kind]
        condition = "true_features" if kind == "upper" else "model"
        values = first if kind == "upper" else known.get(kind, {})
        marks = "" if kind == "truth" else _marks(reel.attributes, values, condition)
        said = {"truth": "truth", "upper": "upper bound"}.get(kind, "")
        said = said or f"reconstruction of {subjects[kind]}"
        figures.append(
            f'<figure data-kind="{esc(kind)}"{" class=truth" if kind == "truth" else ""}>'
            f'<video muted loop playsinline preload="none" poster="{poster}" data-src="{source}" '
            f'aria-label="{esc(said)} of clip {esc(reel.clip)}"></video>'
            f"<figcaption>{label}<small>{marks}</small></figcaption></figure>"
        )
    seen = "" if reel.seen is None else ("seen" if reel.seen else "unseen")
    scores = ""
    if score is not None:
        for subject in subjects:
            value = known.get(subject, {}).get(("model", *score))
            if value is not None:
                scores += f' data-score-{esc(subject.lower())}="{value:.6g}"'
    why = ""
    if pick is not None:
        place = f"{esc(subjects[pick.subject])}, {pick.place}: {labels.number(pick.value)}"
        why = f'<span class="why">{place}</span>'
    combined = {
        "seen": " · combination seen in training",
        "unseen": " · combination not seen in training",
    }
    return (
        f'<li class="card" data-segment="{esc(reel.segment)}" data-seen="{seen}"{scores} '
        f'style="--shape:{esc(reel.shape)}"><header>{why}<b>{esc(reel.caption or reel.clip)}</b>'
        f"<span>{esc(reel.clip) if reel.caption else ''}{combined.get(seen, '')}</span></header>"
        f'<div class="reel">{"".join(figures)}</div>{_clip_scores(known, subjects)}'
        f"{_context(reel, subjects, pick)}</li>"
    )


def _context(reel: Reel, subjects: Mapping[str, str], pick: Pick | None) -> str:
    """The clip's windows and stills, of all subjects or of the one that it was picked for."""
    parts = []
    for subject, words in subjects.items():
        found = reel.context.get(subject)
        if found is None or (pick is not None and pick.subject != subject):
            continue
        shown = "".join(
            f'<figure><img alt="{esc(label)}" src="{source}" loading="lazy">'
            f"<figcaption>{esc(label)}</figcaption></figure>"
            for label, source in found.stills
        )
        stills = (
            f'<div class="stills" style="--shape:{esc(reel.shape)}">{shown}</div>' if shown else ""
        )
        parts.append(f"<p><b>{esc(words)}</b> {esc(found.windows)}</p>{stills}")
    if not parts:
        return ""
    return f"<details><summary>Behind it</summary>{''.join(parts)}</details>"


def _marks(attributes: Mapping[str, str], values: Mapping[tuple, float], condition: str) -> str:
    """The truth's attributes, each marked by whether the judge reads it off the video."""
    out = []
    for name, value in attributes.items():
        hits = [v for (c, m, _), v in values.items() if c == condition and m == f"judge_{name}"]
        if hits and hits[0] == hits[0]:
            # The frame classifier comes before the video classifier if both can read it.
            kind, mark = ("hit", "✓") if hits[0] >= 0.5 else ("miss", "✗")
            out.append(f'{esc(value)}&nbsp;<b class="{kind}">{mark}</b>')
    return " ".join(out)


_BESIDE = {"nearest_training": "nearest training clip", "shuffled": "shifted"}
_SHARED = {"gray": "Gray", "true_features": "Upper bound"}


def _clip_scores(known: Mapping[str, Mapping[tuple, float]], subjects: Mapping[str, str]) -> str:
    """A clip's scores by subject, each over what the same subject's baselines got, and those of all."""
    keys = list(
        dict.fromkeys(
            (metric, definition)
            for values in known.values()
            for condition, metric, definition in values
            if condition == "model"
            and not metric.startswith("judge_")
            and labels.primary_rank(metric, definition) is not None
        )
    )
    if not keys:
        return ""
    anyone = next(iter(known.values()))
    shared = {c: name for c, name in _SHARED.items() if any(k[0] == c for k in anyone)}
    rows = []
    for key in keys:
        row = [esc(_metric(key))]
        for subject in subjects:
            values = known.get(subject, {})
            under = "".join(
                f"<br><small>{esc(name)} {labels.number(values[condition, *key])}</small>"
                for condition, name in _BESIDE.items()
                if (condition, *key) in values
            )
            row.append(labels.number(values.get(("model", *key))) + under)
        rows.append([*row, *(labels.number(anyone.get((c, *key))) for c in shared)])
    head = ["Score of this clip", *map(esc, subjects.values()), *map(esc, shared.values())]
    return f"<details><summary>Scores</summary>{markup.table(head, rows, 'Scores of this clip')}</details>"


def figure(folder: Path, name: str, caption: str) -> str:
    """A figure of the figures folder with its caption; a visible note where it is missing."""
    path = folder / f"{name}.svg"
    if not path.exists():
        return markup.note(f"No figure {name!r}: what it shows was not computed.")
    links = f" Data: group/figures/{name}.tsv."
    if name == "sample_sheet":
        source, size = markup.as_jpeg(folder / "sample_sheet.png")
        body = (
            f'<img alt="{esc(caption)}" width="{size[0]}" height="{size[1]}" loading="lazy" '
            f'src="{source}">'
        )
    else:
        body = markup.inline_svg(path, caption or name)
    return (
        f'<figure class="plot"><div tabindex="0" role="region" aria-label="{esc(name)}">{body}</div>'
        f"<figcaption>{esc(caption)}{esc(links)}</figcaption></figure>"
    )


def published(table: pd.DataFrame) -> str:
    """Scores that others published, apart from what was measured here."""
    rows = [
        [
            esc(r.system),
            esc(r.subject),
            esc(labels.entry(str(r.metric)).name),
            esc(labels.definition(str(r.definition))),
            f"<b>{labels.number(float(r.value))}</b>",
            labels.number(float(r.chance)),
            esc(r.basis),
            esc(r.source),
        ]
        for r in table.itertuples()
    ]
    head = ["System", "Subject", "Metric", "Definition", "Value", "Chance", "Basis", "Source"]
    return section(
        "published",
        "Published scores",
        "<p>On other data (cc2017, real scans), by their authors; not measured here and not "
        "comparable with the figures above. “read”: found in the paper or its code; “recalled”: "
        "from memory, check before citing.</p>",
        f"<details><summary>Show {len(rows)} published scores</summary>"
        f"{markup.table(head, rows, 'Published scores')}</details>",
    )


def audited(value: Mapping[str, Any] | None) -> str:
    """The leakage audit in one line, above the scores."""
    if value is None:
        return markup.note("Leakage was not audited: no audit.json.")
    splits, captions, frames = (value.get(part, {}) for part in ("splits", "captions", "frames"))
    apart = (
        "test and training share no segment, movie, clip or shot"
        if splits.get("disjoint")
        else "<b>test and training overlap</b>"
    )
    found = [apart]
    if captions:
        found.append(
            f"{captions['verbatim']} of {captions['test']} test captions occur verbatim in training, "
            f"{captions['near']} nearly"
        )
    if frames:
        found.append(
            f"{frames['near_duplicates']} of {frames['test']} test frames have a near duplicate there"
        )
    found += _overlaps(value.get("overlap", {}))
    found += _betas(value.get("betas"))
    return f'<p class="note"><a href="#audit">Leakage audit</a>: {"; ".join(found)}.</p>'


def _betas(value: Mapping[str, Any] | None) -> list[str]:
    """What single-trial betas may have carried from test to training; nothing for measured series."""
    if value is None:
        return []
    told = f"responses are single-trial betas, fitted {value['fitted_on'].replace('-', ' ')} according to"
    if value["shared_fit"]:
        return [
            f"{told} the configuration: <b>test and training trials shared a fit</b>, through which the test "
            "may have reached training"
        ]
    return [f"{told} the configuration, which cannot be checked"]


def _overlaps(subjects: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """How much windows overlap, of neighbours and of splits; nothing where they do not."""
    found = []
    shares = [one["neighbours"] for one in subjects.values() if one["neighbours"] is not None]
    if any(shares):
        low, high = (f"{100 * end(shares):.0f}" for end in (min, max))
        between = f"{low} %" if low == high else f"{low} to {high} % (by subject)"
        found.append(f"{between} of a window’s volumes are in the next clip’s window too")
    for split, others in (("test", "other splits"), ("validation", "training")):
        count = sum(one[split] for one in subjects.values())
        if count:
            found.append(
                f"<b>windows of {count} {split} clips share volumes with windows of {others} in the same "
                "run</b>"
            )
    return found


def audit(value: Mapping[str, Any] | None) -> str:
    """The leakage audit as it was written."""
    body = (
        markup.note("No audit.json: leakage was not audited.")
        if value is None
        else f'<div class="panel">{markup.nested(value)}</div>'
    )
    return section(
        "audit",
        "Leakage audit",
        "<p>What of the test could have reached training, counted from the files.</p>",
        body,
    )


def ran(
    jobs: pd.DataFrame,
    plot: str,
    quality: Sequence[Sequence[str]],
    unused: Sequence[Sequence[str]],
    ignored: Sequence[str],
    missing: Sequence[str],
) -> str:
    """What was run and for how long; quality of the runs; which runs were not used; what is missing.

    unused : subject, run and reason of excluded runs. ignored : lines about other runs.
    """
    parts = []
    if len(jobs):
        stages = cost.by_stage(jobs)
        total = labels.duration(float(jobs["seconds"].sum()))
        peak = jobs["memory_mb"].max()
        memory = "" if peak != peak else f"; the largest took {peak:,.0f} MB of memory"
        parts.append(f"<p>{len(jobs)} jobs, {total} together{memory}.</p>{plot}")
        rows = [
            [
                esc(r.stage),
                str(r.jobs),
                labels.duration(r.seconds),
                labels.duration(r.longest),
                labels.duration(r.cpu_seconds),
                labels.number(r.memory_mb),
            ]
            for r in stages.itertuples()
        ]
        head = ["Stage", "Jobs", "Time of all jobs", "Longest job", "CPU time", "Peak memory (MB)"]
        parts.append(markup.table(head, rows, "Time and memory by stage"))
    else:
        parts.append(markup.note("No benchmarks were found: times are not known."))
    if quality:
        head = ["Subject", "Run", "Volumes", "Mean motion (mm)", "Largest (mm)", "Outliers", "tSNR"]
        table = markup.table(head, quality, "Quality of the runs")
        parts.append(f"<details><summary>Quality of {len(quality)} runs</summary>{table}</details>")
    if unused or ignored:
        parts.append("<h3>Runs that were not used</h3>")
        if unused:
            cells = [[esc(cell) for cell in row] for row in unused]
            parts.append(markup.table(["Subject", "Run", "Reason"], cells, "Excluded runs"))
        if ignored:
            parts.append(f"<ul>{''.join(f'<li>{esc(line)}</li>' for line in ignored)}</ul>")
    if missing:
        items = "".join(f"<li><code>{esc(path)}</code></li>" for path in missing)
        parts.append(f"<h3>Not shown, since it was not there</h3><ul>{items}</ul>")
    return section("cost", "What was run, and for how long", *parts)
