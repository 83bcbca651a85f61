"""What the other stages left, read through the contracts' files.

Takes the results folder of a data set and the subjects to report; returns tables and clips. What is
required raises UserError when it is missing; what is optional comes back as None, and is noted, so
that the page says what it could not show.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from boldreel.data import json_documents, presentations, tables
from boldreel.data.frames import Movies, cut_clip
from boldreel.data.presentations import ShownRun
from boldreel.data.reconstructions import Reconstruction
from boldreel.errors import UserError
from boldreel.layout import Layout

if TYPE_CHECKING:
    import pandas as pd


class Results:
    """The results of one data set.

    Parameters
    ----------
    root : results/{dataset}. subjects : labels without "sub-". method : e.g. "mindvideo".

    Attributes
    ----------
    layout : where everything lies.
    missing : files that were asked for and are not there, named from the root, in the order asked.
    used : files and folders that were read, in the order asked.
    """

    def __init__(self, root: Path | str, subjects: Sequence[str], method: str) -> None:
        self.layout, self.method = Layout(str(root)), method
        self.subjects = [str(subject).removeprefix("sub-") for subject in subjects]
        self.missing: list[str] = []
        self.used: list[Path] = []
        if not Path(root).is_dir():
            raise UserError(f"{root}: no such results folder; run the workflow first")
        if not self.subjects:
            raise UserError("no subject to report; give --subjects")

    def metrics(self) -> pd.DataFrame:
        """group/metrics.tsv, for these subjects and their mean; required."""
        table = tables.read(self._use(self.layout.metrics()), "metrics")
        return table[table["subject"].isin([*self.subjects, "mean"])].reset_index(drop=True)

    def clips(self) -> pd.DataFrame:
        """clips.parquet; required."""
        return tables.read(self._use(self.layout.clips()), "clips")

    def table(self, path: str, schema: str) -> pd.DataFrame | None:
        """An optional table."""
        if not Path(path).exists():
            self._note(path)
            return None
        return tables.read(self._use(path), schema)

    def presentations(self, label: str) -> list[ShownRun]:
        """What a subject's runs showed, excluded runs too; optional, without a note."""
        path = self.layout.presentations(label)
        return presentations.read(self._use(path)) if Path(path).exists() else []

    def history(self, path: str) -> pd.DataFrame | None:
        """An optional history.tsv of a training: one row an epoch, 0 is before the first step."""
        return self.table(path, "history")

    def document(self, path: str, schema: str) -> dict[str, Any] | None:
        """An optional JSON object."""
        if not Path(path).exists():
            self._note(path)
            return None
        return json_documents.read(self._use(path), schema)

    def reconstruction(self, label: str) -> Reconstruction:
        """A subject's reconstructed clips; required."""
        return Reconstruction([self._use(self.layout.reconstructions(label, self.method))])

    def controls(self, label: str) -> dict[str, Reconstruction]:
        """{control: clips} that the generator made of something else than a subject's responses."""
        before = self.layout.control(label, "")
        found = self.layout.find(self.layout.control(label, "*"))
        folders = [path for path in found if Path(path).is_dir()]
        return {path.removeprefix(before): Reconstruction([self._use(path)]) for path in folders}

    def cuts(self, label: str) -> pd.DataFrame | None:
        """Table "movie_cuts" of a subject's continuous movies, or None if none of them is continuous."""
        import pandas as pd

        paths = self.layout.find(self.layout.movie_cuts(label, self.method, "*"))
        found = [self.table(path, "movie_cuts") for path in paths]
        parts = [part for part in found if part is not None]
        return pd.concat(parts, ignore_index=True) if parts else None

    def upper_bound(self) -> Reconstruction | None:
        """The generator's clips from true features; optional."""
        folder = self.layout.upper_bounds()
        if not Path(folder).exists():
            self._note(folder)
            return None
        return Reconstruction([self._use(folder)])

    def truth(self, row: Any, frames: int) -> np.ndarray:
        """True clip (frames, h, w, 3) of a row of the clips table, at evenly spaced times."""
        batch = getattr(row, "batch", row.movie)
        path = self._use(self.layout.frames(batch))
        movie, _ = Movies([path.parent]).frames(row.movie, batch)
        return cut_clip(movie, int(row.first_frame), int(row.n_frames), frames)

    def _use(self, path: str) -> Path:
        full = Path(path)
        if full not in self.used:
            self.used.append(full)
        return full

    def _note(self, path: str) -> None:
        name = self.layout.below(path)
        if name not in self.missing:
            self.missing.append(name)
