"""Parameters of rules: JSON of sections, options of command lines, folders and memory."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace

import pytest
from tests import fixtures_bids

from boldreel.study import parameters
from boldreel.study.parameters import Parameters

ONE = SimpleNamespace(subject="01")


def of(tree, **more) -> Parameters:
    return Parameters(fixtures_bids.own(tree, **more))


def test_a_section_is_read_whole_or_by_keys(tree):
    found = of(tree, seed=7)
    whole = json.loads(found.section("align"))
    assert whole["seed"] == 7 and "epochs" in whole
    assert "processes" in found.config["align"] and "processes" not in whole
    part = json.loads(found.section("align", keep=["epochs", "processes"], method="mine"))
    assert part == {"seed": 7, "epochs": whole["epochs"], "method": "mine"}
    rest = json.loads(found.section("align", leave_out=["epochs"]))
    assert whole.keys() - rest.keys() == {"epochs"}
    assert json.loads(found.section("align", epochs=3))["epochs"] == 3, "more replaces"
    assert found.section("align") == json.dumps(whole, sort_keys=True), "the same text each time"


def test_options_of_a_method(tree):
    found = of(
        tree, methods=["mindvideo", "linear"], method_options={"linear": {"readout": "nearest"}}
    )
    assert json.loads(found.method_options("linear"))["readout"] == "nearest"
    seed = found.config["seed"]
    assert json.loads(found.method_options("cvgan")) == {"seed": seed}


def test_memory_doubles_with_each_attempt(tree):
    found = of(tree, memory_factor=1.5)
    assert [found.memory(1000)(ONE, attempt) for attempt in (1, 2, 3)] == [1500, 3000, 6000]
    assert found.memory(1000, factor=1)(ONE, 1) == 1000


def test_memory_of_pairs_grows_with_the_square_of_positions(tree, tmp_path):
    found = of(tree, memory_factor=1).memory_of_pairs(1000, 10, lambda input: input.series[0])
    sidecar = tmp_path / "run.json"
    given = SimpleNamespace(series=[str(tmp_path / "run.npy")])
    assert found(ONE, given, 2) == 2000, "planned before the file is there"
    sidecar.write_text(json.dumps({"shape": [120, 1000]}))
    assert found(ONE, given, 1) == 1000
    sidecar.write_text(json.dumps({"shape": [120, 10000]}))
    assert [found(ONE, given, attempt) for attempt in (1, 2)] == [8000, 16000]
    sidecar.write_text("")
    assert found(ONE, given, 1) == 1000, "empty, as `--touch` leaves it"


def test_code_is_a_hash_for_each_step():
    one, two = parameters.code("roi.series"), parameters.code("roi.voxels")
    assert one != two and parameters.code("roi.series", "roi.voxels") == f"{one} {two}"


def test_a_pattern_of_labels_matches_nothing_else():
    pattern = re.compile(parameters.one_of(["01", "02"]))
    assert pattern.fullmatch("02") and not pattern.fullmatch("0102")
    assert not re.fullmatch(parameters.one_of([]), "") and not re.search(
        parameters.one_of([]), "01"
    )


def test_folders_of_inputs_and_outputs():
    given = SimpleNamespace(series=["a/b/1.npy", "a/b/2.npy", "a/c/1.npy"], table="in/x.tsv")
    out = SimpleNamespace(table="out/deep/x.tsv")
    assert parameters.folder_of("series")(ONE, given, out) == "a/b"
    assert parameters.folder_of("series", 2)(ONE, given, out) == "a"
    assert parameters.folder_of("table")(ONE, given, out) == "out/deep", "an output comes first"
    assert parameters.folders_of("series")(ONE, given) == ["a/b", "a/c"]


def test_captioning_needs_a_gpu_unless_all_is_described(tree):
    models = {"caption": "Salesforce/blip-image-captioning-base"}
    assert of(tree, models=models).captioning() == {"gpu": 1}
    assert of(tree, models={"caption": None}).captioning() == {}
    for name in ("film1", "film2", "film3"):
        (tree / "stimuli" / f"{name}.tsv").write_text("")
    assert of(tree, models=models).captioning() == {}


def test_judges_are_the_models_that_are_named(tree):
    names = {"image_classifier": "a/image", "video_classifier": "a/video", "clip": "a/clip"}
    found = of(tree, models={**names, "alexnet": None, "caption": None, "sentence": None})
    assert found.judges(ONE) == [
        *("--image-classifier", "a/image", "--video-classifier", "a/video"),
        *("--clip-model", "a/clip"),
    ]
    assert found.model("clip")(ONE) == "a/clip"
    with pytest.raises(KeyError):
        found.model("alexnet")(ONE)


def test_runs_are_words_of_a_command_line(tree):
    found = of(tree, bold={"engine": "embedded"})
    labels = found.file_labels(ONE)
    assert labels[0] == "task-film1_run-1" and labels[-1] == "task-rest_run-1" and len(labels) == 6
    bold = SimpleNamespace(bold=["a.nii", "b.nii"], runs="bold.tsv")
    assert found.control_runs(ONE, bold) == ["--bold", "a.nii", "b.nii"]
    adopted = of(tree, bold={"engine": "fmriprep-docker"})
    assert adopted.control_runs(ONE, bold) == [
        *("--runs", "bold.tsv", "--labels"),
        *("task-film1_run-1", "task-film1_run-2", "task-film2_run-1", "task-probe_run-1"),
    ]


def test_controls_of_a_method_are_options_if_it_has_any(tree):
    found = of(tree, reconstruct={"control_clips": 5})
    other = SimpleNamespace(other_windows="w.parquet", other_series=["s/a.npy", "s/b.npy"])
    options = ["--other-windows", "w.parquet", "--other-series", "s"]
    assert found.other_subject(ONE, other) == options
    out = SimpleNamespace(controls=["c/mean", "c/other"])
    assert found.method_controls(ONE, other, out) == [
        *("--control-clips", 5, *options),
        *("--controls", "c/mean", "c/other"),
    ]
    assert found.method_controls(ONE, other, SimpleNamespace(controls=[])) == []
    alone = of(tree, reconstruct={"control_clips": 5, "controls": ["mean"]})
    assert "--other-series" not in alone.method_controls(ONE, other, out)
