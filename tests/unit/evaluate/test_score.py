"""The step from shards to tables: rows, baselines, chance, seen and unseen, and bad input."""

import json

import numpy as np
import pandas as pd
import pytest

from boldreel.data import arrays, tables
from boldreel.data.reconstructions import Reconstruction
from boldreel.errors import UserError
from boldreel.evaluate import baselines, clips, group, reference, score, shard
from boldreel.evaluate.readings import Judges
from boldreel.evaluate.settings import EvaluateSettings

CONFIG = {
    **{"seed": 3, "dataset": "demo", "permutations": 300, "n_way": [2, 10]},
    "combination": ["object", "colour"],
}
JUDGING = json.dumps({"seed": 3})


def arguments(tree, subject, out, *more):
    home = tree / f"sub-{subject}"
    return [
        *("--reconstruction", str(home / "reconstruction" / "mindvideo")),
        *("--upper-bound", str(tree / "reconstruction" / "true_features")),
        *("--stimuli", str(tree / "stimuli"), "--clips", str(tree / "clips.parquet")),
        *("--windows", str(home / "windows.parquet"), "--subject", subject),
        *("--output-clips", str(out / f"{subject}.parquet")),
        *("--output-scores", str(out / f"{subject}.tsv")),
        *("--config", json.dumps(CONFIG), *more),
    ]


@pytest.fixture(scope="module")
def plain(tree, tmp_path_factory):
    """Scores of the best and of the signal-free subject without judges."""
    out = tmp_path_factory.mktemp("scores")
    for subject in ("01", "03"):
        score.main(arguments(tree, subject, out))
    return out


def row(table, **wanted):
    kept = table[np.logical_and.reduce([table[k] == v for k, v in wanted.items()])]
    assert len(kept) == 1, (wanted, len(kept))
    return kept.iloc[0]


def test_rows_and_baselines(plain):
    table = tables.read(plain / "01.tsv", "metrics")
    assert set(table["segment"]) == {"all", "test01", "test02", "seen", "unseen"}
    conditions = {"model", "shuffled", "true_features", "gray", "mean_frame", "random_training"}
    conditions.add("true_colour")
    assert set(table["condition"]) == conditions
    # a true clip that does not move has no direction
    of_moving = ["flow_direction", "dominant_direction", "moving_position"]
    everywhere = (table["segment"] == "all") & ~table["metric"].isin(of_moving)
    assert (table["n"][everywhere] == 40).all()
    one = row(table, segment="all", condition="model", metric="ssim", definition="rgb_uniform")
    assert one["ci_low"] < one["value"] < one["ci_high"]
    parts = [
        row(table, segment=s, condition="model", metric="ssim", definition="rgb_uniform")
        for s in ("seen", "unseen")
    ]
    assert sum(p["n"] for p in parts) == 40
    mean = sum(p["n"] * p["value"] for p in parts) / 40
    assert mean == pytest.approx(one["value"], abs=1e-5)


def test_p_of_signal_and_of_none(plain):
    for subject, low, high in (("01", 0.0, 0.05), ("03", 0.05, 1.0)):
        table = tables.read(plain / f"{subject}.tsv", "metrics")
        one = row(table, segment="all", condition="model", metric="pixel_correlation")
        assert low < one["p"] <= high
        assert one["p"] * (1 + one["permutations"]) >= 1 - 1e-9
        assert table.loc[table["condition"] != "model", "p"].isna().all()


def test_every_other_condition_is_compared_with_the_model_in_pairs(plain):
    table = tables.read(plain / "01.tsv", "metrics")
    where = {"segment": "all", "metric": "psnr"}
    own, grey = (row(table, condition=c, **where) for c in ("model", "gray"))
    assert grey["difference"] == pytest.approx(own["value"] - grey["value"], rel=1e-6)
    assert 0 < grey["p_difference"] <= 1
    assert np.isnan(own["difference"]) and np.isnan(own["p_difference"])
    # the reconstructions of this tree are made from the truth: nothing else comes near
    random = row(table, condition="random_training", **where)
    assert random["difference"] > 0 and random["p_difference"] < 0.05


