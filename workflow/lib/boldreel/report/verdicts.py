"""What may be said about each subject: sentences decided by corrected tests, not by hand.

Takes the table of metrics; returns one verdict per subject and sentences with the figures they rest
on. p-values of a subject's primary metrics are corrected together by Holm's procedure. A metric counts as
above chance where that holds with a margin (`permutation.MARGIN`), so that a verdict does not hang on the
processor; and a reconstruction that is above chance has to beat what needs no decoding as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from boldreel.report import labels
from boldreel.stats.correction import holm

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Verdict:
    """A subject's verdict.

    level : "signal" (most tested metrics above chance, and every baseline and control beaten), "matched"
    (most above chance, but some baseline or control not beaten, or none tested), "partial" (some above
    chance), "border" (none, but some at the border), "chance" (none), or "untested" where so few
    arrangements exist that none could be.
    headline, details : sentences. beside : a sentence on baselines and controls, "" unless something is
    above chance. tested, passed : numbers of metrics. corrected : metric row index -> Holm-corrected p.
    against_shuffled : `labels.family` -> smallest p of its metrics, corrected for their number by Holm.
    """

    subject: str
    level: str
    headline: str
    beside: str
    details: list[str]
    tested: int
    passed: int
    corrected: dict[int, float]
    against_shuffled: dict[str, float]


def primary(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of the primary metrics, in the order of `wording.PRIMARY`.

    Of an attribute that both judges read, the one by the frame classifier counts.
    """
    ranks = [
        labels.primary_rank(metric, definition)
        for metric, definition in zip(table["metric"], table["definition"], strict=True)
    ]
    ranked = table.assign(rank=[np.nan if rank is None else rank for rank in ranks])
    kept = ranked[ranked["rank"].notna()].sort_values("rank", kind="stable")
    by_frame = set(kept.loc[kept["definition"] == "image_classifier", "metric"])
    double = kept["metric"].isin(by_frame) & (kept["definition"] == "video_classifier")
    return kept[~double]


def judge(table: pd.DataFrame, subject: str, method: str, level: float = 0.05) -> Verdict:
    """The verdict on a subject from its rows of all test clips.

    Parameters
    ----------
    table : table "metrics". level : of significance, after correction.
    """
    of = table[(table["subject"] == subject) & (table["segment"] == "all")]
    mine = primary(of[(of["method"] == method) & (of["condition"] == "model") & of["p"].notna()])
    corrected, best, worst = (
        holm(_known(mine, name).to_numpy(dtype=float)) for name in ("p", "p_low", "p_high")
    )
    passed = worst <= level
    border = ~passed & (best <= level)
    count, total = int(passed.sum()), len(mine)
    name = labels.who(subject, method)
    beaten = _beside_baselines(of[of["method"] == method], level)
    if count == 0 and not border.any():
        kind, headline = "chance", f"{name} does not differ from chance in any of {total} metrics."
        if not _could_pass(mine, level):
            kind, headline = (
                "untested",
                f"Too few clips to tell {name} from chance: {_few(mine, level)}",
            )
    else:
        kind = "signal" if count > total / 2 else "partial" if count else "border"
        kind = "matched" if kind == "signal" and not beaten.all else kind
        where = "all" if count == total else f"{count or 'none'} of"
        headline = f"{name} is above chance in {where} {total} metrics"
        for words, which in (("at the border in", border), ("not in", ~passed & ~border)):
            rest = [_name(row) for row, ok in zip(mine.itertuples(), which, strict=True) if ok]
            headline += f"; {words} {_listed(rest)}" if rest else ""
        headline += "."
    families = _against_shuffled(mine)
    details = _details(of, method)
    beside = beaten.sentence if count else ""
    if beside and not beaten.all:
        beside = f"But {_inside(beside)}"
    details += [text for text in ("" if count else beaten.sentence, beaten.rest) if text]
    if total:
        low, high = (labels.p_value(float(end)) for end in (corrected.min(), corrected.max()))
        details.insert(0, f"p of {total} metrics, corrected together: {low} to {high}.")
    if border.any():
        details.insert(1, _BORDER.format(f"{level:g}"))
    if families:
        told = "; ".join(f"{name}: p {labels.p_value(p)}" for name, p in families.items())
        details.insert(0, f"Against shuffled pairing, corrected within each family: {told}.")
    return Verdict(
        subject,
        kind,
        headline,
        beside,
        details,
        total,
        count,
        dict(zip(mine.index, corrected, strict=True)),
        families,
    )


