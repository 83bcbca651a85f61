"""Trees of public data sets with images and movies, which are made here: what is shared are names alone.

A tree is a folder of real names, sidecars and events, with a table files.tsv of what else lies where. Trees
are looked for in the folder that BOLDREEL_DATASETS names, and in ``shared/datasets`` next to the checkout.
"""

from __future__ import annotations

import csv
import gzip
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from boldreel.data import bids_inheritance, bids_names, nifti, video

ROOT = Path(__file__).parents[1]
TREES = Path(os.environ.get("BOLDREEL_DATASETS", ROOT.parent / "shared/datasets"))
WHY_NOT = f"no trees of public data sets in {TREES.name} (BOLDREEL_DATASETS)"
FILMS = ("500daysofsummer", "citizenfour", "theusualsuspects")  # of nndb, which are not distributed

SPACE = "space-MNI152NLin2009cAsym"
GRID = (4, 6, 8)
AFFINE = np.array([[4.0, 0, 0, -6], [0, 4, 0, -80], [0, 0, 4, 0], [0, 0, 0, 1]])
RATE = 3.0  # pictures a second


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


def _listed(name: str) -> Iterator[dict[str, str]]:
    with open(TREES / name / "files.tsv", newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    if name == "friends":
        _lengthen(rows)
    yield from rows
    if name == "nndb":
        for film in FILMS:
            yield {"path": f"stimuli/{film}.mp4", "kind": "movie", "seconds": "1250"}


def _lengthen(rows: list[dict[str, str]]) -> None:
    """Give each run of a task the volumes of the longest: the list has too few next to empty events."""
    longest: dict[str, int] = {}
    runs = [row for row in rows if row["kind"] == "bold"]
    for row in runs:
        task = bids_names.parse_entities(Path(row["path"]).name)["task"]
        longest[task] = max(longest.get(task, 0), int(row["shape"].split("x")[3]))
    for row in runs:
        task = bids_names.parse_entities(Path(row["path"]).name)["task"]
        row["shape"] = "x".join([*row["shape"].split("x")[:3], str(longest[task])])


def laid_out(name: str, root: Path, movies: bool = False) -> Path:
    """A copy of a tree; images are headers alone.

    movies : whether movies can be read; then raw images are missing, as where only derivatives were fetched.
        Else movies are empty files.
    """
    shutil.copytree(TREES / name, root, ignore=shutil.ignore_patterns("files.tsv"))
    for folder in (root, *(path for path in root.rglob("*") if path.is_dir())):
        folder.chmod(0o755)  # what is shared may be read-only
    for row in _listed(name):
        path = root / row["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        if row["kind"] == "movie" and movies:
            write_movie(path, float(row["seconds"]))
        elif row["kind"] == "movie":
            path.touch()
        elif row["kind"] == "dangling":
            path.symlink_to("../nowhere/.git/annex/objects/absent")
        elif not movies:
            write_header(path, row["shape"])
    return root


def write_movie(path: Path, seconds: float) -> None:
    """Plain pictures, of another colour every two seconds."""
    rng = np.random.default_rng([*path.name.encode()])

    def pictures() -> Iterator[np.ndarray]:
        colour = np.zeros(3, np.uint8)
        for k in range(max(1, round(seconds * RATE))):
            if k % round(2 * RATE) == 0:
                colour = rng.integers(0, 255, 3).astype(np.uint8)
            yield np.broadcast_to(colour, (48, 64, 3))

    made = path.with_suffix(".mp4")  # what a file is called does not matter to FFmpeg
    video.write_mp4(made, pictures(), RATE)
    if made != path:
        made.rename(path)


def preprocessed(name: str, raw: Path, root: Path) -> Path:
    """Noise in place of what fMRIPrep makes of the raw runs of a tree, on a small grid."""
    root.mkdir(parents=True)
    about = {"Name": "fMRIPrep", "BIDSVersion": "1.9.0", "GeneratedBy": [{"Name": "fMRIPrep"}]}
    (root / "dataset_description.json").write_text(json.dumps(about))
    for row in _listed(name):
        if row["kind"] != "bold":
            continue
        source = raw / row["path"]
        t_r = float(bids_inheritance.read_sidecar(source)["RepetitionTime"])
        stem = source.name.split("_bold.nii")[0]
        path = root / Path(row["path"]).parent / f"{stem}_{SPACE}_desc-preproc_bold.nii.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        count = int(row["shape"].split("x")[3])
        rng = np.random.default_rng([*stem.encode()])
        values = 1000 + 20 * rng.standard_normal((*GRID, count)).astype("f4")
        nifti.save(path, values, AFFINE, t_r=t_r)
        times = {"RepetitionTime": t_r, "StartTime": t_r / 2, "SliceTimingCorrected": True}
        path.with_name(path.name.replace(".nii.gz", ".json")).write_text(json.dumps(times))
    return root


@dataclass
class Tree:
    """A tree on disk, raw and preprocessed, and one table of annotations of all its movies."""

    bids: Path
    tree: Path
    annotations: Path
    asked: dict


def filled(name: str, root: Path) -> Tree:
    """A tree that the workflow can run on, and what its configuration says besides where it lies."""
    raw = laid_out(name, root / "bids", movies=True)
    tree = preprocessed(name, raw, root / "fmriprep")
    lines = ["movie\tonset\tduration\tshot\tcaption"]
    for row in _listed(name):
        if row["kind"] == "movie" and row["path"].startswith("stimuli/"):
            path = Path(row["path"]).relative_to("stimuli")
            cells = (path, 0, row["seconds"], path.stem, f"a film called {path.stem}")
            lines.append("\t".join(map(str, cells)))
    table = root / "annotations.tsv"
    table.write_text("\n".join(lines) + "\n")
    asked = yaml.safe_load((ROOT / "config" / "datasets" / f"{name}.yaml").read_text())
    for key in ("dataset", "bids", "preset", "bold"):
        del asked[key]
    asked["stimuli"] = {**asked.get("stimuli", {}), "annotations": str(table), "shots": "detect"}
    return Tree(raw, tree, table, asked)
