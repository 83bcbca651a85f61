"""Sentences follow the corrected tests."""

import numpy as np
import pytest

from boldreel.data import tables
from boldreel.report import labels, verdicts


@pytest.fixture(scope="module")
def table(tree):
    return tables.read(tree / "group" / "metrics.tsv", "metrics")


def test_subject_with_signal(table):
    found = verdicts.judge(table, "01", "mindvideo")
    assert found.level == "signal"
    assert "better than every baseline and control: a mid-gray frame and the mean" in found.beside
    assert found.passed == found.tested == 15
    assert "above chance in all 15 metrics" in found.headline
    assert any("gray frame beats" in text for text in found.details)
    assert any("at least as good as ridge" in text for text in found.details)
    assert any("judge" in text and "%" in text for text in found.details)


def test_subject_without_signal(table):
    found = verdicts.judge(table, "03", "mindvideo")
    assert found.level == "chance" and found.passed == 0
    assert found.headline == "sub-03 does not differ from chance in any of 15 metrics."
    assert found.beside == "" and any("no better than" in text for text in found.details)


def test_correction_decides(table):
    changed = table.copy()
    mine = (changed["subject"] == "03") & (changed["condition"] == "model")
    one = mine & (changed["metric"] == "ssim") & (changed["definition"] == "rgb_uniform")
    changed.loc[one, "p"] = 0.01  # 15 metrics: .15 after correction
    assert verdicts.judge(changed, "03", "mindvideo").passed == 0
    changed.loc[one, "p"] = 0.001
    found = verdicts.judge(changed, "03", "mindvideo")
    assert found.passed == 1 and found.level == "partial"
    assert "in 1 of 15 metrics; not in" in found.headline


def test_families_are_corrected_for_their_own_number(table):
    signal = verdicts.judge(table, "01", "mindvideo")
    names = ["retrieval, before the generator", "n-way, after the generator"]
    assert list(signal.against_shuffled) == names
    mine = (table["subject"] == "03") & (table["condition"] == "model")
    changed = table.assign(p=table["p"].where(~mine, 0.5))
    retrieval = mine & table["metric"].isin(["two_way_text", "top1_text"])
    count = int(
        changed.loc[mine & (table["segment"] == "all"), "metric"]
        .map(labels.family)
        .eq(names[0])
        .sum()
    )
    changed.loc[retrieval & (table["metric"] == "top1_text"), "p"] = 0.04
    found = verdicts.judge(changed, "03", "mindvideo")
    assert found.against_shuffled[names[0]] == pytest.approx(0.04 * count)
    assert found.against_shuffled[names[1]] == pytest.approx(1.0)
    assert any("n-way, after the generator: p 1" in text for text in found.details)


def rows(table, subject, metric, condition="model"):
    return (
        (table["subject"] == subject)
        & (table["segment"] == "all")
        & (table["metric"] == metric)
        & (table["condition"] == condition)
    )


def test_above_chance_is_not_enough_where_a_baseline_does_as_well(table):
    """Green only where every paired test against baselines and controls says better."""
    found = verdicts.judge(table, "02", "mindvideo")
    assert found.passed == found.tested == 15 and found.level == "matched"
    assert found.beside.startswith("But in CLIP identification, two-way, on the same clips")
    assert "no better than a mid-gray frame and the mean training frame" in found.beside
    one = table.copy()
    at = rows(one, "01", "clip_identification", "mean_frame")
    one.loc[at, "p_difference"] = 0.2
    found = verdicts.judge(one, "01", "mindvideo")
    assert found.level == "matched"
    assert found.beside.endswith("it is no better than the mean training frame.")
    assert any(text.endswith("it is better than a mid-gray frame.") for text in found.details)
    worse = table.copy()  # sure to differ, but in the wrong direction
    worse.loc[at, "difference"] = -0.3
    assert verdicts.judge(worse, "01", "mindvideo").level == "matched"
    alone = table.drop(columns=["difference", "p_difference"])
    found = verdicts.judge(alone, "01", "mindvideo")
    assert found.level == "matched"
    assert found.beside == "But it was tested against no baseline or control on the same clips."