def test_seeds_are_compared_on_the_clips_that_all_have(tree, tmp_path):
    home = tree / "sub-01" / "reconstruction" / "mindvideo"
    model = Reconstruction([home])
    some = sorted(model.names)[::2]
    rng = np.random.default_rng(0)
    folders = []
    for k, size in ((1, 5), (2, 20)):
        noisy = model.frames(some) + rng.normal(0, size, (len(some), *model.shape))
        folders.append(tmp_path / f"control-seed-{k}")
        arrays.save(
            folders[-1] / "frames.npy",
            np.clip(noisy, 0, 255).astype(np.uint8),
            kind="reconstruction",
            clips=some,
            frame_rate=3.0,
            seed=0,
        )
    score.main(arguments(tree, "01", tmp_path, "--controls", *map(str, folders)))
    by_clip = tables.read(tmp_path / "01.parquet", "clip_metrics")
    table = tables.read(tmp_path / "01.tsv", "metrics")
    rows = by_clip[by_clip["metric"] == "psnr"].pivot(
        index="clip", columns="condition", values="value"
    )
    means = rows.loc[some, ["model", "seed_1", "seed_2"]].mean()
    one = row(table, segment="all", condition="model", metric="psnr")
    assert one["seeds"] == 3 and one["seed_sd"] == pytest.approx(means.std(ddof=1), rel=1e-6)
    assert (table.loc[table["condition"] != "model", "seed_sd"]).isna().all()


def test_clip_values_average_to_the_score(plain):
    table = tables.read(plain / "01.tsv", "metrics")
    by_clip = tables.read(plain / "01.parquet", "clip_metrics")
    wanted = {"metric": "psnr", "definition": "rgb"}
    for condition in ("model", "shuffled", "gray"):
        mine = by_clip[(by_clip["condition"] == condition) & (by_clip["metric"] == "psnr")]
        assert len(mine) == 40 and mine["clip"].is_unique
        one = row(table, segment="all", condition=condition, **wanted)
        assert mine["value"].mean() == pytest.approx(one["value"], rel=1e-6)


def test_a_control_of_some_clips_is_scored_on_those(tree, tmp_path):
    """Given the reconstruction of every third clip as a control, it scores what the model does there."""
    home = tree / "sub-01" / "reconstruction" / "mindvideo"
    model = Reconstruction([home])
    some = sorted(model.names)[::3]
    arrays.save(
        tmp_path / "control-mean" / "frames.npy",
        model.frames(some),
        kind="reconstruction",
        clips=some,
        frame_rate=3.0,
        seed=0,
    )
    score.main(arguments(tree, "01", tmp_path, "--controls", str(tmp_path / "control-mean")))
    by_clip = tables.read(tmp_path / "01.parquet", "clip_metrics")
    table = tables.read(tmp_path / "01.tsv", "metrics")
    for metric in ("psnr", "ssim", "motion_change", "flow_error", "temporal_order"):
        rows = by_clip[(by_clip["metric"] == metric) & (by_clip["definition"] != "gray_gaussian")]
        values = rows.pivot(index="clip", columns="condition", values="value")
        given = values["mean_fmri"].dropna()
        np.testing.assert_allclose(given, values.loc[given.index, "model"], rtol=1e-6)
        assert set(given.index) <= set(some) and len(given) >= len(some) - 2
    one = row(table, segment="all", condition="mean_fmri", metric="psnr")
    assert one["n"] == len(some) and np.isnan(one["ci_low"])  # of thirteen shots in two runs
    with pytest.raises(UserError, match="one configuration"):
        small = np.zeros((2, 3, 8, 8, 3), np.uint8)
        path = tmp_path / "control-noise" / "frames.npy"
        meta = {"clips": some[:2], "frame_rate": 3.0, "seed": 0}
        arrays.save(path, small, kind="reconstruction", **meta)
        score.main(arguments(tree, "01", tmp_path, "--controls", str(path.parent)))


