"""Small data sets in BIDS' layout: headers of images, sidecars and events, no volumes."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests import fixtures_bids

from boldreel import configuration
from boldreel.study.study import Study

ROOT = Path(__file__).parents[3]
COHORT = ("98", "99")
HEAD = "onset\tduration\tstim_file\tstim_onset"


@dataclass
class DataSet:
    """A data set that a test fills with runs."""

    root: Path

    def run(
        self,
        name: str,
        events: str | None = None,
        *rows: str,
        subject: str = "01",
        volumes: int = 100,
        t_r: float = 2.0,
    ) -> Path:
        """A run by the entities of its name, such as `ses-a_task-movie_run-1`; its BOLD.

        events : the first line of its events, None without any; rows : the others, blanks for tabs
        """
        session = [part for part in name.split("_") if part.startswith("ses-")]
        func = self.root.joinpath(f"sub-{subject}", *session, "func")
        func.mkdir(parents=True, exist_ok=True)
        stem = f"sub-{subject}_{name}"
        header = np.zeros(352, np.uint8)
        header[:4] = np.array([348], "<i4").view(np.uint8)
        header[40:56] = np.array([4, 4, 4, 4, volumes, 1, 1, 1], "<i2").view(np.uint8)
        header[70:74] = np.array([16, 32], "<i2").view(np.uint8)
        header[344:348] = np.frombuffer(b"n+1\0", np.uint8)
        with gzip.open(func / f"{stem}_bold.nii.gz", "wb") as image:
            image.write(header.tobytes())
        (func / f"{stem}_bold.json").write_text(json.dumps({"RepetitionTime": t_r}))
        if events is not None:
            lines = [events, *("\t".join(row.split()) for row in rows)]
            (func / f"{stem}_events.tsv").write_text("\n".join(lines) + "\n")
        return func / f"{stem}_bold.nii.gz"

    def shows(self, name: str, movie: str, begin: float = 0.0, **more: Any) -> Path:
        """A run that shows 180 s of a movie from its beginning on, or from another time of the movie."""
        return self.run(name, HEAD, f"0 180 {movie} {begin}", **more)

    def filled(self) -> DataSet:
        """With a training, a validation and a second training run, so that a plan can be made."""
        for name in ("a", "b", "held"):
            self.shows(f"task-{name}", f"{name}.mp4")
        return self

    def study(self, segments: dict[str, list[Any]], **more: Any) -> Study:
        """The plan, `more` being the section `presentations`; two others, who rest, are the cohort."""
        for subject in COHORT:
            self.run("task-rest_acq-dico", subject=subject)
        labels = sorted(path.name[4:] for path in self.root.glob("sub-*"))
        table = self.root / "subjects.tsv"
        table.write_text("\n".join(["subject", *(one for one in labels if one not in COHORT)]))
        own = {
            "subjects": str(table),
            "pretrain": {"subjects": list(COHORT)},
            "dataset": "mine",
            "bids": str(self.root),
            "preset": "base",
            "results": str(self.root / "results"),
            "segments": segments,
            "presentations": more,
        }
        return Study(configuration.complete(own), ROOT)


@pytest.fixture
def data(tmp_path: Path) -> DataSet:
    """An empty data set."""
    (tmp_path / "dataset_description.json").write_text("{}")
    (tmp_path / "stimuli").mkdir()
    return DataSet(tmp_path)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A BIDS data set of two subjects who watch; the test may change it."""
    return fixtures_bids.write_tree(tmp_path)
