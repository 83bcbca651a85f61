"""The page holds the table's numbers, needs no network, and says what it lacks."""

import base64
import json
import re
import shutil
from dataclasses import replace

import pandas as pd
import pytest
from tests.fixtures_presentations import row as shown_row
from tests.fixtures_presentations import shown_run

from boldreel import packaged
from boldreel.data import json_documents, presentations, tables
from boldreel.data.schemas import TABLES
from boldreel.errors import UserError
from boldreel.report import labels, markup, page, texts
from boldreel.report.settings import PageSettings

LINE = [
    "--subjects",
    "01",
    "02",
    "03",
    "--config",
    json.dumps({"page_clips": 2, "dataset": "demo"}),
]


def test_nothing_is_fetched(page):
    assert not re.search(r'(?:src|href)="(?!data:|#)', page)
    assert "@import" not in page and "url(http" not in page
    linked = re.findall(r"https?://[^\s\"'<]+", page)
    assert {url for url in linked if "w3.org" not in url} == set()


def test_headline_numbers_are_the_table(page, tree):
    table = tables.read(tree / "group" / "metrics.tsv", "metrics")
    start = page.index('aria-label="Headline scores"')
    shown = page[start : page.index("</table>", start)]
    groups = re.split('<tr class="group">', shown)[1:]
    assert len(groups) == 15
    for group in groups:
        name = re.sub("<[^>]+>", "", re.search(r"<b>(.*?)</b>", group)[1])
        rows = table[(table["segment"] == "all") & (table["subject"] == "01")]
        for row in rows[rows["condition"] == "model"].itertuples():
            words = labels.entry(row.metric).name
            text = labels.definition(row.definition)
            if name == words + (f" ({text})" if text else ""):
                assert f"<b>{labels.number(row.value)}</b>" in group
                assert f"[{labels.number(row.ci_low)}, {labels.number(row.ci_high)}]" in group
                assert f"<td>{labels.number(row.chance)}</td>" in group
                break
        else:
            raise AssertionError(f"{name!r} is no row of the table")
    assert "ridge regression" in groups[0]


def test_all_scores_are_on_the_page(page, tree):
    table = tables.read(tree / "group" / "metrics.tsv", "metrics")
    found = re.search(r'id="all-scores">(.*?)</script>', page, re.DOTALL)
    data = json.loads(found[1])
    assert len(data["rows"]) == len(table)
    at = {name: k for k, name in enumerate(data["columns"])}
    for row, (_, own) in zip(data["rows"], table.iterrows(), strict=True):
        assert row[at["value"]] == pytest.approx(own["value"], rel=1e-4)
        assert row[at["metric"]] == own["metric"]


def test_verdicts_audit_and_published_are_there(page):
    assert "sub-03 does not differ from chance in any of 15 metrics" in page
    assert "above chance in all 15 metrics" in page
    assert "3 of 40 test captions occur verbatim in training, 5 nearly" in page
    assert "test and training share no segment, movie, clip or shot" in page
    assert "not measured here" in page and "recalled" in page
    assert "informed consent" in page
    for word in ("NaN", "None", "nan,"):
        assert f">{word}<" not in page


def test_a_pretraining_that_failed_is_called_so(page):
    said = page[page.index("Pretraining on “rest”") :][:4000]
    assert "<b>This pretraining failed</b>" in said
    assert "<b>0.360</b> <small>[0.350, 0.370]</small>" in said


def test_simulated_data_say_so_at_the_top(tree, figures):
    from boldreel.report.results import Results

    parts = (Results(tree, ["01", "03"], "mindvideo"), figures, None, pd.DataFrame())
    settings = PageSettings(page_clips=1, dataset="demo", combination=("object", "colour"))
    real, *_ = page.render(*parts, settings)
    made, table, judged = page.render(*parts, replace(settings, simulated=True))
    top = made[: made.index("<main")]
    assert "Simulated data." in top and "Nobody was scanned" in top
    assert "simulated fMRI of 2 simulated subjects" in top
    assert "imulated" not in real and "from fMRI of 2 subjects" in real
    assert "1 of 2 is above chance, 1 of them shown to beat every baseline and control too" in top
    said = page.spoken(tree / "report.html", table, judged, "mindvideo", True).splitlines()
    assert said[-4] == "These data are simulated: nobody was scanned."
    assert said[-3].startswith("sub-01 is above chance in all 15 metrics. In CLIP identification")


def test_what_is_no_better_than_a_baseline_is_not_green(page):
    cards = re.findall(r'<article class="verdict (\w+)">.*?</article>', page, re.DOTALL)
    assert cards == ["signal", "matched", "chance"]
    card = page[page.index('"verdict matched"') :]
    shown = card[: card.index("<details>")]
    assert "above chance, but not shown to beat every baseline" in shown
    assert "no better than a mid-gray frame and the mean training frame" in shown