def test_constant_reconstruction_is_at_chance(tree):
    frames = np.full((12, 6, 32, 32, 3), 90, dtype=np.uint8)
    from boldreel.evaluate.metrics import Panel, Videos, measure
    from boldreel.evaluate.readings import Readings
    from boldreel.stats import shifts
    from boldreel.stats.inference import Inference

    rng = np.random.default_rng(0)
    shots = np.repeat(np.arange(6), 2)
    flat = Readings(np.zeros((12, 6, 30), np.float32), np.zeros((12, 30), np.float32))
    seen = Readings(
        rng.normal(size=(12, 6, 30)).astype(np.float32),
        rng.normal(size=(12, 30)).astype(np.float32),
    )
    pairing = shifts.shifted(12, shifts.spaced(12, 2))
    truth = Videos(rng.integers(0, 256, frames.shape, dtype=np.uint8), seen)
    settings = EvaluateSettings(n_way=(2, 10))
    found = measure(truth, Videos(frames, flat), pairing, shots, [{}] * 12, Panel(), settings)
    for one in (m for m in found if m.metric.startswith("nway")):
        np.testing.assert_allclose(one.values, one.chance, atol=1e-12)
        run = Inference([np.arange(12)], shots, settings)
        assert run.test([one.values], np.ones(12, bool)).p == 1


