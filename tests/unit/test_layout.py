"""Paths of results: what a finished run has, found by the methods' names."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest
from tests import fixtures_results

from boldreel.layout import Layout

# Paths of a finished run with subject 01, segment or movie train01 and test01, as its files lie.
FILES = {
    "log": "logs/demo/roi/template.log",
    "benchmarks": "results/demo/benchmarks",
    "benchmark": "results/demo/benchmarks/roi/template.tsv",
    "state": "state/demo/align/sub-01",
    "resolved_configuration": "results/demo/config.resolved.yaml",
    "forgotten": "results/demo/forgotten.tsv",
    "bids": "results/demo/bids",
    "bids_document": "results/demo/bids/participants.tsv",
    "simulated_movie": "results/demo/bids/stimuli/train01.mp4",
    "simulated_shots": "results/demo/bids/stimuli/train01.tsv",
    "simulated_t1w": "results/demo/bids/sub-01/anat/sub-01_T1w.nii.gz",
    "simulated_t1w_sidecar": "results/demo/bids/sub-01/anat/sub-01_T1w.json",
    "simulated_runs": "results/demo/bids/sub-01/func/sub-01_",
    "true_drive": "results/demo/truth/drive",
    "true_runs": "results/demo/truth/sub-01/",
    "true_anatomy": "results/demo/truth/sub-01/anatomy.json",
    "true_encoding": "results/demo/truth/sub-01/encoding.npz",
    "true_epi": "results/demo/truth/sub-01/epi.npz",
    "frames": "results/demo/stimuli/train01/frames.npy",
    "frames_sidecar": "results/demo/stimuli/train01/frames.json",
    "shots": "results/demo/stimuli/train01/shots.tsv",
    "features": "results/demo/stimuli/train01/features",
    "clips": "results/demo/clips.parquet",
    "derivatives": "results/demo/derivatives/embedded",
    "preprocessed_anatomy": "results/demo/derivatives/embedded/sub-01/anat/"
    "sub-01_desc-brain_mask.nii.gz",
    "preprocessed_run": "results/demo/derivatives/embedded/sub-01/func/"
    "sub-01_task-train01_run-1_desc-confounds_timeseries.tsv",
    "preprocessed_bold": "results/demo/derivatives/embedded/sub-01/func/"
    "sub-01_task-train01_run-1_space-MNI152NLin2009aSym_desc-preproc_bold.nii",
    "checked": "results/demo/sub-01/checked.json",
    "run_table": "results/demo/sub-01/bold.tsv",
    "quality": "results/demo/sub-01/qc.tsv",
    "quality_page": "results/demo/sub-01/qc.html",
    "quality_figures": "results/demo/sub-01/figures",
    "twins": "results/demo/twins.json",
    "positions": "results/demo/atlas/positions.parquet",
    "control_positions": "results/demo/atlas/control.parquet",
    "series": "results/demo/sub-01/series/task-train01_run-1.npy",
    "series_sidecar": "results/demo/sub-01/series/task-train01_run-1.json",
    "control_series": "results/demo/sub-01/roi/control",
    "voxels": "results/demo/sub-01/roi/voxels.parquet",
    "presentations": "results/demo/sub-01/presentations.tsv",
    "overlaps": "results/demo/overlaps.json",
    "hrf": "results/demo/sub-01/hrf.tsv",
    "activity": "results/demo/sub-01/activity/task-train01_run-1.npy",
    "activity_sidecar": "results/demo/sub-01/activity/task-train01_run-1.json",
    "sweep": "results/demo/sub-01/sweep.tsv",
    "choice": "results/demo/sub-01/choice.json",
    "windows": "results/demo/sub-01/windows.parquet",
    "noise_ceiling": "results/demo/sub-01/noise_ceiling.parquet",
    "intersubject": "results/demo/intersubject.parquet",
    "audit": "results/demo/audit.json",
    "corpus": "results/demo/corpus",
    "noise": "results/demo/noise/rest",
    "pretrained": "results/demo/pretrain/rest",
    "pretraining_history": "results/demo/pretrain/rest/history.tsv",
    "pretraining_scores": "results/demo/pretrain/rest/scores.tsv",
    "masked_example": "results/demo/pretrain/rest/example.parquet",
    "pooled_encoder": "results/demo/align/without-01",
    "encoder": "results/demo/sub-01/align/model",
    "ridge": "results/demo/sub-01/align/ridge",
    "alignment_history": "results/demo/sub-01/align/history.tsv",
    "retrieval": "results/demo/sub-01/align/retrieval.tsv",
    "test_predictions": "results/demo/sub-01/align/test",
    "repeats": "results/demo/sub-01/align/repeats.tsv",
    "rois": "results/demo/sub-01/align/rois.tsv",
    "scaling": "results/demo/sub-01/align/scaling.tsv",
    "attention": "results/demo/sub-01/align/attention.parquet",
    "attention_regions": "results/demo/sub-01/align/attention.tsv",
    "other_subject": "results/demo/group/other_subject.tsv",
    "zero_shot": "results/demo/group/zero_shot.tsv",
    "shuffled_pretrained": "results/demo/ablation/pretrained-shuffled",
    "ablated": "results/demo/ablation/sub-01/full-1.parquet",
    "ablation": "results/demo/group/ablation.tsv",
    "left_out": "results/demo/sub-01/align/left_out.npy",
    "sketch_decoder": "results/demo/sub-01/align/sketch",
    "sketch_left_out": "results/demo/sub-01/align/sketch_left_out.npy",
    "attributes": "results/demo/sub-01/align/attributes.tsv",
    "minutes": "results/demo/sub-01/align/minutes.tsv",
    "latents": "results/demo/generator/latents/train01.npy",
    "latents_sidecar": "results/demo/generator/latents/train01.json",
    "generator": "results/demo/generator/model",
    "generator_history": "results/demo/generator/history.tsv",
    "generator_strip": "results/demo/generator/strip.png",
    "generator_strips": "results/demo/generator/strips",
    "cotrained": "results/demo/sub-01/cotrain",
    "cotraining_history": "results/demo/sub-01/cotrain/history.tsv",
    "conditions": "results/demo/sub-01/conditions",
    "reconstructions": "results/demo/sub-01/reconstruction/mindvideo",
    "reconstruction": "results/demo/sub-01/reconstruction/mindvideo/shard-0",
    "movie_cuts": "results/demo/sub-01/reconstruction/mindvideo/shard-0/movie/cuts.tsv",
    "control": "results/demo/sub-01/reconstruction/control-mean",
    "method_control": "results/demo/sub-01/reconstruction/mindvideo/control-mean",
    "upper_bounds": "results/demo/reconstruction/true_features",
    "upper_bound": "results/demo/reconstruction/true_features/shard-0",
    "method_videos": "results/demo/methods/mindvideo/videos",
    "method_fit": "results/demo/sub-01/methods/mindvideo/fit",
    "reference": "results/demo/evaluation/reference",
    "readings": "results/demo/sub-01/evaluation/shard-0",
    "clip_scores": "results/demo/sub-01/metrics.parquet",
    "scores": "results/demo/sub-01/scores.tsv",
    "nearest": "results/demo/sub-01/nearest.tsv",
    "method_clip_scores": "results/demo/sub-01/methods/mindvideo/metrics.parquet",
    "method_scores": "results/demo/sub-01/methods/mindvideo/scores.tsv",
    "between": "results/demo/sub-01/between.tsv",
    "metrics": "results/demo/group/metrics.tsv",
    "figures": "results/demo/group/figures",
    "page": "results/demo/report.html",
}
VALUES = {
    "subject": "01",
    "segment": "train01",
    "repeat": 1,
    "batch": "train01",
    "cohort": "rest",
    "pool": "without-01",
    "ablation": "full",
    "seed": 1,
    "method": "mindvideo",
    "shard": 0,
    "control": "mean",
}
# What has no wildcard: the arguments of each method that the files above were named with.
GIVEN = {
    "log": {"stage": "roi", "name": "template"},
    "benchmark": {"stage": "roi", "name": "template"},
    "state": {"stage": "align", "name": "sub-01"},
    "bids_document": {"name": "participants.tsv"},
    "derivatives": {"pipeline": "embedded"},
    "preprocessed_anatomy": {"ending": "desc-brain_mask.nii.gz"},
    "preprocessed_run": {"ending": "desc-confounds_timeseries.tsv"},
}
SEARCHES = {"below", "find", "subject_of"}
METHODS = {
    name: method
    for name, method in inspect.getmembers(Layout, inspect.isfunction)
    if not name.startswith("_") and name not in SEARCHES
}


def path(name: str, **values: object) -> str:
    """What a method gives, with the values of those arguments that it has."""
    wanted = inspect.signature(METHODS[name]).parameters
    kept = {key: value for key, value in values.items() if key in wanted}
    return getattr(Layout("results/demo"), name)(**kept, **GIVEN.get(name, {}))


def test_every_path_is_where_its_file_lies():
    assert {name: path(name, **VALUES) for name in METHODS} == FILES


@pytest.mark.parametrize("values", [VALUES, {}], ids=["files", "patterns"])
def test_no_two_methods_give_the_same_path(values):
    paths = [path(name, **values) for name in METHODS]
    assert len(set(paths)) == len(paths)


def test_what_is_left_out_is_its_wildcard():
    """A pattern filled in is the file: each argument stands where its wildcard stands."""
    for name in METHODS:
        pattern = path(name)
        wildcards = VALUES.keys() & inspect.signature(METHODS[name]).parameters.keys()
        assert all(f"{{{wildcard}}}" in pattern for wildcard in wildcards), name
        assert pattern.format(**VALUES) == FILES[name]
        assert path(name, subject="02") == pattern.replace("{subject}", "02")


def test_every_method_says_what_its_file_is():
    for name, method in METHODS.items():
        assert method.__doc__ and "\n" not in method.__doc__ and method.__doc__.endswith("."), name


def test_states_and_logs_can_lie_elsewhere():
    layout = Layout("scratch/demo", state="prefix/state/demo", logs="out/logs/demo")
    assert layout.state("generator") == "prefix/state/demo/generator"
    assert layout.log("generator", "tune") == "out/logs/demo/generator/tune.log"
    assert layout.benchmark("generator", "tune") == "scratch/demo/benchmarks/generator/tune.tsv"


def test_all_results_of_a_run_are_known(tmp_path):
    """Every file of a tree of results is a path of the layout, or inside a folder that is one."""
    root = fixtures_results.build(tmp_path / "results[1]" / "demo", clips=4, size=16)
    fixtures_results.invent_scores(root)
    layout = Layout(str(root))
    known = set()
    for name in METHODS.keys() - {"log", "state", "benchmarks", "bids"}:
        values = {key: "*" for key in VALUES}
        wanted = inspect.signature(METHODS[name]).parameters
        kept = {key: value for key, value in values.items() if key in wanted}
        kept |= {key: "*" for key in GIVEN.get(name, {})}
        known |= set(layout.find(getattr(layout, name)(**kept)))
    files = [file for file in root.rglob("*") if file.is_file()]
    lost = [
        str(file)
        for file in files
        if known.isdisjoint(map(str, [file, *file.parents])) and file.suffix != ".json"
    ]
    assert len(files) > 30 and not lost


def test_what_is_there_is_found(tmp_path):
    """In a folder with any name; what a step has not finished is not taken for a result."""
    layout = Layout(str(tmp_path / "a [b] *" / "demo"))
    for subject in ("03", "01"):
        Path(layout.control(subject, "mean")).mkdir(parents=True)
    Path(layout.control("01", "mean")).with_name(".12345678.control-noise").mkdir()
    Path(layout.pretrained(".87654321.rest")).mkdir(parents=True)
    found = layout.find(layout.control("*", "*"))
    assert found == [layout.control("01", "mean"), layout.control("03", "mean")]
    assert [layout.subject_of(path) for path in found] == ["01", "03"]
    assert layout.find(layout.pretrained("*")) == []
    assert layout.below(found[0]) == "sub-01/reconstruction/control-mean"


def test_only_the_standard_library_is_imported():
    """Thousands of jobs and every plan ask for it."""
    code = "import sys; import boldreel.layout; print({'pandas', 'numpy', 'yaml'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
