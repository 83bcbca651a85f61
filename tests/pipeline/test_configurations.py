"""The configurations that are shipped, planned on data of the right shape, names and counts."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from tests import fixtures_cc2017
from tests.fixtures_cifti import write_dense

from boldreel.bold import cc2017
from boldreel.data import tables

from .workflow import Workspace, copy_of_repository

pytestmark = pytest.mark.pipeline

# Some of its segments, seen by the demo's models: none is there to be fetched.
SMALL_CC2017 = """
segments: {train: [seg1, seg2, seg3], validation: [seg3], test: [test1]}
models: {clip: base_models/clip, diffusion: base_models/diffusion, caption: null}
stimuli: {size: 64, frame_rate: 1.0}
roi: {groups: [early]}
windows: {windows: [1], permutations: 100}
"""


@pytest.fixture
def workspace(tmp_path, cc2017_archive) -> Workspace:
    """A fresh copy with subjects 1 and 3 of cc2017 laid out, and two subjects of the HCP."""
    made = copy_of_repository(tmp_path)
    cc2017.lay_out(cc2017_archive, ["1", "3"], tmp_path / "data" / "cc2017")
    (tmp_path / "config" / "datasets" / "cc2017.tsv").write_text("subject\n01\n03\n")
    (tmp_path / "config" / "hcp.tsv").write_text("subject\n100307\n100408\n")
    for subject in ("100307", "100408"):
        for run in ("rfMRI_REST1_LR", "rfMRI_REST1_RL", "tfMRI_MOVIE1_7T_AP"):
            folder = tmp_path / "data/hcp" / subject / "MNINonLinear/Results" / run
            path = folder / f"{run}_Atlas_MSMAll_hp2000_clean.dtseries.nii"
            write_dense(path, np.zeros((3, 5), np.float32), t_r=0.72, left=3, right=2)
    return made


def test_cc2017(workspace):
    workspace.configuration = "config/datasets/cc2017.yaml"
    jobs = workspace.planned()
    rules = [rule for rule, _ in jobs]
    # 36 training and 50 test runs of each, without the late one of subject 3
    assert rules.count("roi_series") == 86 + 85
    assert rules.count("bold_adopt") == 2 and "bold_run" not in rules
    assert rules.count("reconstruct_sample") == 2 * 8
    corpus = workspace.planned("results/cc2017/corpus")
    assert not [wildcards for _, wildcards in corpus if "segment=test" in wildcards]


def test_base_models_are_looked_for_before_the_first_job(workspace, monkeypatch):
    """Without a network a plan warns of all that are not in the hub's cache, and a start is refused."""
    workspace.configuration = "config/datasets/cc2017.yaml"
    monkeypatch.setenv("HF_HOME", str(workspace.root / "huggingface"))
    words = ["--config", "pretrain={subjects: [01, 03]}"]
    line = "models.image_classifier (google/vit-base-patch16-224@"
    command = "python -m boldreel.base_models clip=openai/clip-vit-large-patch14@"
    planned = workspace.run("--dry-run", "--quiet", *words)
    assert planned.returncode == 0, planned.stderr
    (warning,) = [text for text in planned.stderr.splitlines() if line in text]
    assert warning.startswith("warning: ") and command in warning
    started = workspace.run(*words)
    (error,) = [text for text in started.stderr.splitlines() if text.startswith("error: ")]
    assert started.returncode != 0 and line in error and command in error
    assert not list(workspace.root.glob("results/cc2017/**/*.json")), "no job has begun"
    # what needs no such model begins all the same, and a folder that is not there stops a plan too
    partial = workspace.run("results/cc2017/atlas/positions.parquet", *words)
    assert "boldreel.base_models" not in partial.stderr.split("Building DAG")[1]
    missing = workspace.run("--dry-run", *words, "models={caption: models/of/blip}")
    assert "error: models.caption: models/of/blip: no such folder" in missing.stderr
    assert missing.returncode != 0


@pytest.mark.parametrize("preset", ["base", "mindvideo"])
def test_every_preset_for_own_data_is_planned_whole(workspace, preset):
    """To the page, and with the ablations; the demo's is planned by every other test.

    A template in a rule is no wildcard of Snakemake's.
    """
    workspace.configuration = "config/datasets/cc2017.yaml"
    rules = "presentations={rules: [{stimulus: '{task}.mp4'}]}"
    jobs = workspace.planned("all", "ablation", "--config", f"preset={preset}", rules)
    rules = {rule for rule, _ in jobs}
    assert {"generator_tune", "generator_cotrain", "report_page", "ablate_table"} <= rules
    assert not [rule for rule in rules if rule.startswith("insilico")]