@pytest.mark.parametrize("kind", ["gray", "picture"])
def test_one_picture_for_all_clips_is_never_above_chance(kind):
    """Under every shift it scores the same but for rounding, which must not decide p."""
    from boldreel.evaluate.metrics import Panel, Videos, measure
    from boldreel.evaluate.readings import Readings
    from boldreel.stats import shifts
    from boldreel.stats.inference import Inference

    settings = EvaluateSettings(n_way=(2,))
    run = Inference([np.arange(24)], np.arange(24) // 2, settings)
    for seed in range(8):
        rng = np.random.default_rng(seed)
        truth = rng.integers(0, 256, (24, 1, 18, 18, 3), dtype=np.uint8)
        still = np.full((1, 18, 18, 3), 128, np.uint8)
        if kind == "picture":
            still = rng.integers(0, 256, still.shape, dtype=np.uint8)
        pairing = shifts.shifted(24, shifts.spaced(24, 2))
        videos = (Videos(truth, Readings()), Videos(np.stack([still] * 24), Readings()))
        found = measure(*videos, pairing, np.arange(24) // 2, [{}] * 24, Panel(), settings)
        assert {"ssim", "mse", "psnr", "hue_correlation"} <= {one.metric for one in found}
        for one in found:
            p = run.test([one.values], np.ones(24, bool)).p
            assert p == 1, (one.metric, one.definition, seed)


def test_runs_of_one_shot_have_neither_interval_nor_p(tree, tmp_path):
    """Nothing can be resampled within them, and every shift pairs a clip with its own shot."""
    table = tables.read(tree / "clips.parquet", "clips")
    tables.write(tmp_path / "clips.parquet", table.assign(shot=table["movie"]), "clips")
    line = arguments(tree, "01", tmp_path)
    line[line.index(str(tree / "clips.parquet"))] = str(tmp_path / "clips.parquet")
    score.main(line)
    scores = tables.read(tmp_path / "01.tsv", "metrics")
    assert len(scores)
    assert scores[["ci_low", "ci_high", "p", "p_low", "p_high"]].isna().all().all()


def test_one_still_for_all_scores_as_its_copies():
    from boldreel.evaluate.metrics import Panel, Videos, measure
    from boldreel.evaluate.readings import Readings

    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (5, 3, 16, 16, 3), dtype=np.uint8)
    still = np.broadcast_to(frames[:1, :1], frames.shape)
    truth, pairing = Videos(frames, Readings()), (np.arange(5)[None], np.arange(5)[None])
    settings = EvaluateSettings(n_way=(2,))
    once, copies = (
        measure(
            truth, Videos(shown, Readings()), pairing, np.arange(5), [{}] * 5, Panel(), settings
        )
        for shown in (still, still.copy())
    )
    assert [one.metric for one in once] == [one.metric for one in copies]
    for one, other in zip(once, copies, strict=True):
        assert one.values.shape == (1, 5)
        np.testing.assert_allclose(one.values, other.values, atol=1e-12)


def test_shards_are_looked_at_one_by_one_and_gathered(tree, judges, tmp_path, monkeypatch):
    models = [
        *("--image-classifier", str(judges / "image"), "--video-classifier", str(judges / "video")),
        *("--clip-model", str(judges / "clip")),
    ]
    made, readings = tree / "sub-01" / "reconstruction" / "mindvideo", []
    for number in (1, 0):  # names decide, not places
        readings.append(tmp_path / f"seen-{number}")
        shard.main(
            [
                *("--reconstruction", str(made / f"shard-{number}"), "--output", str(readings[-1])),
                *("--config", JUDGING, *models),
            ]
        )
    out = {}
    for name, given in (("alone", []), ("gathered", ["--readings", *map(str, readings)])):
        real, judged = Judges.read, []

        def listening(self, shown, what, *rest, real=real, judged=judged):
            judged.append(what.split(" of ")[0])
            return real(self, shown, what, *rest)

        with monkeypatch.context() as patched:
            patched.setattr(Judges, "read", listening)
            score.main(arguments(tree, "01", tmp_path / name, *models, *given))
        assert ("model" in judged) == (name == "alone")
        out[name] = tables.read(tmp_path / name / "01.tsv", "metrics")
    pd.testing.assert_frame_equal(out["alone"], out["gathered"], check_exact=False, atol=1e-4)


def test_judges_and_reference_agree(tree, judges, tmp_path, monkeypatch):
    windows = tables.read(tree / "sub-01" / "windows.parquet", "windows")
    listed = tables.read(tree / "clips.parquet", "clips").set_index("clip")
    shown = windows.loc[windows["split"] != "test", "clip"]
    training = sorted(set(listed.loc[shown, "movie"]))
    models = [
        *("--image-classifier", str(judges / "image"), "--video-classifier", str(judges / "video")),
        *("--clip-model", str(judges / "clip")),
    ]
    reference.main(
        [
            *("--upper-bound", str(tree / "reconstruction" / "true_features")),
            *("--stimuli", str(tree / "stimuli"), "--clips", str(tree / "clips.parquet")),
            *("--training-movies", *training),
            *("--output", str(tmp_path / "reference"), "--config", JUDGING, *models),
        ]
    )
    a, b = tmp_path / "a", tmp_path / "b"
    score.main(arguments(tree, "01", a, *models))
    stored = ["--reference", str(tmp_path / "reference")]
    real, judged = Judges.read, []

    def listening(self, shown, name, *rest):
        judged.append(name.split(" of ")[0])
        return real(self, shown, name, *rest)

    monkeypatch.setattr(Judges, "read", listening)
    score.main(arguments(tree, "01", b, *models, *stored))
    # What is the same for every subject comes from the reference, random training clips as well.
    shared = {"truth", "true_colour", "true_features", "random_training"}
    assert judged and not shared & set(judged)
    first, second = (tables.read(p / "01.tsv", "metrics") for p in (a, b))
    pd.testing.assert_frame_equal(first, second, check_exact=False, atol=1e-4)
    metrics = set(first["metric"])
    assert {"judge_object", "judge_colour", "judge_background", "judge_motion"} <= metrics
    assert {"nway_frame", "nway_video", "clip_identification", "clip_pcc"} <= metrics
    assert {
        "layer_identification",
        "caption_bleu",
        "caption_rouge",
        "caption_similarity",
    } <= metrics
    assert "lpips" not in metrics
    one = row(first, segment="all", condition="model", metric="nway_video", definition="top3_n2_k1")
    assert one["chance"] == pytest.approx(0.75)
    single = row(
        first, segment="all", condition="model", metric="nway_video", definition="single_n10_k1"
    )
    assert single["chance"] == pytest.approx(0.1)
    judged = first[(first["metric"] == "judge_colour") & (first["condition"] == "truth")]
    assert len(judged)
    assert judged["chance"].iloc[0] == pytest.approx(1 / 3)


def test_group_adds_means_and_refuses_doubles(plain, tree, tmp_path):
    inputs = [str(plain / "01.tsv"), str(plain / "03.tsv")]
    inputs += [str(tree / f"sub-{s}" / "align" / "retrieval.tsv") for s in ("01", "03")]
    group.main(["--scores", *inputs, "--output", str(tmp_path / "metrics.tsv")])
    table = tables.read(tmp_path / "metrics.tsv", "metrics")
    wanted = {"segment": "all", "condition": "model", "metric": "psnr"}
    both = [row(table, subject=s, **wanted)["value"] for s in ("01", "03")]
    mean = row(table, subject="mean", **wanted)
    assert mean["value"] == pytest.approx(np.mean(both)) and mean["n"] == 2
    assert np.isnan(mean["p"])
    unseen = {"segment": "unseen", "condition": "model", "metric": "two_way_text"}
    assert row(table, subject="01", **unseen)["value"] > 0.8
    assert not table["metric"].str.endswith("seen").any()
    with pytest.raises(UserError, match="is in two tables"):
        group.main(["--scores", inputs[0], inputs[0], "--output", str(tmp_path / "x.tsv")])


def test_random_clips_hang_on_movies_alone():
    listed = pd.DataFrame({"clip": [f"c{k}" for k in range(12)], "movie": list("aabbccaabbcc")})
    drawn = baselines.random_clips(listed, {"a", "c"}, 50, seed=1)
    assert len(drawn) == 50 and set(drawn["movie"]) == {"a", "c"}
    again = baselines.random_clips(listed[listed["movie"] != "b"], ["c", "a"], 50, seed=1)
    assert drawn["clip"].tolist() == again["clip"].tolist()
    assert len(baselines.random_clips(listed, set(), 5, seed=1)) == 0


def test_the_mean_frame_is_of_the_clips_given_alone(tmp_path):
    """Where test and training are parts of one film, no frame of the test is in it."""
    frames = np.zeros((40, 4, 4, 3), np.uint8)
    frames[:20], frames[20:] = 10, 250
    arrays.save(tmp_path / "film" / "frames.npy", frames, kind="frames", frame_rate=1.0)
    table = pd.DataFrame({"movie": "film", "first_frame": [0, 5, 15], "n_frames": [10, 10, 5]})
    assert (clips.mean_frame(table, [tmp_path], (4, 4)) == 10).all()


def test_bad_input(tree, tmp_path):
    def change(flag, value):
        line = arguments(tree, "01", tmp_path)
        line[line.index(flag) + 1] = str(value)
        return line

    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"no frames.npy and no shard-\*"):
        score.main(change("--reconstruction", tmp_path / "empty"))
    with pytest.raises(UserError, match="table not found"):
        score.main(change("--windows", tmp_path / "no.parquet"))
    with pytest.raises(UserError, match="no frames of movie 't"):
        score.main(change("--stimuli", tmp_path))
    with pytest.raises(UserError, match=r"models\.clip: .*config\.json is missing"):
        score.main(arguments(tree, "01", tmp_path, "--clip-model", str(tmp_path / "empty")))
    windows = tables.read(tree / "sub-01" / "windows.parquet", "windows")
    windows.loc[windows["segment"] == "test02", "split"] = "train"
    tables.write(tmp_path / "windows.parquet", windows, "windows")
    with pytest.raises(UserError, match="is no test clip of"):
        score.main(change("--windows", tmp_path / "windows.parquet"))
    assert not list(tmp_path.glob("*.tsv"))