def test_what_cannot_be_told_is_said_to_be_missing(tree):
    from boldreel.report import scoretable, verdicts

    table = tables.read(tree / "group" / "metrics.tsv", "metrics")
    table[["ci_low", "ci_high", "p"]] = float("nan")
    judged = {"01": verdicts.judge(table, "01", "mindvideo")}
    html = scoretable.headline(table, ["01"], "mindvideo", judged)
    assert html.count("<small>[n/a]</small>") == html.count("<td>n/a</td>") > 10
    assert "n/a: too few shots to tell" in scoretable.legend(table)


def test_videos_play(page, tmp_path):
    from boldreel.data.video import probe

    sources = re.findall(r'data-src="data:video/mp4;base64,([^"]+)"', page)
    # clips x (truth, three subjects, upper bound), then best, median, worst of each, beside truth and bound
    assert len(sources) == 4 * 5 + 3 * 3 * 3
    (tmp_path / "one.mp4").write_bytes(base64.b64decode(sources[0]))
    seen = probe(tmp_path / "one.mp4")
    assert (seen["width"], seen["height"]) == (32, 32)
    assert seen["duration"] == pytest.approx(2.0, abs=0.05)


def test_best_median_and_worst_are_by_the_score_named():
    from boldreel.report.clips import picks

    clips = [f"c{k}" for k in range(5)]
    rows = {"condition": "model", "metric": "ssim", "definition": "rgb_uniform", "clip": clips}
    table = pd.DataFrame({**rows, "value": [0.2, 0.9, float("nan"), 0.9, 0.4]})
    other = table.assign(condition="gray", value=1.0)
    found = picks({"01": pd.concat([table, other])})
    assert [(p.place, p.clip) for p in found] == [("best", "c1"), ("median", "c4"), ("worst", "c0")]
    assert picks({"01": table.assign(metric="psnr")}) == []


def test_every_video_has_a_name_and_a_first_frame(page):
    for tag in re.findall(r"<video [^>]*>", page):
        assert 'aria-label="' in tag and 'poster="data:image/jpeg' in tag


def test_same_results_same_page(page, tree, tmp_path):
    from boldreel.report import page as step

    told = {"seed": 1, "page_clips": 4, "dataset": "demo", "combination": ["object", "colour"]}
    config = json.dumps(told)
    line = ["--results", str(tree), "--subjects", "01", "02", "03", "--config", config]
    line += ["--published", str(published_path()), "--output", str(tmp_path / "again.html")]
    step.main(line)
    again = (tmp_path / "again.html").read_text()
    # The encoder does not promise the same bytes for the same frames.
    video = re.compile(r"data:video/mp4;base64,[^\"]+")
    assert video.sub("", again) == video.sub("", page)


def published_path():
    return packaged.path("boldreel.report", "published.tsv")


def test_a_clip_stands_beside_its_baselines():
    from boldreel.report.sections import _clip_scores

    key = ("ssim", "rgb_uniform")
    values = {"model": 0.4, "shuffled": 0.3, "nearest_training": 0.35, "gray": 0.2}
    known = {
        "01": {(condition, *key): value for condition, value in values.items()},
        "02": {("model", *key): 0.1, ("gray", *key): 0.2},
    }
    html = _clip_scores(known, {"01": "sub-01", "02": "sub-02"})
    cells = re.findall(r"<td>(.*?)</td>", html)[1:]
    assert cells == [
        "0.400<br><small>nearest training clip 0.350</small><br><small>shifted 0.300</small>",
        "0.100",
        "0.200",
    ]
    assert _clip_scores({"01": {}}, {"01": "sub-01"}) == ""


def test_the_page_says_whose_data_it_holds(page):
    text = texts.responsible("demo", ["01", "02"], simulated=True)
    assert "sub-01, sub-02 of the data set demo (simulated" in text and "SUBJECT=sub-01" in text
    assert "people" in texts.responsible("x", ["a"], simulated=False)
    assert "must not be used on anyone without informed consent" in page


def test_published_scores_fit_their_schema():
    table = tables.read(published_path(), "published")
    assert set(table["basis"]) == {"read", "recalled"}
    ours = table[(table["system"] == "MinD-Video") & (table["subject"] == "1")]
    assert set(ours["value"]) == {0.792, 0.172, 0.853, 0.202, 0.171}


def test_optional_material_may_be_missing(tree, tmp_path, capsys):
    bare = tmp_path / "bare"
    for name in ("clips.parquet", "group/metrics.tsv", "stimuli"):
        source, target = tree / name, bare / name
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    for subject in ("01", "02", "03"):
        inner = f"sub-{subject}/reconstruction"
        shutil.copytree(tree / inner, bare / inner)
    page.main(["--results", str(bare), "--output", str(bare / "report.html"), *LINE])
    text = (bare / "report.html").read_text()
    assert "No figure &#x27;roi&#x27;" in text
    assert "leakage was not audited" in text and "times are not known" in text
    assert "sub-01/metrics.parquet" in text
    said = capsys.readouterr().out
    assert f"report: {bare / 'report.html'}" in said
    line = next(t for t in said.splitlines() if t.startswith("Retrieval, two-way, text features"))
    assert line.split()[-4:] == ["0.92", "0.78", "0.50", "0.50"]
    assert "sub-03 does not differ from chance in any of 15 metrics" in said