def test_hcp_as_pretraining_corpus(workspace):
    """Resting and movie runs of subjects who have no raw data here, next to cc2017's own."""
    workspace.configuration = "config/datasets/cc2017.yaml config/hcp.yaml"
    jobs = workspace.planned("results/cc2017/corpus")
    read = [wildcards for rule, wildcards in jobs if rule == "roi_series"]
    assert len(read) == 6 and all("subject=100" in wildcards for wildcards in read)
    assert sum("segment=MOVIE1AP" in wildcards for wildcards in read) == 2


def test_cc2017_and_hcp_as_far_as_a_cpu_goes(tmp_path, cc2017_headers):
    """Archive to windows and corpus on runs of 91,282 grayordinates: responses are found where and when
    they were put, by the clock of the data set."""
    workspace = copy_of_repository(tmp_path)
    archive = fixtures_cc2017.archive(tmp_path / "archive", cc2017_headers)
    cc2017.lay_out(archive, ["1"], tmp_path / "data" / "cc2017")
    shown = ["seg1", "seg2", "seg3", "test1"]
    bids = tmp_path / "data" / "cc2017" / "bids"
    fixtures_cc2017.show(archive, bids, shown, cc2017_headers[245])
    (tmp_path / "config" / "datasets" / "cc2017.tsv").write_text("subject\n01\n")
    (tmp_path / "config" / "hcp.tsv").write_text("subject\n100307\n100408\n")
    for number, subject in enumerate(("100307", "100408")):
        results = tmp_path / "data/hcp" / subject / "MNINonLinear/Results"
        fixtures_cc2017.resting(results / "rfMRI_REST1_LR", number)
    (tmp_path / "config" / "small.yaml").write_text(SMALL_CC2017)
    shutil.copytree(tmp_path / "resources" / "insilico", tmp_path / "base_models")
    workspace.configuration = "config/datasets/cc2017.yaml config/hcp.yaml config/small.yaml"
    made = tmp_path / "results" / "cc2017"
    targets = ["sub-01/noise_ceiling.parquet", "audit.json", "corpus"]
    done = workspace.run(*(f"results/cc2017/{name}" for name in targets))
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    choice = json.loads((made / "sub-01" / "choice.json").read_text())
    assert choice["source"] == "sweep"
    # A clip of 2 s has its largest response 6 s after it came on.
    assert abs(choice["lag_estimate"] - 6) < 1 and choice["best"]["score"] > 0.9
    voxels = tables.read(made / "sub-01" / "roi" / "voxels.parquet", "voxels")
    ceiling = tables.read(made / "sub-01" / "noise_ceiling.parquet", "noise_ceiling")
    known = ceiling[ceiling["split"] == "test"].set_index("position")["ceiling_mean"]
    assert known[voxels["present"].to_numpy()].median() > 0.5
    assert (voxels.loc[voxels["present"], "reliability"] > 0).mean() > 0.8
    positions = int(voxels["present"].sum())
    assert positions == 1618 + 1220 + 684 + 661, "V1 to V4 of both hemispheres"
    corpus = tables.read(made / "corpus" / "manifest.parquet", "corpus")
    assert set(corpus["subject"]) == {"100307", "100408"} and corpus["n"].sum() == 2 * 120


def test_a_number_in_braces_on_the_command_line(tmp_path):
    """It overrides one key, leaves the rest of the section alone, and reaches the step as a number."""
    workspace = copy_of_repository(tmp_path)
    told = "align={epochs: 7}"
    done = workspace.run("--dry-run", "results/demo/sub-01/align/model", "--config", told)
    text = done.stdout + done.stderr
    assert done.returncode == 0, text[-3000:]
    command = workspace.shell_command("boldreel.align.train", "--subject 01", text)
    align = json.loads(command[command.index("--config") + 1])
    assert align["epochs"] == 7 and align["depth"] == 2


def test_own_bids(workspace):
    """config/bids.yaml on a data set that is not there: one line."""
    workspace.configuration = "config/bids.yaml"
    done = workspace.run("--dry-run")
    text = done.stdout + done.stderr
    assert done.returncode != 0 and "Traceback" not in text and "data/mine" in text
