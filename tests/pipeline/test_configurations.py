"""The configurations that are shipped, planned on data of the right shape, names and counts."""

from __future__ import annotations

import numpy as np
import pytest
from tests.fixtures_cifti import write_dense

from boldreel.bold import cc2017

from .workflow import Workspace, copy_of_repository

pytestmark = pytest.mark.pipeline


@pytest.fixture
def workspace(tmp_path, cc2017_archive) -> Workspace:
    """A fresh copy with subjects 1 and 3 of cc2017 laid out, and two subjects of the HCP."""
    made = copy_of_repository(tmp_path)
    cc2017.lay_out(cc2017_archive, ["1", "3"], tmp_path / "data" / "cc2017")
    (tmp_path / "config" / "cc2017.tsv").write_text("subject\n01\n03\n")
    (tmp_path / "config" / "hcp.tsv").write_text("subject\n100307\n100408\n")
    for subject in ("100307", "100408"):
        for run in ("rfMRI_REST1_LR", "rfMRI_REST1_RL", "tfMRI_MOVIE1_7T_AP"):
            folder = tmp_path / "data/hcp" / subject / "MNINonLinear/Results" / run
            path = folder / f"{run}_Atlas_MSMAll_hp2000_clean.dtseries.nii"
            write_dense(path, np.zeros((3, 5), np.float32), t_r=0.72, left=3, right=2)
    return made


def test_cc2017(workspace):
    workspace.configuration = "config/cc2017.yaml"
    cohort = "pretrain={subjects: [01, 03]}"
    jobs = workspace.planned("--config", cohort)
    rules = [rule for rule, _ in jobs]
    # 36 training and 50 test runs of each, without the late one of subject 3
    assert rules.count("roi_series") == 86 + 85
    assert rules.count("bold_adopt") == 2 and "bold_run" not in rules
    assert rules.count("reconstruct_sample") == 2 * 8
    corpus = workspace.planned("results/cc2017/corpus", "--config", cohort)
    assert not [wildcards for _, wildcards in corpus if "segment=test" in wildcards]


def test_hcp_as_pretraining_corpus(workspace):
    """Resting and movie runs of subjects who have no raw data here, beside cc2017's own."""
    workspace.configuration = "config/cc2017.yaml config/hcp.yaml"
    jobs = workspace.planned("results/cc2017/corpus")
    read = [wildcards for rule, wildcards in jobs if rule == "roi_series"]
    assert len(read) == 6 and all("subject=100" in wildcards for wildcards in read)
    assert sum("segment=MOVIE1AP" in wildcards for wildcards in read) == 2


def test_own_bids(workspace):
    """config/bids.yaml on a data set that is not there: one line."""
    workspace.configuration = "config/bids.yaml"
    done = workspace.run("--dry-run")
    text = done.stdout + done.stderr
    assert done.returncode != 0 and "Traceback" not in text and "config/mine.tsv" in text
