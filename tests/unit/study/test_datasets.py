"""Configurations of public data sets, planned on real names, sidecars and events of two or three subjects.

The trees are not in the repository. They are looked for in the folder that BOLDREEL_DATASETS names, and in
``shared/datasets`` next to the checkout; without them these tests are skipped and say so. Images are headers
alone and movies are empty: a plan reads no more.
"""

from __future__ import annotations

import csv
import gzip
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from boldreel import configuration
from boldreel.settings import read
from boldreel.study import table
from boldreel.study.settings import PresentationsSettings
from boldreel.study.study import Study

ROOT = Path(__file__).parents[3]
TREES = Path(os.environ.get("BOLDREEL_DATASETS", ROOT.parent / "shared/datasets"))

pytestmark = pytest.mark.skipif(
    not TREES.is_dir(), reason=f"no trees of public data sets in {TREES.name} (BOLDREEL_DATASETS)"
)

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


def write_header(path: Path, shape: str) -> None:
    """A NIfTI-1 header of a shape, such as 16x18x12x453, and nothing behind it."""
    sizes = [int(size) for size in shape.split("x")]
    header = np.zeros(352, np.uint8)
    header[:4] = np.array([348], "<i4").view(np.uint8)
    dim = [len(sizes), *sizes, *[1] * (7 - len(sizes))]
    header[40:56] = np.array(dim, "<i2").view(np.uint8)
    header[70:74] = np.array([16, 32], "<i2").view(np.uint8)
    header[344:348] = np.frombuffer(b"n+1\0", np.uint8)
    with gzip.open(path, "wb") as image:
        image.write(header.tobytes())


def laid_out(name: str, root: Path) -> Path:
    """A copy of a tree with images and movies where its files.tsv says that they lie."""
    shutil.copytree(TREES / name, root, ignore=shutil.ignore_patterns("files.tsv"))
    with open(TREES / name / "files.tsv", newline="", encoding="utf-8") as lines:
        for row in csv.DictReader(lines, delimiter="\t"):
            path = root / row["path"]
            path.parent.mkdir(parents=True, exist_ok=True)
            if row["kind"] == "movie":
                path.touch()
            elif row["kind"] == "dangling":
                path.symlink_to("../nowhere/.git/annex/objects/absent")
            else:
                write_header(path, row["shape"])
    if name == "nndb":  # films are not distributed
        (root / "stimuli").mkdir(exist_ok=True)
        for film in ("500daysofsummer", "citizenfour", "theusualsuspects"):
            (root / "stimuli" / f"{film}.mp4").touch()
    return root


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
    assert len(study.movies()) == movies
    # The job that writes a subject's table finds what the plan has found.
    settings = study.table_settings()
    own = {key: settings[key] for key in ("rules", "guard", "table")}
    presentations = read(PresentationsSettings, own, "presentations")
    for subject in study.subjects:
        made = table.build(
            study.specs(subject),
            presentations,
            study.config["segments"],
            settings["held"],
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
