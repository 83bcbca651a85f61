"""What the page of public data sets says of their configurations; HCP's movies, whose names are not BIDS'."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from boldreel import configuration
from boldreel.errors import UserError
from boldreel.layout import Layout
from boldreel.study.inputs import Inputs
from boldreel.study.parameters import Parameters
from boldreel.study.study import Study

ROOT = Path(__file__).parents[3]
CONFIGURATIONS = sorted((ROOT / "config" / "datasets").glob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda path: path.stem)
def test_the_page_counts_the_lines_that_a_user_writes(path):
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    page = (ROOT / "docs" / "datasets.md").read_text()
    (row,) = [line for line in page.splitlines() if f"config/datasets/{path.name})" in line]
    assert (ROOT / "docs" / "datasets" / f"{path.stem}.md").is_file()
    assert re.split(r"\s*\|\s*", row)[4].split(",")[0] == str(len(lines))
    assert configuration.complete(yaml.safe_load(path.read_text()))["preset"] in (
        "base",
        "mindvideo",
    )


def hcp_movies(tmp_path: Path, kind: str, grayordinates: int) -> dict:
    """A configuration for four films and FIX-denoised dense series; no events and no raw data."""
    films = tmp_path / "films" / "stimuli"
    films.mkdir(parents=True)
    for name in ("1_CC1", "2_HO1", "3_CC2", "4_HO2"):
        (films / f"7T_MOVIE{name}_v2.mp4").touch()
    header = np.zeros(540, np.uint8)
    header[:4] = np.array([540], "<i4").view(np.uint8)
    header[16:80] = np.array([6, 1, 1, 1, 1, 920, grayordinates, 1], "<i8").view(np.uint8)
    for subject in ("100610", "102311"):
        for run in ("MOVIE1_7T_AP", "MOVIE2_7T_PA", "MOVIE3_7T_PA", "MOVIE4_7T_AP"):
            folder = tmp_path / "HCP" / subject / "MNINonLinear" / "Results" / f"tfMRI_{run}"
            folder.mkdir(parents=True)
            ending = f"_Atlas{kind}_MSMAll_hp2000_clean.dtseries.nii"
            (folder / f"tfMRI_{run}{ending}").write_bytes(header.tobytes())
    (tmp_path / "subjects.tsv").write_text("subject\n100610\n102311\n")
    own = yaml.safe_load((ROOT / "config" / "datasets" / "hcp-movie.yaml").read_text())
    own |= {"bids": str(films.parent), "subjects": str(tmp_path / "subjects.tsv")}
    own["bold"]["derivatives"] = str(tmp_path / "HCP")
    return own


def planned(own: dict) -> Study:
    study = Study(configuration.complete(own), ROOT)
    assert study.counted() == {"train": 4, "validation": 2, "test": 2}
    assert list(study.movies.files("test")) == ["7T_MOVIE4_HO2_v2"]
    (shown,) = study.presentations.used("100610")[0].rows
    assert (shown.onset, shown.duration) == (0.0, 770.0)
    return study


def test_hcp_movies_are_planned(tmp_path):
    study = planned(hcp_movies(tmp_path, "", 91282))
    found = Inputs(study, Layout(study.results))
    assert set(found.run("100610", "MOVIE1AP", 1)) == {"runs"}


def test_hcp_movies_of_1_6_mm_need_their_spheres(tmp_path, monkeypatch):
    """Looked for before the first job; the line has the command that fetches them."""
    monkeypatch.setenv("TEMPLATEFLOW_HOME", str(tmp_path / "cache"))
    own = hcp_movies(tmp_path, "_1.6mm", 170494)
    with pytest.raises(UserError, match=r"templateflow\.api.*bold\.spheres"):
        planned(own)
    folder = tmp_path / "cache" / "tpl-fsLR"
    folder.mkdir(parents=True)
    spheres = [str(folder / f"tpl-fsLR_hemi-{side}_den-59k_sphere.surf.gii") for side in "LR"]
    for path in spheres:
        Path(path).write_text("x")
    study = planned(own)
    found = Inputs(study, Layout(study.results))
    assert found.run("100610", "MOVIE1AP", 1)["spheres"] == spheres
    assert found.control_runs("100610")["spheres"] == spheres
    assert "spheres" not in found.positions()
    job = SimpleNamespace(subject="100610", segment="MOVIE1AP", repeat="1")
    words = Parameters(study).run(job, SimpleNamespace(runs="bold.tsv", spheres=spheres))
    assert words[-3:] == ["--spheres", *spheres]
    monkeypatch.delenv("TEMPLATEFLOW_HOME")
    own["bold"]["spheres"] = str(folder)
    assert planned(own).spheres == spheres
