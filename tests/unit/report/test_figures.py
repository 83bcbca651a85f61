"""Every figure is there in both formats with its data and a caption, and drawn by seed."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from boldreel.data import tables
from boldreel.report import brain, clips, cost, figure_style, figures, media, page, plots, results

NAMES = [
    "scores",
    "repeats",
    "training_curves",
    "lag_sweep",
    "roi",
    "noise_ceiling",
    "ceiling_map",
    "timing",
]
NAMES += ["sample_sheet"]


@pytest.mark.parametrize("name", NAMES)
def test_files_and_captions(figures, name):
    for suffix in (".svg", ".png", ".tsv"):
        assert (figures / f"{name}{suffix}").stat().st_size > 100
    assert Image.open(figures / f"{name}.png").width > 200
    assert len(page.caption(name)) > 60


def test_strip_is_small_and_has_a_caption(figures):
    assert (figures / "strip.png").stat().st_size < 300_000
    assert page.caption("strip")
    with Image.open(figures / "strip.webp") as moving:
        assert moving.n_frames > 2 and moving.info["loop"] == 0
    assert (figures / "strip.webp").stat().st_size < 2_000_000


def test_data_behind_the_scores_is_the_table(figures, tree):
    shown = pd.read_csv(figures / "scores.tsv", sep="\t", dtype={"subject": str})
    table = tables.read(tree / "group" / "metrics.tsv", "metrics")
    keys = ["subject", "segment", "method", "condition", "metric", "definition"]
    both = shown.merge(table, on=keys, suffixes=("", "_table"))
    assert len(both) == len(shown) > 20
    np.testing.assert_allclose(both["value"], both["value_table"], rtol=1e-5)


def test_best_subject(tree):
    found = results.Results(tree, ["01", "02", "03"], "mindvideo")
    assert figures.best_subject(found) == "01"


def test_sample_is_drawn_by_seed_and_by_shot(tree):
    table = tables.read(tree / "clips.parquet", "clips")
    names = [c for c in table["clip"] if c.startswith("test")]
    first = clips.draw_sample(table, names, 6, 1)
    again = clips.draw_sample(table.sample(frac=1, random_state=0), names[::-1], 6, 1)
    assert list(first["clip"]) == list(again["clip"])
    assert list(first["clip"]) != list(clips.draw_sample(table, names, 6, 2)["clip"])
    assert first["shot"].is_unique and set(first["clip"]) <= set(names)


def test_every_shot_is_as_likely(tree):
    table = tables.read(tree / "clips.parquet", "clips")
    names = [c for c in table["clip"] if c.startswith("test")]
    shots = table[table["clip"].isin(names)]["shot"].nunique()
    drawn = [clips.draw_sample(table, names, 3, seed)["shot"] for seed in range(60)]
    counts = pd.concat(drawn).value_counts()
    assert len(counts) == shots
    assert counts.max() < 3 * 60 * 3 / shots


def test_seen_pairs(tree):
    table = tables.read(tree / "clips.parquet", "clips")
    names = [c for c in table["clip"] if c.startswith("test")]
    training = [c for c in table["clip"] if c.startswith("train")]
    found = clips.seen_pairs(table, names, training, ["object", "colour"])
    assert set(found) == set(names) and len(set(found.values())) == 2
    assert clips.seen_pairs(table, names, training, ["shape"]) == {}


def test_a_test_clip_without_a_window_is_no_training(tree):
    """The last clips of a test run have no window; their combinations are as unseen as before."""
    table = tables.read(tree / "clips.parquet", "clips")
    names = [c for c in table["clip"] if c.startswith("test")]
    training = [c for c in table["clip"] if c.startswith("train")]
    every = clips.seen_pairs(table, names, training, ["object", "colour"])
    for k in range(1, len(names)):
        fewer = clips.seen_pairs(table, names[:-k], training, ["object", "colour"])
        assert fewer == {name: every[name] for name in names[:-k]}


@pytest.mark.parametrize("name", ["noise_ceiling", "ceiling_map"])
def test_ceilings_are_those_of_the_test(figures, tree, name):
    shown = pd.read_csv(figures / f"{name}.tsv", sep="\t", dtype={"subject": str})
    table = tables.read(tree / "sub-01" / "noise_ceiling.parquet", "noise_ceiling")
    table = table[table["split"] == "test"].set_index("position")["ceiling_mean"].dropna()
    own = shown[shown["subject"] == "01"].dropna(subset="ceiling_mean")
    assert own["position"].is_unique and len(own) > 100
    np.testing.assert_allclose(own["ceiling_mean"], table.loc[own["position"]], rtol=1e-5)


def test_vertices_are_shown_near_each_slice():
    """Of a surface, whose vertices share no height, each slice shows those within 2 mm."""
    rng = np.random.default_rng(0)
    place = rng.normal(size=(800, 3))
    place *= 60 / np.linalg.norm(place, axis=1, keepdims=True)
    table = pd.DataFrame(place, columns=list("xyz"))
    planes = brain.slices(table)
    assert len(planes) == 5 and np.all(np.diff(planes) > 10) and brain.voxel_size(table) == 3
    assert all(brain._near(table, z).sum() > 10 for z in planes)


def test_responses_are_drawn_where_series_were_deconvolved():
    from boldreel.windows import kernels, response

    learnt = kernels.Learnt(response.double_gamma(np.arange(201) * 0.1 - 1), 0.3, 0.005, "area")
    frame = kernels.table(["V1", "V2"], {"V1": learnt}, 20.0)
    with figure_style.style():
        drawing, data = plots.kernels({"01": frame})
    assert drawing.axes[0].get_title(loc="left") == "sub-01, learnt: 1 of 2"
    assert len(drawing.axes[0].lines) == 2 and set(data["source"]) == {"area", "canonical"}


def test_methods_trainings_and_weights_are_drawn_where_there_are_some(tree):
    assert not (tree / "group" / "figures" / "linear_weights.svg").exists()
    assert (
        figures._methods(results.Results(tree, ["01"], "mindvideo"), {"a": ("a", "b")}, "history")
        == {}
    )
    positions = tables.read(tree / "atlas" / "positions.parquet", "positions")
    places = positions["position"].to_numpy()
    weights = pd.concat(
        pd.DataFrame({"layer": layer, "position": places, "weight": 1.0, "pattern": size * places})
        for layer, size in (("early", 1.0), ("late", 2.0))
    )
    history = pd.DataFrame(
        {
            "epoch": [0, 1],
            "loss": [np.nan, 3.0],
            "pixels": [np.nan, 0.5],
            "val_loss": [0.5, 0.4],
            "learning_rate": 0.1,
        }
    )
    with figure_style.style():
        drawing, data = brain.linear_weights(positions, {"01": weights, "02": weights})
        curves, numbers = plots.parts({"cvgan": {"sub-01": history}})
    rows = [axis.texts[0].get_text() for axis in drawing.axes if axis.texts]
    assert rows == ["sub-01, early", "sub-01, late", "sub-02, early", "sub-02, late"]
    assert len(data) == 4 * positions["x"].notna().sum()
    assert [axis.get_title(loc="left") for axis in curves.axes if axis.lines] == [
        "cvgan: pixels",
        "cvgan: val loss",
    ]
    assert list(numbers["val_loss"]) == [0.5, 0.4]
    assert all(len(page.caption(name)) > 60 for name in ("linear_weights", "method_curves"))


def test_slices_and_voxel_size():
    table = pd.DataFrame({"x": [0.0, 4, 8], "y": [0.0, 0, 4], "z": [np.nan, 4, 12]})
    assert brain.voxel_size(table) == 4
    assert brain.slices(table, 5) == [4, 12]
    many = pd.DataFrame({"z": np.arange(0, 80, 4.0)})
    assert len(brain.slices(many, 5)) == 5


def test_benchmarks(tree, tmp_path):
    jobs = cost.jobs(tree / "benchmarks")
    stages = cost.by_stage(jobs)
    assert list(stages["stage"]) == ["bold", "align", "generator", "reconstruct", "evaluate"]
    assert stages.set_index("stage").loc["align", "seconds"] == 84.0
    assert len(cost.jobs(tmp_path)) == 0 and len(cost.jobs(None)) == 0
    (tmp_path / "align").mkdir()
    (tmp_path / "align" / "short.tsv").write_text("s\th:m:s\tmax_rss\n0.1\t0:00:00\t-\n")
    assert np.isnan(cost.jobs(tmp_path)["memory_mb"].iloc[0])


def test_strip_shrinks_until_it_fits(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (4, 6, 24, 24, 3), dtype=np.uint8)
    picture = media.pairs([(clip, clip) for clip in noise], 24)
    media.save_small(picture, str(tmp_path / "strip.png"), 8_000)
    assert Path(tmp_path / "strip.png").stat().st_size <= 8_000


def test_what_each_part_is_worth_and_a_new_subject(tree, tmp_path):
    """Figures and table after `make ablate`: every ablation, every length, chance."""
    from boldreel.report import figure_style, plots, scoretable

    numbers = {"value": 0.8, "ci_low": 0.7, "ci_high": 0.9, "chance": 0.5, "n": 40}
    gap = {"difference": -0.1, "difference_low": -0.2, "difference_high": 0.05, "seeds": 3}
    names = ["full", "no_pretraining", "ridge"]
    ablation = pd.DataFrame(
        {"subject": s, "ablation": c, "metric": "two_way_text", **numbers, **gap}
        for s in ("01", "02")
        for c in names
    )
    minutes = pd.DataFrame(
        {
            "subject": "01",
            "minutes": m,
            "training": c,
            "metric": "two_way_text",
            "p": 0.01,
            **numbers,
        }
        for c in ("pooled", "alone")
        for m in (4.0, 8.0)
    )
    with figure_style.style():
        drawing, data = plots.ablation(ablation)
        assert [t.get_text() for t in drawing.axes[0].get_yticklabels()] == [
            "all parts",
            "no pretraining",
            "ridge regression alone",
        ]
        assert len(drawing.axes) == 2 and len(data) == 6
        drawing, data = plots.minutes({"01": minutes})
        assert drawing.axes[0].get_legend_handles_labels()[1] == [
            "with the others’ encoder",
            "alone (linear path)",
        ]
        assert len(data) == 4
        parts = pd.DataFrame(
            {"subject": "01", "metric": "two_way_text", "positions": 9, "p": 0.1, **numbers}
            | {"group": group, "part": part}
            for group, part in (
                ("", "all"),
                ("early", "only"),
                ("early", "without"),
                ("a", "control"),
            )
        )
        drawing, data = plots.rois({"01": parts})
        assert [t.get_text() for t in drawing.axes[0].get_yticklabels()] == [
            "all areas (9)",
            "early alone (9)",
            "all but early (9)",
            "a, not visual (9)",
        ]
        assert len(data) == 4
    html = scoretable.ablation(ablation)
    assert html.count("-0.100 <small>[-0.200, +0.050]") == 4 and "no pretraining" in html


def test_a_masked_volume_shows_what_was_hidden(tree):
    from boldreel.report import figure_style

    positions = pd.read_parquet(tree / "atlas" / "positions.parquet")
    n = len(positions)
    example = pd.DataFrame(
        {
            "position": positions["position"],
            "present": True,
            "hidden": np.arange(n) % 2 == 0,
            "truth": 1.0,
            "prediction": 0.5,
        }
    )
    with figure_style.style():
        drawing, data = brain.masked(positions, example)
    assert set(data["position"]) == set(positions.loc[positions["x"].notna(), "position"])
    shown = [sum(len(c.get_paths()) for c in axis.collections) for axis in drawing.axes[:-1]]
    rows = np.array(shown).reshape(3, -1).sum(1)
    assert rows[0] == rows[1] + rows[2] and rows[1] > 0 and rows[2] > 0