_BORDER = (
    "At the border: the corrected p would be on the other side of {} if all scores were better, or worse, by "
    "a quarter of the standard deviation of the shifted ones, which is about how much they differ between "
    "processors."
)


def _known(rows: pd.DataFrame, name: str) -> pd.Series:
    """A column of p-values; p itself if the table does not have it."""
    return rows[name].fillna(rows["p"]) if name in rows else rows["p"]


def _most(rows: pd.DataFrame) -> float:
    """The largest number of arrangements of a test; NaN if unknown."""
    return float(rows["permutations"].max()) if len(rows) and "permutations" in rows else np.nan


def _could_pass(rows: pd.DataFrame, level: float) -> bool:
    """Whether a corrected p can be as small as the level at all."""
    return len(rows) > 0 and not len(rows) / (1 + _most(rows)) > level


def _few(rows: pd.DataFrame, level: float) -> str:
    """Why no verdict is possible."""
    why = (
        "no run can be shifted against the truth by more than a shot in five ways, so that a drift of both "
        "could not be told from decoding"
    )
    if len(rows):
        most = _most(rows)
        why = (
            f"with {most:.0f} other arrangements no p can be below {labels.p_value(1 / (1 + most))}, and "
            f"none of {len(rows)} metrics could pass {labels.p_value(level)} after correction, however "
            "good the videos are"
        )
    return f"{why}. More clips, more runs or shorter shots would help."


def _against_shuffled(rows: pd.DataFrame) -> dict[str, float]:
    """Smallest Holm-corrected p of each family among tested primary metrics."""
    found: dict[str, list[float]] = {}
    for metric, p in zip(rows["metric"], rows["p"], strict=True):
        name = labels.family(metric)
        if name is not None:
            found.setdefault(name, []).append(float(p))
    return {name: float(holm(np.array(p)).min()) for name, p in found.items()}


def _name(row: object) -> str:
    metric, text = str(row.metric), labels.definition(str(row.definition))  # type: ignore[attr-defined]
    name = _inside(labels.entry(metric).name).replace(", ", " ")  # commas part a list's items
    return f"{name} ({text})" if text else name


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def _value(
    table: pd.DataFrame, condition: str, metric: str, definition: str | None = None
) -> float:
    rows = table[(table["condition"] == condition) & (table["metric"] == metric)]
    if definition is not None:
        rows = rows[rows["definition"] == definition]
    return float(rows["value"].iloc[0]) if len(rows) else float("nan")


# What a reconstruction has to beat, and the score in which it has to.
_BASELINES = (
    "gray",
    "true_colour",
    "mean_frame",
    "random_training",
    "nearest_training",
    "mean_fmri",
    "noise_fmri",
    "other_subject",
    "nearest_caption",
)
_PAIRED = ("clip_identification", "ssim")


@dataclass(frozen=True)
class _Beside:
    """Which baselines and controls the reconstruction beats in one metric.

    all : whether there are any, and every one is beaten. sentence : on those that are not, or on all where
    there are none such. rest : a sentence on the others.
    """

    all: bool
    sentence: str
    rest: str = ""


