"""The alignment step on an invented study: what it reaches, what it never sees, what it resumes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.fixtures_settings import section

from boldreel.align import pool, train
from boldreel.align.settings import AlignSettings
from boldreel.data import arrays, tables
from boldreel.errors import UserError
from boldreel.models.checkpoint import read_tensors
from boldreel.probe import cross, encode, minutes, repeats, retrieve, zero_shot
from boldreel.training import loop

SEED = 20230507
CONFIG = section("align", seed=SEED, epochs=2, batch_size=40, depth=1, learning_rate=1e-3)
RETRIEVAL = {"seed": SEED, "permutations": 199, "combination": ["object", "colour"]}


def run_train(study: Any, pretrained: Path, output: Path, state: Path, **config: Any) -> None:
    train.main(
        [
            *("--pretrained", str(pretrained), "--windows", str(study.windows)),
            *("--series-dir", str(study.series), "--voxels", str(study.voxels)),
            *("--clips", str(study.clips), "--features", *map(str, study.features)),
            *("--output", str(output), "--state", str(state)),
            *("--config", json.dumps({**CONFIG, **config})),
        ]
    )


def run_retrieve(study: Any, align: Path) -> Any:
    encode.main(
        [
            *("--align", str(align), "--windows", str(study.windows)),
            *("--series-dir", str(study.series), "--output", str(align / "test")),
        ]
    )
    retrieve.main(
        [
            *("--align", str(align), "--test", str(align / "test")),
            *("--windows", str(study.windows)),
            *("--series-dir", str(study.series), "--clips", str(study.clips)),
            *("--features", *map(str, study.features), "--subject", "01"),
            *("--output", str(align / "retrieval.tsv"), "--config", json.dumps(RETRIEVAL)),
        ]
    )
    table = tables.read(align / "retrieval.tsv", "metrics")
    return table[table["segment"] == "all"].set_index(["condition", "metric"])


def run_repeats(study: Any, align: Path) -> Any:
    repeats.main(
        [
            *("--align", str(align), "--test", str(align / "test")),
            *("--windows", str(study.windows)),
            *("--series-dir", str(study.series), "--clips", str(study.clips)),
            *("--features", *map(str, study.features), "--subject", "01"),
            *("--output", str(align / "repeats.tsv"), "--config", json.dumps(RETRIEVAL)),
        ]
    )
    table = tables.read(align / "repeats.tsv", "repeats")
    return table.set_index(["condition", "metric", "repeats"]).sort_index()


@pytest.fixture(scope="module")
def aligned(study: Any, pretrained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("aligned")
    run_train(study, pretrained, folder / "align", folder / "state")
    return folder / "align"


@pytest.fixture(scope="module")
def scores(study: Any, aligned: Path) -> Any:
    return run_retrieve(study, aligned)


def test_signal_is_found_and_the_encoder_is_no_worse_than_ridge(scores: Any) -> None:
    for metric in ("two_way_text", "two_way_image", "top1_text"):
        model, ridge = scores.loc[("model", metric)], scores.loc[("ridge", metric)]
        assert model["p"] < 0.01
        assert model["value"] >= ridge["value"] - 0.02
        assert model["ci_low"] > scores.loc[("shuffled", metric), "ci_high"]
    assert scores.loc[("model", "two_way_text"), "value"] > 0.9
    assert scores.loc[("model", "object_text"), "p"] < 0.01
    assert scores["p"].dropna().gt(0).all()


def test_predictions_are_written_in_the_order_of_their_list(
    study: Any, aligned: Path, scores: Any
) -> None:
    clips = json.loads((aligned / "test" / "clips.json").read_text())
    text, _ = arrays.load(aligned / "test" / "text.npy", kind="prediction")
    condition, _ = arrays.load(aligned / "test" / "condition.npy", kind="condition")
    assert clips == sorted(clips) and len(clips) == 2 * study.n_clips == len(text)
    assert condition.shape == (len(clips), 5, 8)
    np.testing.assert_allclose(np.linalg.norm(text, axis=1), 1, rtol=1e-5)


def test_more_repeats_find_more_and_all_of_them_what_retrieval_tells(
    study: Any, aligned: Path, scores: Any
) -> None:
    curve = run_repeats(study, aligned)
    assert sorted(set(curve.index.get_level_values("repeats"))) == [1, 2, 5, 6]
    for condition in ("model", "ridge"):
        for metric in retrieve.METRICS:
            last = curve.loc[(condition, metric, 6)]
            for name in ("value", "ci_low", "ci_high", "p"):
                assert last[name] == pytest.approx(scores.loc[(condition, metric), name], abs=1e-6)
        values = curve["value"].loc[condition, "two_way_text"]
        assert 0.55 < values[1] < values[2] < values[6]
    assert curve["sets"].loc["model", "top1_text"].tolist() == [6, 3, 1, 1]


def test_another_subjects_responses_are_read_as_ones_own_would_be(
    study: Any,
    aligned: Path,
    scores: Any,
    study_writer: Callable[..., Any],
    tmp_path: Path,
) -> None:
    """Given its own responses as another's an encoder finds what retrieval tells; given noise, nothing."""
    silent = study_writer(tmp_path / "silent", variance=0.0, noise_seed=5)

    def run(other: Any) -> Any:
        cross.main(
            [
                *("--subjects", "01", "02", "--align", str(aligned), str(aligned)),
                *("--windows", str(study.windows), str(other.windows)),
                *("--series-dir", str(study.series), str(other.series)),
                *("--clips", str(study.clips), "--features", *map(str, study.features)),
                *("--output", str(tmp_path / "cross.tsv"), "--config", json.dumps(RETRIEVAL)),
            ]
        )
        return tables.read(tmp_path / "cross.tsv", "metrics").set_index(["subject", "metric"])

    same = run(study)
    for metric in retrieve.METRICS:
        for subject in ("01", "02"):
            row, own = same.loc[(subject, metric)], scores.loc[("model", metric)]
            assert row["condition"] == "other_subject" and row["definition"] == own["definition"]
            assert (row["value"], row["p"]) == pytest.approx((own["value"], own["p"]))
    noise = run(silent)
    assert noise.loc[("01", "two_way_text"), "p"] > 0.05  # reads the silent subject
    assert noise.loc[("02", "two_way_text"), "p"] < 0.05
    with pytest.raises(UserError, match="two or more"):
        cross.main(
            [
                *("--subjects", "01", "--align", str(aligned), "--windows", str(study.windows)),
                *("--series-dir", str(study.series), "--clips", str(study.clips)),
                *("--features", *map(str, study.features), "--output", str(tmp_path / "x.tsv")),
            ]
        )


