"""Configurations of public data sets, planned on the real names, sidecars and events of a few subjects.

The trees are not in the repository (tests/fixtures_trees.py); without them these tests are skipped. Images
are headers alone and movies are empty: a plan reads no more.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from tests.fixtures_trees import ROOT, TREES, WHY_NOT, laid_out

from boldreel import configuration
from boldreel.settings import read
from boldreel.study import table
from boldreel.study.settings import PresentationsSettings
from boldreel.study.study import Study

pytestmark = pytest.mark.skipif(not TREES.is_dir(), reason=WHY_NOT)

# Runs of each split of all subjects, movies, and presentations of the first subject's splits.
PLANS = {
    "bold-moments": ((40, 40, 12), 1102, (1352, 148, 510)),
    "studyforrest": ((12, 2, 2), 8, (7, 1, 1)),
    "movie10": ((6, 2, 12), 7, (3, 1, 6)),
    "friends": ((8, 4, 12), 12, (4, 2, 6)),
    "had": ((20, 2, 2), 1440, (600, 60, 60)),
    "budapest": ((6, 2, 2), 5, (3, 1, 1)),
    "nndb": ((6, 3, 6), 3, (2, 1, 2)),
    "ds000233": ((12, 4, 4), 40, (196, 23, 89)),
}


def configured(name: str, root: Path, **more) -> dict:
    own = yaml.safe_load((ROOT / "config" / "datasets" / f"{name}.yaml").read_text())
    return own | {"bids": str(root), "results": str(root / "results")} | more


@pytest.mark.parametrize("name", PLANS)
def test_a_public_data_set_is_planned_as_it_is_distributed(name, tmp_path):
    root = laid_out(name, tmp_path / "tree")
    before = sorted(path for path in root.rglob("*"))
    bold = {"engine": "fmriprep-docker", "fmriprep": {"licence": "license.txt"}}
    study = Study(configuration.complete(configured(name, root, bold=bold)), ROOT)
    runs, movies, shown = PLANS[name]
    assert tuple(study.counted().values()) == runs
    assert len(study.movies.files()) == movies
    # The job that writes a subject's table finds what the plan has found.
    settings = study.table_settings()
    own = {key: settings[key] for key in ("rules", "guard", "table")}
    presentations = read(PresentationsSettings, own, "presentations")
    for subject in study.subjects:
        made = table.build(
            study.specs(subject),
            presentations,
            study.config["segments"],
            study.presentations.held,
            settings["full_names"],
        )
        plan = study.presentations.used(subject)
        bare = [run._replace(rows=tuple(r._replace(movie="") for r in run.rows)) for run in made]
        assert bare == [
            run._replace(rows=tuple(r._replace(movie="") for r in run.rows)) for run in plan
        ]
        if subject == study.subjects[0]:
            counts = (len([r for run in made for r in run.of(s)]) for s in study.counted())
            assert tuple(counts) == shown
    assert sorted(path for path in root.rglob("*")) == before, "nothing in it is changed"


def test_courtois_derivatives_of_fmriprep_20_are_planned(tmp_path):
    """Preprocessed runs with run-1 where the raw data have run-01, and events at the root of the raw data."""
    root = laid_out("movie10", tmp_path / "tree")
    tree = laid_out("movie10-fmriprep", tmp_path / "derivatives")
    bold = {"engine": "derivatives", "derivatives": str(tree), "start_time": 0.745}
    study = Study(configuration.complete(configured("movie10", root, bold=bold)), ROOT)
    counted = study.counted()
    assert counted["train"] >= 4 and counted["validation"] >= 1 and counted["test"] >= 2