def _beside_baselines(mine: pd.DataFrame, level: float) -> _Beside:
    """By the paired tests of the first of `_PAIRED` that has any, corrected over conditions by Holm."""
    for metric in _PAIRED if "p_difference" in mine else ():
        rows = mine[(mine["metric"] == metric) & mine["condition"].isin(_BASELINES)]
        rows = rows[rows["p_difference"].notna()].drop_duplicates("condition")
        if not len(rows):
            continue
        lower = (rows["better"] == "lower").to_numpy()
        gain = np.where(lower, -1.0, 1.0) * rows["difference"].to_numpy(dtype=float)
        beaten = (holm(rows["p_difference"].to_numpy(dtype=float)) <= level) & (gain > 0)
        names = [_with_article(condition) for condition in rows["condition"]]
        lost = [name for name, ok in zip(names, beaten, strict=True) if not ok]
        kind = labels.entry(metric).name
        told = f"In {kind}, on the same clips (paired tests, corrected), it is "
        if not lost:
            return _Beside(True, f"{told}better than every baseline and control: {_listed(names)}.")
        won = [name for name in names if name not in lost]
        rest = f"{told}better than {_listed(won)}." if won else ""
        return _Beside(False, f"{told}no better than {_listed(lost)}.", rest)
    return _Beside(False, "It was tested against no baseline or control on the same clips.")


def _inside(words: str) -> str:
    """Words as written inside a sentence; CLIP keeps its capitals."""
    return words if words[1:2].isupper() else words[:1].lower() + words[1:]


_ARTICLES = {"gray": "a ", "random_training": "a ", "other_subject": ""}


def _with_article(condition: str) -> str:
    """A condition as written inside a sentence."""
    return _ARTICLES.get(condition, "the ") + _inside(labels.condition(condition))


def _between_seeds(mine: pd.DataFrame) -> list[str]:
    """How far the primary scores vary between seeds of the sampling noise."""
    if "seed_sd" not in mine:
        return []
    rows = primary(mine[(mine["condition"] == "model") & mine["seed_sd"].notna()])
    if not len(rows):
        return []
    low, high = (labels.number(float(v)) for v in (rows["seed_sd"].min(), rows["seed_sd"].max()))
    return [
        f"Between {rows['seeds'].max():.0f} seeds of the sampling noise the scores above have standard "
        f"deviations of {low} to {high}."
    ]


def _details(of: pd.DataFrame, method: str) -> list[str]:
    """Sentences on what a reader would otherwise miss: upper bound, gray, ridge, flicker."""
    mine = of[of["method"] == method]
    out = []
    shares = []
    for metric in sorted({m for m in mine["metric"] if m.startswith("judge_")}):
        rows = mine[mine["metric"] == metric].sort_values("definition")
        got, best = _value(rows, "model", metric), _value(rows, "true_features", metric)
        if best > 0 and got == got:
            shares.append(f"{metric.removeprefix('judge_')} {got / best:.0%}")
    if shares:
        out.append(
            "Attributes read by the judge, as a share of what the generator reaches from the true "
            f"features: {', '.join(shares)}."
        )
    gray, own = (
        _value(mine, "gray", "ssim", "rgb_uniform"),
        _value(mine, "model", "ssim", "rgb_uniform"),
    )
    if gray == gray and own == own:
        verb = "beats" if gray > own else "is beaten by"
        out.append(
            f"A flat gray frame {verb} the reconstruction in structural similarity "
            f"({labels.number(gray)} against {labels.number(own)})."
        )
    out += _between_seeds(mine)
    ratio = _value(mine, "model", "motion_change")
    if ratio == ratio:
        out.append(f"Frames change {labels.number(ratio)} times as much as the truth's.")
    for metric in ("top1_text", "two_way_text"):
        ridge, value = _value(mine, "ridge", metric), _value(mine, "model", metric)
        if ridge == ridge and value == value:
            word = "at least as good as" if value >= ridge else "worse than"
            name = labels.entry(metric).name.lower()
            out.append(
                f"The encoder is {word} ridge regression in {name} "
                f"({labels.number(value)} against {labels.number(ridge)})."
            )
            break
    return out