def test_what_a_small_change_of_the_scores_decides_is_at_the_border(table):
    """A metric whose p crosses the level within the margin counts neither way, from either side."""
    changed = table.assign(p_low=table["p"], p_high=table["p"])
    at = rows(changed, "01", "clip_identification")
    changed.loc[at, ["p", "p_high"]] = 0.04, 0.06  # the largest, which Holm leaves as it is
    found = verdicts.judge(changed, "01", "mindvideo")
    assert found.passed == 14 and found.tested == 15
    assert "in 14 of 15 metrics; at the border in CLIP identification two-way." in found.headline
    changed = table.assign(p_low=table["p"], p_high=table["p"])
    at = rows(changed, "03", "clip_identification")
    changed.loc[at, ["p", "p_low"]] = 0.02, 0.0011
    found = verdicts.judge(changed, "03", "mindvideo")
    assert found.level == "border" and found.passed == 0
    assert "above chance in none of 15 metrics; at the border in CLIP" in found.headline
    assert any("quarter of the standard deviation" in text for text in found.details)


def test_untested_subject(table):
    found = verdicts.judge(table.assign(p=np.nan), "01", "mindvideo")
    assert found.tested == 0 and found.level == "untested"
    assert found.headline.startswith(
        "Too few clips to tell sub-01 from chance: no run can be shifted"
    )


def test_words():
    assert labels.definition("top3_n50_k1") == "50-way, three right classes, as published"
    assert labels.definition("single_n2_k3") == "2-way, top-3, one right class"
    assert labels.entry("judge_colour").name == "Colour, read by a judge"
    assert labels.entry("new_metric").name == "New metric"
    assert labels.entry("top1_strict_text").name == (
        "Retrieval, top-1, only the clip itself, text features"
    )
    assert labels.entry("colour_text").name == "Colour, in feature space"
    assert labels.before_generator("top1_image") and not labels.before_generator("ssim")
    assert labels.primary_rank("two_way_text", "any") == 0
    assert labels.primary_rank("mse", "rgb") is None
    assert [labels.number(x) for x in (0.1234, 12.34, 345.6, float("nan"))] == [
        "0.123",
        "12.3",
        "346",
        "–",
    ]
    assert [labels.p_value(x) for x in (0.0004, 0.034, 0.5, 1.0)] == [".0004", ".034", ".50", "1"]
    bounds = [labels.p_bound(x) for x in (0.0004, 0.0048, 0.034, 0.05, 1.0, float("nan"))]
    assert bounds == ["< .001", "< .01", "< .05", "> .05", "> .05", "–"]
    assert [labels.short(x) for x in (0.915, -0.001, float("nan"))] == ["0.92", "0.00", "–"]
    assert [labels.duration(s) for s in (3.14, 41, 200, 7500)] == [
        "3.1 s",
        "41 s",
        "3 min 20 s",
        "2 h 5 min",
    ]


def test_who_has_no_subject_is_called_by_method():
    assert labels.who("01") == "sub-01" and labels.who("mean", "m") == "mean"
    assert labels.who("", "NeuroClips") == "NeuroClips" and labels.who("") == "reconstruction"


def test_too_few_arrangements_are_no_verdict(table):
    mine = table[(table["subject"] == "03") & (table["condition"] == "model")]
    few = mine.assign(subject="", permutations=19.0)
    found = verdicts.judge(few, "", "mindvideo", 0.05)
    assert found.level == "untested" and "Too few clips to tell mindvideo" in found.headline
    found = verdicts.judge(few.assign(permutations=1999.0), "", "mindvideo", 0.05)
    assert found.level == "chance" and found.headline.startswith("mindvideo does not differ")
