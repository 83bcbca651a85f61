"""Public data sets on their real names, sidecars and events, with images and movies that are made here.

One runs to the page. The others run to the windows, by hand (`make test-datasets`).
"""

from __future__ import annotations

import pytest
from tests.fixtures_trees import TREES, WHY_NOT, filled

from boldreel.data import presentations, tables

from .small_studies import finished
from .workflow import copy_of_repository

pytestmark = [
    pytest.mark.pipeline,
    pytest.mark.skipif(not TREES.is_dir(), reason=WHY_NOT),
]
CONTROLS = {"reconstruct": {"controls": ["mean", "other"], "continuous": None}}
SUBJECTS = {
    "bold-moments": ("01", "02"),
    "studyforrest": ("01", "02"),
    "movie10": ("01", "02"),
    "friends": ("01", "06"),
    "had": ("01", "02"),
    "budapest": ("sid000005", "sid000007"),
    "nndb": ("1", "21", "39"),
    "ds000233": ("rid000001", "rid000012"),
}


def asked_of(name: str, tree) -> dict:
    cohort = {"cohort": "own", "subjects": list(SUBJECTS[name])}
    return {**tree.asked, **CONTROLS, "pretrain": cohort}


def test_clips_in_every_run_to_the_page(tmp_path):
    """ds000233: 40 clips of 2 s, all of them in every run, split by clip and by run."""
    tree = filled("ds000233", tmp_path / "data")
    workspace = copy_of_repository(tmp_path / "work")
    done = finished(workspace, tree, "ds000233", asked_of("ds000233", tree))
    assert "rid000001" in done.page
    for subject in SUBJECTS["ds000233"]:
        results = done.results / f"sub-{subject}"
        windows = tables.read(results / "windows.parquet", "windows")
        clips = windows.groupby("split")["clip"].agg(set)
        assert clips["test"] and not clips["test"] & (clips["train"] | clips["validation"])
        shown = presentations.read(results / "presentations.tsv")
        of_test = {row.movie for run in shown for row in run.of("test")}
        assert len(of_test) == 20
    audit = (done.results / "audit.json").read_text()
    assert '"disjoint": true' in audit


@pytest.mark.datasets
@pytest.mark.parametrize("name", [name for name in SUBJECTS if name != "ds000233"])
def test_as_far_as_windows(name, tmp_path):
    tree = filled(name, tmp_path / "data")
    workspace = copy_of_repository(tmp_path / "work")
    targets = [f"results/{name}/sub-{subject}/windows.parquet" for subject in SUBJECTS[name]]
    done = finished(workspace, tree, name, asked_of(name, tree), *targets)
    for subject in SUBJECTS[name]:
        windows = tables.read(done.results / f"sub-{subject}" / "windows.parquet", "windows")
        clips = windows.groupby("split")["clip"].agg(set)
        assert {"train", "validation", "test"} == set(clips.index)
        assert not clips["test"] & (clips["train"] | clips["validation"])