def test_without_signal_everything_is_at_chance(
    study_writer: Callable[..., Any], pretrained: Path, tmp_path: Path
) -> None:
    """In four studies: one may be significant by luck, a leak or a test that is too sure makes all so."""
    by_luck = 0
    for seed in (3, 4, 5, 6):
        folder = tmp_path / str(seed)
        study = study_writer(folder / "study", variance=0.0, seed=seed)
        run_train(study, pretrained, folder / "align", folder / "state")
        silent = run_retrieve(study, folder / "align")
        metrics = ("two_way_text", "two_way_image", "top1_text", "object_text")
        rows = [silent.loc[("model", metric)] for metric in metrics]
        # a share of which no clip is right has no interval, and claims nothing
        assert not any(row["ci_low"] >= row["chance"] + 0.02 for row in rows)
        curve = run_repeats(study, folder / "align").loc["model", "two_way_text"]
        assert (abs(curve["value"] - 0.5) < 0.1).all()
        # one of several numbers of repeats may well be below .05
        quiet = all(row["p"] > 0.05 for row in rows) and (curve["p"] > 0.05 / len(curve)).all()
        by_luck += not quiet
    assert by_luck <= 1


def test_nothing_fitted_sees_test_runs(
    study: Any, aligned: Path, pretrained: Path, tmp_path: Path
) -> None:
    """Test series and test features replaced by noise: every tensor comes out bit-equal."""
    copy = type(study)(tmp_path / "study", study.segments, study.n_clips)
    shutil.copytree(study.root, copy.root)
    rng = np.random.default_rng(0)
    for path in copy.series.glob("task-test*.npy"):
        noise = rng.standard_normal(np.load(path).shape)
        np.save(path, noise.astype(np.float32))
    for path in copy.root.glob("stimuli/test*/features/*.npy"):
        np.save(path, np.load(path)[::-1] * 2)
    run_train(copy, pretrained, tmp_path / "align", tmp_path / "state")
    for name in ("model", "ridge"):
        before, after = read_tensors(aligned / name), read_tensors(tmp_path / "align" / name)
        assert before.keys() == after.keys()
        assert all(torch.equal(before[key], after[key]) for key in before)


