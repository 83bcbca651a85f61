"""Finished results of a data set: how much there is of everything in them.

Takes the folder; leaves counts, shapes and sizes, read from sidecars, tables and provenance.
"""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import Any


class Run:
    """Finished results of a data set."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def shape(self, array: str) -> tuple[int, ...]:
        """The shape of a .npy by its sidecar."""
        return tuple(json.loads((self.root / array).with_suffix(".json").read_text())["shape"])

    def about(self, target: str) -> dict[str, Any]:
        """Provenance of a file or folder, {} where there is none."""
        path = self.root / target
        beside = path / "provenance.json" if path.is_dir() else Path(f"{path}.provenance.json")
        return json.loads(beside.read_text()) if beside.exists() else {}

    def size(self, target: str) -> int:
        """Bytes of a file with its sidecar, or of a folder."""
        path = self.root / target
        if path.is_dir():
            return sum(p.stat().st_size for p in path.rglob("*") if p.is_file())
        beside = path.with_suffix(".json")
        return sum(p.stat().st_size for p in {path, beside} if p.exists())

    @cached_property
    def movies(self) -> list[str]:
        return sorted(path.parent.name for path in self.root.glob("stimuli/*/frames.npy"))

    def frames(self, *movies: str) -> int:
        """Frames of some movies, or of all."""
        return sum(self.shape(f"stimuli/{name}/frames.npy")[0] for name in movies or self.movies)

    def pixels(self, movie: str) -> float:
        """Millions of pixels that were decoded of a movie, at the size that is kept."""
        count, height, width, _ = self.shape(f"stimuli/{movie}/frames.npy")
        return count * height * width / 1e6

    def volumes(self, subject: str, segment: str = "*", repeat: str = "*") -> int:
        """Volumes of a subject's runs."""
        names = f"sub-{subject}/series/task-{segment}_run-{repeat}.npy"
        return sum(self.shape(str(p.relative_to(self.root)))[0] for p in self.root.glob(names))

    def voxels(self, subject: str) -> int:
        """Voxels of a volume of the raw data."""
        return _voxels(next(self.root.glob(f"bids/sub-{subject}/func/*_bold.nii")))

    def preprocessed(self, subject: str) -> int:
        """Voxels of a preprocessed volume."""
        func = f"derivatives/embedded/sub-{subject}/func"
        return _voxels(next(self.root.glob(f"{func}/*_desc-preproc_bold.nii")))

    def trials(self, subject: str, *splits: str) -> int:
        """Windows of a subject, of some splits or of all."""
        import pandas as pd

        split = pd.read_parquet(self.root / f"sub-{subject}/windows.parquet")["split"]
        return int(split.isin(splits).sum()) if splits else len(split)

    def segments(self) -> int:
        """Segments of the pretraining corpus."""
        import pandas as pd

        return int(pd.read_parquet(self.root / "corpus/manifest.parquet")["n"].sum())

    def epochs(self, table: str) -> int:
        """Epochs that a training ran for."""
        import pandas as pd

        return int(pd.read_csv(self.root / table, sep="\t")["epoch"].max())

    def drawn(self, folder: str) -> tuple[int, dict[str, Any]]:
        """(clips in a folder of reconstructions, the section `reconstruct` they were drawn with)."""
        return self.shape(f"{folder}/frames.npy")[0], self.about(folder)["config"]


def _voxels(path: Path) -> int:
    import nibabel as nib

    x, y, z = nib.load(path).shape[:3]
    return x * y * z


def passes(config: dict[str, Any]) -> float:
    """Passes of the denoiser for one clip: two where a step is guided."""
    guided = config["guided_share"] if config["guidance"] != 1 else 0
    return config["samples"] * config["steps"] * (1 + guided)