def test_nearest_training_response_is_that_of_the_highest_correlation():
    rng = np.random.default_rng(0)
    test, training = rng.normal(size=(5, 2, 7)), rng.normal(size=(9, 2, 7))
    training[4] = 3 * test[2] + 1
    training[6] = 0
    best, alike = baselines.nearest_rows(test, training)
    flat = [x.reshape(len(x), -1) for x in (test, np.delete(training, 6, 0))]
    naive = np.insert(np.corrcoef(*flat)[:5, 5:], 6, 0, axis=1)
    np.testing.assert_allclose(alike, naive.max(axis=1), atol=1e-6)
    assert best[2] == 4 and alike[2] == pytest.approx(1)
    assert list(best) == list(naive.argmax(axis=1))


def test_runs_are_in_the_order_in_which_they_showed_their_clips():
    """Short clips in random order: by onset, not by movie; without runs by movie and index."""
    table = pd.DataFrame(
        {
            "segment": ["t", "t", "u", "t"],
            "movie": ["a", "b", "a", "c"],
            "index": [0, 0, 1, 0],
            "onset": [8.0, 0.0, 3.0, 4.0],
        }
    )
    first, second = clips.segments(table)
    assert (first.name, first.rows.tolist()) == ("t", [1, 3, 0])
    assert second.rows.tolist() == [2]
    assert clips.segments(table.drop(columns="onset"))[0].rows.tolist() == [0, 1, 3]
