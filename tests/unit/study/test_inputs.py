"""Inputs of rules: the files of a study that a job reads, by subject."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests import fixtures_bids

from boldreel.errors import UserError
from boldreel.layout import Layout
from boldreel.study.inputs import Inputs
from boldreel.study.study import Study

KERNEL = {"windows": {"hrf": {"mode": "kernel"}}}


def inputs(study: Study, **more) -> Inputs:
    return Inputs(study, Layout(study.results), **more)


def marked(path) -> str:
    return f"existing:{path}"


@pytest.fixture(scope="module")
def demo() -> Study:
    return fixtures_bids.demo()


def test_responses_are_the_series_of_a_split_or_deconvolved(tree):
    own = fixtures_bids.own(tree)
    found = inputs(own)
    below = f"{own.results}/sub-01"
    names = ["task-film1_run-1", "task-film1_run-2", "task-film2_run-1"]
    assert found.responses("01", "train") == [f"{below}/series/{name}.npy" for name in names]
    assert found.responses("01", "train") == found.series("01", "train")
    kernel = inputs(fixtures_bids.own(tree, **KERNEL))
    assert kernel.responses("01", "train") == [f"{below}/activity/{name}.npy" for name in names]
    assert kernel.series("01", "train") == found.series("01", "train"), "learnt from these"
    assert kernel.study.learnt and not own.learnt


def test_pretraining_reads_no_test_run_and_training_no_other(tree):
    found = inputs(fixtures_bids.own(tree))
    kinds = {Path(path).stem for path in found.untested_series("01")}
    assert "task-rest_run-1" in kinds and "task-probe_run-1" not in kinds
    fitted = found.responses("01", "train", "validation")
    assert len(fitted) == 4 and not [path for path in fitted if "probe" in path or "rest" in path]


def test_sidecars_of_results_are_inputs_only_if_results_are_in_a_storage(demo):
    local, remote = inputs(demo), inputs(demo, stored=True)
    path = "results/demo/sub-01/series/task-test01_run-1.npy"
    bold = "results/demo/derivatives/embedded/sub-01/func/sub-01_desc-preproc_bold.nii"
    assert local.sidecars([path, bold]) == [] == local.staged(["a"])
    assert remote.sidecars([path, bold]) == [f"{path[:-4]}.json", f"{bold[:-4]}.json"]
    assert remote.staged(iter(["a"])) == ["a"]
    both = remote.responses_and_sidecars("01", "test")
    assert len(both["series"]) == len(both["sidecars"]) == 20
    assert [p[:-4] for p in both["series"]] == [p[:-5] for p in both["sidecars"]]


def test_own_sidecars_are_inputs_if_they_exist(tree):
    found = inputs(fixtures_bids.own(tree), existing=marked)
    runs = found.study.runs["01"][:2]
    stems = [run.bold.removesuffix(".nii.gz") for run in runs]
    Path(f"{stems[0]}.json").unlink()
    raw = [run.bold for run in runs]
    assert found.sidecars(raw) == [marked(f"{stems[1]}.json")]
    dense = tree / "a_bold.dtseries.nii"
    for name in ("a_bold.json", "a_bold.dtseries.json"):
        (tree / name).write_text("{}")
    assert found.sidecars([str(dense)]) == [
        marked(tree / "a_bold.json"),
        marked(tree / "a_bold.dtseries.json"),
    ]


def test_only_files_that_no_rule_makes_are_marked(tree, demo):
    own = inputs(fixtures_bids.own(tree), existing=marked)
    simulated = inputs(demo, existing=marked)
    for found, is_marked in ((own, True), (simulated, False)):
        run = found.study.runs["01"][0]
        raw = found.raw_run("01", run.segment, str(run.repeat))["bold"]
        paths = [raw, *found.events("01"), *found.movie_files(), *found.annotations()]
        assert len(paths) > 5
        assert {path.startswith("existing:") for path in paths} == {is_marked}
    assert own.batch("film2")["movie"] == [marked(tree / "stimuli" / "film2.mp4")]
    assert not own.responses("01")[0].startswith("existing:")


def test_mistakes_go_where_the_caller_says(tree):
    own = fixtures_bids.own(tree)
    with pytest.raises(UserError, match="no anat"):
        inputs(own).t1w("01")
    with pytest.raises(UserError, match="no run 9 of segment film1"):
        inputs(own).raw_run("01", "film1", "9")

    def or_exit(function, *arguments):
        try:
            return function(*arguments)
        except UserError as error:
            raise SystemExit(f"error: {error}") from None

    with pytest.raises(SystemExit, match=r"error: .*no anat"):
        inputs(own, or_exit=or_exit).t1w("01")


def test_features_and_movies_by_split(tree):
    found = inputs(fixtures_bids.own(tree))
    assert found.movies("train", "validation") == ["film1", "film2", "film3"]
    assert found.features("test") == [f"{found.study.results}/stimuli/probe/features"]
    assert found.annotations("film1") == []
    assert found.annotations("probe") == [str(tree / "stimuli" / "probe.tsv")]


def test_simulated_files_are_those_of_the_runs(demo):
    found = inputs(demo)
    bold = found.simulated(found.layout.simulated_runs("01"), "_bold.nii")
    assert sorted(bold) == sorted(run.bold for run in demo.runs["01"])
    rest = found.simulated(found.layout.simulated_runs("rest01"), "_bold.nii", rest=True)
    assert sorted(rest) == sorted(run.bold for run in demo.runs["rest01"])
    assert not set(found.raw_bold(demo.runs["01"])) - set(bold)


def test_a_run_is_its_files_or_the_table_of_adopted_runs(tree, demo):
    found = inputs(demo)
    run = found.run("01", "test01", 1)
    assert set(run) == {"bold", "sidecars", "confounds"}
    stem = "results/demo/derivatives/embedded/sub-01/func/sub-01_task-test01_run-1_"
    assert run["bold"].startswith(stem) and run["confounds"].startswith(stem)
    runs = found.control_runs("01")
    assert len(runs["bold"]) == len(runs["confounds"]) == 10 + 20, "train and test, no validation"
    assert run["bold"] in runs["bold"] and not [p for p in runs["bold"] if "train06" in p]
    adopted = inputs(fixtures_bids.own(tree, bold={"engine": "fmriprep-docker"}))
    table = {"runs": f"{adopted.study.results}/sub-01/bold.tsv"}
    assert adopted.run("01", "film1", 1) == adopted.control_runs("01") == table
    quality = found.run_quality("01")
    assert len(quality) == 4 * len(demo.runs["01"]) and run["confounds"] in quality


def test_the_atlas_is_a_table_of_the_library_or_own_files(tree, demo):
    (built_in,) = inputs(demo, existing=marked).positions()["atlas"]
    assert built_in.endswith("boldreel/roi/tables/visual_centres.tsv")
    assert Path(built_in.removeprefix("existing:")).is_file()
    labels, mask = tree / "labels.nii.gz", tree / "mask.nii.gz"
    for path in (labels, mask, tree / "labels.tsv"):
        path.write_bytes(b"")
    own = fixtures_bids.own(
        tree, bold={"engine": "embedded"}, roi={"atlas": str(labels), "mask": str(mask)}
    )
    found = inputs(own).positions()
    assert found == {"atlas": [str(labels), str(tree / "labels.tsv"), str(mask)], "runs": []}
    adopted = fixtures_bids.own(tree, bold={"engine": "fmriprep-docker"})
    assert inputs(adopted).positions()["runs"] == [f"{own.results}/sub-01/bold.tsv"]


def test_weights_are_files_of_local_models_only(tree):
    (tree / "one.safetensors").write_bytes(b"")
    models = {"alexnet": str(tree / "one.safetensors"), "clip": "openai/clip-vit-large-patch14"}
    found = inputs(fixtures_bids.own(tree, models=models), existing=marked)
    assert found.weights("clip", "alexnet") == [marked(tree / "one.safetensors")]
    local = inputs(fixtures_bids.demo())
    read = local.weights("clip")
    assert read and all("clip" in path for path in read)


def test_controls_of_a_method(tree):
    own = fixtures_bids.own(tree, reconstruct={"seeds": 3})
    found = inputs(own, stored=True)
    folders = found.method_control_folders("linear")
    assert [Path(folder).name for folder in folders] == [
        "control-mean",
        "control-noise",
        "control-other",
    ]
    needed = found.method_controls("01")
    assert needed["fitted"] == found.responses("01", "train", "validation")
    assert needed["other_series"] == found.responses("02", "test")
    assert needed["other_sidecars"] == found.sidecars(needed["other_series"])
    assert needed["other_windows"] == found.layout.windows("02")
    noise = fixtures_bids.own(tree, reconstruct={"controls": ["noise"]})
    assert inputs(noise).method_controls("01") == {}


def test_areas_of_control_are_not_deconvolved(tree, demo):
    assert demo.roi.control_groups and set(inputs(demo).control_series("01")) == {
        "control_positions",
        "control_series",
    }
    assert inputs(fixtures_bids.own(tree, **KERNEL)).control_series("01") == {}


def test_evidence_is_what_has_been_made(tree):
    own = fixtures_bids.own(tree)
    layout = Layout(own.results)
    assert inputs(own).evidence() == []
    Path(layout.minutes("02")).parent.mkdir(parents=True)
    Path(layout.minutes("02")).write_text("")
    assert inputs(own).evidence() == [layout.minutes("02")]
    every = inputs(own, made=lambda path: True).evidence()
    assert every == [layout.ablation(), layout.minutes("01"), layout.minutes("02")]


def test_files_below_a_folder_leave_out_hidden_ones(tree):
    more = tree / "more"
    (more / "deep").mkdir(parents=True)
    for name in ("b.mp4", ".hidden", "deep/a.mp4"):
        (more / name).write_bytes(b"")
    found = inputs(fixtures_bids.own(tree)).files_below(str(more))
    assert found == [str(more / "b.mp4"), str(more / "deep" / "a.mp4")]