def test_training_resumes_to_the_bit(
    study: Any, aligned: Path, pretrained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tmp_path / "state"
    real, calls = loop.Progress.update, []

    def stop_once(self: Any, n: int = 1, **numbers: float) -> None:
        calls.append(n)
        if len(calls) == 3:
            raise KeyboardInterrupt
        real(self, n, **numbers)

    monkeypatch.setattr(loop.Progress, "update", stop_once)
    with pytest.raises(KeyboardInterrupt):
        run_train(study, pretrained, tmp_path / "align", state)
    assert not (tmp_path / "align").exists()
    run_train(study, pretrained, tmp_path / "align", state)
    before, after = read_tensors(aligned / "model"), read_tensors(tmp_path / "align" / "model")
    assert all(torch.equal(before[key], after[key]) for key in before)
    same = (tmp_path / "align" / "history.tsv").read_text()
    assert same == (aligned / "history.tsv").read_text()


def test_without_linear_path_the_transformer_learns(
    study: Any, pretrained: Path, tmp_path: Path
) -> None:
    config = {"linear_path": "none", "epochs": 15, "learning_rate": 3e-3, "condition": "direct"}
    run_train(study, pretrained, tmp_path / "align", tmp_path / "state", **config)
    history = tables.read(tmp_path / "align" / "history.tsv", "history")
    assert history["text"].iloc[-1] < history["text"].iloc[1] - 0.3
    assert history["val_two_way"].iloc[0] < 0.6
    alone = run_retrieve(study, tmp_path / "align")
    assert alone.loc[("model", "two_way_text"), "value"] > 0.6


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"voxels": "all"}, r"align\.voxels is 'all'"),
        ({"condition": "guess"}, r"align\.condition is 'guess'"),
        ({"linear_path": "lasso"}, r"align\.linear_path is 'lasso'"),
    ],
)
def test_wrong_settings(
    study: Any, pretrained: Path, tmp_path: Path, config: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        run_train(study, pretrained, tmp_path / "align", tmp_path / "state", **config)


def test_two_processes_contrast_the_clips_of_both(
    study: Any,
    pretrained: Path,
    same_weights: Callable[..., None],
    train_in: Callable[..., None],
    tmp_path: Path,
) -> None:
    """Each encodes half of a batch; loss, temperature and weights are those of one process."""
    config = json.dumps({**CONFIG, "linear_path": "none", "refit": False})
    for processes in (1, 2):
        arguments = [
            *("--pretrained", str(pretrained), "--config", config),
            *("--windows", str(study.windows), "--series-dir", str(study.series)),
            *("--voxels", str(study.voxels), "--clips", str(study.clips)),
            *("--features", *map(str, study.features)),
            *("--output", str(tmp_path / f"with{processes}")),
            *("--state", str(tmp_path / f"state{processes}")),
        ]
        train_in(processes, "boldreel.align.train", arguments)
    one, two = (read_tensors(tmp_path / f"with{processes}" / "model") for processes in (1, 2))
    same_weights(one, two)
    histories = [
        tables.read(tmp_path / f"with{processes}" / "history.tsv", "history")
        for processes in (1, 2)
    ]
    assert histories[0].columns.tolist() == histories[1].columns.tolist()
    np.testing.assert_allclose(histories[1]["loss"], histories[0]["loss"], rtol=1e-4)


def test_processes_must_part_the_batch_evenly(study: Any, pretrained: Path, tmp_path: Path) -> None:
    command = [
        *(sys.executable, "-m", "boldreel.training.launch", "2", "-m", "boldreel.align.train"),
        *("--pretrained", str(pretrained), "--windows", str(study.windows)),
        *("--series-dir", str(study.series), "--voxels", str(study.voxels)),
        *("--clips", str(study.clips), "--features", *map(str, study.features)),
        *("--output", str(tmp_path / "align"), "--state", str(tmp_path / "state")),
        *("--config", json.dumps({**CONFIG, "batch_size": 31})),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    errors = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert done.returncode == 2 and len(set(errors)) == 1  # each process may say it
    assert "align.batch_size is 31; it must be a multiple of the 2 processes" in errors[0]
    assert "Traceback" not in done.stderr and not (tmp_path / "align").exists()


@pytest.fixture(scope="module")
def others(study_writer: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """Two more subjects of the same brain and movies, each with noise of its own and fewer voxels."""
    folder = tmp_path_factory.mktemp("others")
    return [
        study_writer(folder / f"s{seed}", noise_seed=seed, lacking=16 * seed) for seed in (1, 2)
    ]


def run_pool(studies: list[Any], pretrained: Path, folder: Path, **config: Any) -> Path:
    pool.main(
        [
            *(
                "--pretrained",
                str(pretrained),
                "--subjects",
                *(f"s{k}" for k in range(len(studies))),
            ),
            *("--windows", *(str(study.windows) for study in studies)),
            *("--series-dir", *(str(study.series) for study in studies)),
            *("--voxels", *(str(study.voxels) for study in studies)),
            *("--clips", str(studies[0].clips), "--features", *map(str, studies[0].features)),
            *("--output", str(folder / "pool"), "--state", str(folder / "pool-state")),
            *("--config", json.dumps({**CONFIG, **config})),
        ]
    )
    return folder / "pool"


def test_a_pooled_encoder_serves_its_subjects_and_helps_a_new_one(
    study: Any, others: list[Any], pretrained: Path, tmp_path: Path
) -> None:
    """Others' data make a subject's few runs go further; with none of its own, they are all there is."""
    made = run_pool(others, pretrained, tmp_path)
    minutes.main(
        [
            *("--pool", str(made), "--subject", "new", "--windows", str(study.windows)),
            *("--series-dir", str(study.series), "--voxels", str(study.voxels)),
            *("--clips", str(study.clips), "--features", *map(str, study.features)),
            *("--output", str(tmp_path / "minutes.tsv"), "--config", json.dumps(CONFIG)),
        ]
    )
    table = tables.read(tmp_path / "minutes.tsv", "minutes")
    two_way = table[table["metric"] == "two_way_text"].set_index(["training", "minutes"])["value"]
    lengths = sorted(set(table["minutes"]))
    # clips of 2 s, 40 to a run; three training segments, shown twice
    assert lengths == pytest.approx([0, 80 / 60, 160 / 60, 320 / 60, 480 / 60])
    assert two_way["pooled", 0.0] > 0.75
    assert two_way["pooled", lengths[1]] > two_way["alone", lengths[1]] + 0.05
    assert two_way["pooled", lengths[-1]] >= two_way["alone", lengths[-1]] - 0.02


def test_members_of_a_pool_take_it_as_it_is_and_others_tune_it(
    study: Any, others: list[Any], pretrained: Path, tmp_path: Path
) -> None:
    made = run_pool([study, *others], pretrained, tmp_path)
    pooled = read_tensors(made / "model")
    for subject in ("s0", "new"):
        arguments = [
            *("--pretrained", str(pretrained), "--windows", str(study.windows)),
            *("--series-dir", str(study.series), "--voxels", str(study.voxels)),
            *("--clips", str(study.clips), "--features", *map(str, study.features)),
            *("--pool", str(made), "--subject", subject, "--config", json.dumps(CONFIG)),
            *("--output", str(tmp_path / subject), "--state", str(tmp_path / f"state-{subject}")),
        ]
        train.main(arguments)
        scores = run_retrieve(study, tmp_path / subject)
        assert scores.loc[("model", "two_way_text"), "value"] > 0.85
    member, tuned = (read_tensors(tmp_path / name / "model") for name in ("s0", "new"))
    same = [name for name in pooled if torch.equal(pooled[name], member[name])]
    assert set(pooled) - set(same) == {"mean_window", "calibration.floors"}
    assert int(member["present"].sum()) == int(pooled["present"].sum()) == 96 - 9
    assert not torch.equal(pooled["readout.weight"], tuned["readout.weight"])
    # the ridge next to them knows of no one else
    ridges = [read_tensors(tmp_path / name / "ridge")["readout.weight"] for name in ("s0", "new")]
    assert torch.equal(*ridges)


def run_zero_shot(studies: list[Any], output: Path) -> Any:
    zero_shot.main(
        [
            *("--subjects", *(f"s{k}" for k in range(len(studies)))),
            *("--windows", *(str(study.windows) for study in studies)),
            *("--series-dir", *(str(study.series) for study in studies)),
            *("--voxels", *(str(study.voxels) for study in studies)),
            *("--clips", str(studies[0].clips), "--features", *map(str, studies[0].features)),
            *("--align", json.dumps(CONFIG), "--config", json.dumps(RETRIEVAL)),
            *("--output", str(output)),
        ]
    )
    return tables.read(output, "metrics").set_index(["subject", "metric"])


def test_others_alone_decode_a_subject_who_shares_their_tuning(
    study: Any,
    others: list[Any],
    study_writer: Callable[..., Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nothing of the subject itself is fitted; who has no signal is not decoded, and stands in for nobody."""
    silent = study_writer(tmp_path / "silent", variance=0.0, noise_seed=5)
    table = run_zero_shot([study, *others, silent], tmp_path / "a.tsv")
    told = [line for line in capsys.readouterr().out.splitlines() if "stands in" in line]
    assert told == ["sub-s3 is not decoded in left-out segments, and stands in for nobody"]
    assert set(table["condition"]) == {"zero_shot"}
    assert table.loc[("s0", "two_way_text"), "value"] > 0.75
    assert table.loc[("s0", "two_way_text"), "p"] < 0.01
    assert 0.35 < table.loc[("s3", "two_way_text"), "value"] < 0.65
    # other training responses of the subject itself, still decoded, change nothing about it
    copy = type(study)(tmp_path / "copy", study.segments, study.n_clips)
    shutil.copytree(study.root, copy.root)
    for path in copy.series.glob("task-train*.npy"):
        np.save(path, np.load(path)[:, ::-1] * 2)
    again = run_zero_shot([copy, *others, silent], tmp_path / "b.tsv")
    assert again.loc["s0", "value"].equals(table.loc["s0", "value"])
    assert not again.loc["s1", "value"].equals(table.loc["s1", "value"])


def test_who_stands_in_for_a_subject() -> None:
    assert zero_shot.others(1, [True] * 3) == [0, 2]
    assert zero_shot.others(1, [True, True, False]) == [0]
    assert zero_shot.others(0, [True, False, False]) == [1, 2], "nobody else is decoded"
    assert zero_shot.others(0, [True] * 9) == list(range(1, 9))
    many = zero_shot.others(5, [True] * 100)
    assert len(set(many)) == zero_shot.AT_MOST and 5 not in many and max(many) > 80


def test_pooled_responses_to_clips_in_random_order_keep_their_own_times(
    study_writer: Callable[..., Any], tmp_path: Path
) -> None:
    """The second runs show clips of all segments in random order: what came before a showing is another time
    something else, so that a row may hold only showings whose times are its own."""
    study = study_writer(tmp_path, clips=8, patches=2)
    table = tables.read(study.windows, "windows")
    mixed = (table["split"] != "test") & (table["repeat"] == 2)
    order = np.random.default_rng(0).permutation(np.flatnonzero(mixed))
    table.loc[mixed, ["clip", "shot"]] = table[["clip", "shot"]].to_numpy()[order]
    table.loc[mixed, "segment"] = table.loc[mixed, "run"].str.replace("task-", "mixed")
    tables.write(study.windows, table, "windows")
    files = [study.windows], [study.series], [study.voxels], study.clips, study.features
    trials, used = pool.pooled_trials(*files, AlignSettings(**CONFIG), 2)
    assert len(trials.clip) == 2 * 4 * 8 == 2 * len(trials.features.clips)
    for x, run, times in zip(trials.x, trials.run, trials.times, strict=True):
        series = np.load(study.series / f"{run.removeprefix('0/')}.npy")
        np.testing.assert_allclose(x[:, used], series[(times / 2).astype(int)][:, used])
    by_clip, _ = pool.pooled_trials(*files, AlignSettings(**{**CONFIG, "linear_path": "ridge"}), 2)
    assert by_clip.clip.tolist() == list(range(4 * 8))
    # repeats in one order are a row, whatever the design
    ordered = study_writer(tmp_path / "ordered", clips=8, patches=2)
    files = [ordered.windows], [ordered.series], [ordered.voxels], ordered.clips, ordered.features
    trials, _ = pool.pooled_trials(*files, AlignSettings(**CONFIG), 2)
    assert trials.clip.tolist() == list(range(4 * 8))


def test_nothing_pooled_sees_test_runs(
    study: Any, others: list[Any], pretrained: Path, tmp_path: Path
) -> None:
    copies = []
    for k, one in enumerate([study, *others]):
        copy = type(one)(tmp_path / f"study{k}", one.segments, one.n_clips)
        shutil.copytree(one.root, copy.root)
        for path in copy.series.glob("task-test*.npy"):
            np.save(path, np.load(path)[::-1] * 2)
        copies.append(copy)
    before = run_pool([study, *others], pretrained, tmp_path / "a")
    after = run_pool(copies, pretrained, tmp_path / "b")
    first, second = (read_tensors(folder / "model") for folder in (before, after))
    assert all(torch.equal(first[name], second[name]) for name in first)
