"""The page on one method's videos, scored without brain data.

Takes the tables of scores and of clips, the matching, and a way to read clips; returns one
self-contained page of the same parts as the pipeline's report.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from boldreel.report import (
    labels,
    markup,
    media,
    method_comparison,
    page,
    scoretable,
    sections,
    texts,
    verdicts,
)
from boldreel.report.clips import ShownClip, draw_sample, picks
from boldreel.report.markup import esc

if TYPE_CHECKING:
    import pandas as pd

SUBJECT = ""  # these scores have no subject
_LINKS = (
    ("watch", "Watch"),
    ("scores", "Scores"),
    ("matching", "Matching"),
    ("methods", "Methods"),
)
_RATE = 3.0  # frames per second on the page, for clips whose format has no times


def read_clips(
    test: pd.DataFrame,
    names: Sequence[str],
    read: Callable[[str, str], np.ndarray],
    seconds: Mapping[str, float],
) -> Iterator[ShownClip]:
    """The named clips, in that order.

    Parameters
    ----------
    test : rows with clip, shot, segment and attributes (JSON).
    read : ("truth" or "reconstruction", clip) -> uint8 (F, h, w, 3). seconds : of clips that have it.
    """
    for row in test.set_index("clip", drop=False).loc[list(names)].itertuples():
        name = str(row.clip)
        frames = {"truth": read("truth", name), SUBJECT: read("reconstruction", name)}
        rate = len(frames["truth"]) / seconds[name] if name in seconds else _RATE
        yield ShownClip(
            clip=name,
            segment=str(row.segment),
            caption="",
            attributes=json.loads(str(row.attributes)),
            seen=None,
            frames=frames,
            frame_rate=min(max(rate, 0.1), 60.0),
        )


def shown(
    test: pd.DataFrame,
    by_clip: pd.DataFrame,
    read: Callable[[str, str], np.ndarray],
    seconds: Mapping[str, float],
    count: int,
    seed: int,
) -> media.Shown:
    """`count` clips drawn by seed, one of a shot at most, and the best, median and worst of all."""
    drawn = list(draw_sample(test, list(test["clip"]), count, seed)["clip"])
    chosen = picks({SUBJECT: by_clip})
    return media.arrange(drawn, chosen, lambda names: read_clips(test, names, read, seconds))


def render(
    table: pd.DataFrame,
    by_clip: pd.DataFrame,
    matching: pd.DataFrame,
    shown: media.Shown,
    *,
    method: str,
    notes: Sequence[str],
    left_out: Mapping[str, str],
    seed: int,
    level: float = 0.05,
    between: pd.DataFrame | None = None,
) -> tuple[str, list[verdicts.Verdict]]:
    """(HTML, verdicts).

    Parameters
    ----------
    table : "metrics" of all methods. by_clip, matching : tables "clip_metrics" and "matching" of `method`.
    between : table "between" of all methods, None if there is one.
    notes : sentences on how clips were matched. left_out : {metric: what it would need}.
    """
    verdict = verdicts.judge(table, SUBJECT, method, level)
    mine = table[table["method"] == method]
    others = ""
    if between is not None:
        others = method_comparison.section(table, {SUBJECT: between}, [SUBJECT], method, level)
    own = by_clip[by_clip["condition"] == "model"]
    title = f"{method}: reconstructed video against the truth"
    body = [
        f'<header class="top"><h1>{esc(title)}</h1><p class="lede">{len(matching)} clips, scored '
        "from the videos alone, with chance, baselines and intervals. Nothing is known here of the "
        "brain data, nor of what the method was trained on.</p>"
        f"{sections.verdict_cards([verdict], mine, method)}</header>",
        '<main id="main">',
        sections.watch(shown, [SUBJECT], {SUBJECT: own}, seed, method, "Truth and reconstruction"),
        sections.section(
            "scores",
            "Scores",
            '<p class="lede">Over all clips. Every score stands next to its chance, the same '
            "reconstructions shifted against the truth, a gray frame, and the truth’s own mean "
            "colour held still.</p>",
            scoretable.legend(mine),
            scoretable.headline(mine, [SUBJECT], method, {SUBJECT: verdict}),
            _left_out(left_out),
            "<h3>All scores</h3>",
            scoretable.explorer(table, method, "metrics.tsv"),
        ),
        others,
        _matching(matching, notes),
        _methods(table),
        "</main>",
    ]
    return page.document(title, "".join(body), _LINKS), [verdict]


def metric(name: str) -> str:
    """Words for a metric, or for "metric definition"."""
    first, _, definition = name.partition(" ")
    text = labels.definition(definition) if definition else ""
    return labels.entry(first).name + (f" ({text})" if text else "")


def _left_out(left_out: Mapping[str, str]) -> str:
    if not left_out:
        return ""
    items = "".join(
        f"<li>{esc(metric(name))}: needs {esc(what)}</li>" for name, what in left_out.items()
    )
    return f"<h3>Left out</h3><ul>{items}</ul>"


def _matching(matching: pd.DataFrame, notes: Sequence[str]) -> str:
    rows = [
        [esc(value) if value == value else "–" for value in row]
        for row in matching.head(200).itertuples(index=False)
    ]
    head = [esc(name.replace("_", " ").capitalize()) for name in matching.columns]
    told = "".join(f"<p>{esc(note)}</p>" for note in notes)
    count = f"Show {len(rows)} of {len(matching)} clips (all in matching.tsv)"
    return sections.section(
        "matching",
        "How clips were matched",
        told,
        f"<details><summary>{count}</summary>{markup.table(head, rows, 'Matching')}</details>",
    )


def _methods(table: pd.DataFrame) -> str:
    most = _arrangements(table)
    return sections.section(
        "methods",
        "Methods",
        f"<p>Scores are means over clips. {texts.INTERVALS} {texts.SHIFTED} There are up to {most} "
        "arrangements; the smallest possible p is one over their number plus one, and never 0; equal scores "
        "count as equal. These p are one-sided, with Holm’s "
        f"correction over the metrics of the headline table. {texts.MARGIN} “Shuffled” is the mean over "
        "those shifts. N-way identification is the exact expectation over all draws of distractors; as "
        "published, the truth’s three best classes "
        "all count as right, so chance is 3/(n+2). The reconstruction is compared with every other "
        "condition on the same clips (columns difference and p_difference of metrics.tsv).</p>",
    )


def _arrangements(table: pd.DataFrame) -> int:
    """The most arrangements of a test of the reconstruction against chance."""
    tested = table.loc[table["condition"] == "model", "permutations"]
    return int(tested.max()) if len(tested) else 0