def test_required_material(tree, tmp_path):
    with pytest.raises(UserError, match="no such results folder"):
        page.main(["--results", str(tmp_path / "x"), "--output", str(tmp_path / "r.html"), *LINE])
    with pytest.raises(UserError, match="table not found"):
        page.main(["--results", str(tmp_path), "--output", str(tmp_path / "r.html"), *LINE])
    shutil.copytree(tree / "group", tmp_path / "group")
    shutil.copy(tree / "clips.parquet", tmp_path / "clips.parquet")
    with pytest.raises(UserError, match="no shard-"):
        page.main(["--results", str(tmp_path), "--output", str(tmp_path / "r.html"), *LINE])
    assert not (tmp_path / "r.html").exists()


def test_markup_is_safe():
    assert markup.esc('<b a="1">') == "&lt;b a=&quot;1&quot;&gt;"
    assert "</script" not in markup.embedded_json({"x": "</script>"})
    assert markup.nested({"a_b": [1, 2], "c": {}, "d": True}) == (
        "<dl><dt>a b</dt><dd>1, 2</dd><dt>c</dt><dd>none</dd><dt>d</dt><dd>yes</dd></dl>"
    )


def test_what_a_design_cannot_give_is_said_where_it_would_stand(tree, figures, tmp_path, capsys):
    """Nothing repeated, nobody to compare with, runs that were left out: sentences, and none missing."""
    copy = tmp_path / "demo"
    shutil.copytree(tree, copy)
    for subject in ("01", "02", "03"):
        home = copy / f"sub-{subject}"
        repeats = tables.read(home / "align" / "repeats.tsv", "repeats")
        tables.write(home / "align" / "repeats.tsv", repeats[repeats["repeats"] == 1], "repeats")
        nothing = pd.DataFrame(columns=list(TABLES["noise_ceiling"]))
        tables.write(home / "noise_ceiling.parquet", nothing, "noise_ceiling")
    ceiling = [
        {"subject": "01", "position": k, "correlation": 0.1 * k, "p": 0.01, "clips": 40}
        | {"permutations": 99}
        for k in range(5)
    ]
    tables.write(copy / "intersubject.parquet", pd.DataFrame(ceiling), "intersubject")
    overlap = {"sub-01": {"neighbours": 0.5, "test": 3, "validation": 0}}
    betas = {"fitted_on": "per-run", "mixed_runs": 0, "shared_fit": False}
    more = {"overlap": overlap, "betas": betas}
    audit = json.loads((copy / "audit.json").read_text()) | more
    json_documents.write(copy / "audit.json", audit, "audit")
    left = shown_run(
        "task-train01_run-9", [shown_row(0, 60, "train01.mp4")], "train", excluded="<slept>"
    )
    presentations.write(copy / "sub-01" / "presentations.tsv", "01", [left])
    few = tmp_path / "figures"
    shutil.copytree(figures, few)
    for name in ("repeats", "noise_ceiling", "ceiling_map"):
        (few / f"{name}.svg").unlink(missing_ok=True)
    config = {"dataset": "demo", "without_other": ["02"], "ignored": ["sub-01: 1 run ignored, x"]}
    line = ["--results", str(copy), "--subjects", "01", "02", "03", "--figures", str(few)]
    page.main([*line, "--output", str(copy / "report.html"), "--config", json.dumps(config)])
    text = (copy / "report.html").read_text()
    everybody = "sub-01, sub-02, sub-03"
    sentence = f"No test clip was shown to {everybody} in two runs, so there is no noise ceiling of the test"
    other = "Nobody else saw one of the test clips of sub-02"
    told = capsys.readouterr().out
    for words in (sentence, other):
        assert words in text and words in told
    assert f"No clip was shown to {everybody} in two runs" in text
    assert "of clips that were shown once" in text
    assert "<td>sub-01</td><td>task-train01_run-9</td><td>&lt;slept&gt;</td>" in text
    assert "<li>sub-01: 1 run ignored, x</li>" in text
    for name in ("repeats", "noise_ceiling", "ceiling_map"):
        assert f"No figure &#x27;{name}&#x27;" not in text
    assert "50 % of a window’s volumes are in the next clip’s window too" in text
    assert "windows of 3 test clips share volumes" in text
    assert "fitted per run according to the configuration, which cannot be checked" in text
    assert "<h3>Inter-subject correlation</h3>" in text and "<td>0.200</td>" in text


def test_a_design_that_gives_everything_needs_no_sentence(page):
    for words in ("Nobody else saw", "in two runs", "Runs that were not used", "Inter-subject"):
        assert words not in page
