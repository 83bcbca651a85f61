"""An invented BIDS data set on disk with two subjects who watch films, and its study."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
from tests.fixtures_settings import ASKED

from boldreel import configuration
from boldreel.study.study import Study

ROOT = Path(__file__).parents[1]
SEGMENTS = {"train": ["film*"], "validation": ["film3"], "test": ["probe"]}
RUNS = [("film1", 1), ("film1", 2), ("film2", 1), ("film3", 1), ("probe", 1), ("rest", 1)]


def write_run(root: Path, subject: str, segment: str, repeat: int, events: str | None) -> None:
    """The header of an image of 30 volumes, its sidecar and its events."""
    func = root / f"sub-{subject}" / "func"
    func.mkdir(parents=True, exist_ok=True)
    stem = f"sub-{subject}_task-{segment}_run-{repeat}"
    header = np.zeros(352, np.uint8)
    header[:4] = np.array([348], "<i4").view(np.uint8)
    header[40:56] = np.array([4, 4, 4, 4, 30, 1, 1, 1], "<i2").view(np.uint8)
    header[70:74] = np.array([16, 32], "<i2").view(np.uint8)
    header[344:348] = np.frombuffer(b"n+1\0", np.uint8)
    with gzip.open(func / f"{stem}_bold.nii.gz", "wb") as image:
        image.write(header.tobytes())
    (func / f"{stem}_bold.json").write_text(json.dumps({"RepetitionTime": 2.0}))
    if events:
        (func / f"{stem}_events.tsv").write_text(f"onset\tduration\tstim_file\n0\t60\t{events}\n")


def write_tree(root: Path) -> Path:
    """Two subjects who watch, with a resting run that shows nothing."""
    for subject in ("01", "02"):
        for segment, repeat in RUNS:
            shown = None if segment == "rest" else f"{segment}.mp4"
            write_run(root, subject, segment, repeat, shown)
    (root / "stimuli").mkdir()
    for name in ("film1", "film2", "film3", "probe"):
        (root / "stimuli" / f"{name}.mp4").write_bytes(b"")
    (root / "stimuli" / "probe.tsv").write_text("")
    return root


def own(tree: Path, **more) -> Study:
    """The study of the tree; `more` are keys of its configuration."""
    asked = {"dataset": "mine", "bids": str(tree), "segments": SEGMENTS, "preset": "base"}
    asked["results"] = str(tree / "results")
    return Study(configuration.complete({**asked, **more}), ROOT)


def demo() -> Study:
    """The study of the demo."""
    return Study(
        configuration.complete({**ASKED, "subjects": str(ROOT / "config/subjects.tsv")}), ROOT
    )
