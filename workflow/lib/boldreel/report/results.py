"""What the other stages left, read through the contracts' files.

Takes the results folder of a data set and the subjects to report; returns tables and clips. What is
required raises UserError when it is missing; what is optional comes back as None, and is noted, so
that the page says what it could not show.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from boldreel.data import arrays, documents, tables
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

    def history(self, path: str) -> pd.DataFrame | None:
        """An optional history.tsv of a training: one row an epoch, 0 is before the first step."""
        return self.table(path, "history")

    def document(self, path: str, schema: str) -> dict[str, Any] | None:
        """An optional JSON object."""
        if not Path(path).exists():
            self._note(path)
            return None
        return documents.read(self._use(path), schema)

    def reconstruction(self, label: str) -> Clips:
        """A subject's reconstructed clips; required."""
        return Clips(self._use(self.layout.reconstructions(label, self.method)))

    def controls(self, label: str) -> dict[str, Clips]:
        """{control: clips} that the generator made of something else than a subject's responses."""
        before = self.layout.control(label, "")
        found = self.layout.find(self.layout.control(label, "*"))
        folders = [path for path in found if Path(path).is_dir()]
        return {path.removeprefix(before): Clips(self._use(path)) for path in folders}

    def cuts(self, label: str) -> pd.DataFrame | None:
        """Table "movie_cuts" of a subject's continuous movies, or None if clips stand alone."""
        import pandas as pd

        paths = self.layout.find(self.layout.movie_cuts(label, self.method, "*"))
        found = [self.table(path, "movie_cuts") for path in paths]
        parts = [part for part in found if part is not None]
        return pd.concat(parts, ignore_index=True) if parts else None

    def upper_bound(self) -> Clips | None:
        """The generator's clips from true features; optional."""
        folder = self.layout.upper_bounds()
        if not Path(folder).exists():
            self._note(folder)
            return None
        return Clips(self._use(folder))

    def truth(self, row: Any, frames: int) -> np.ndarray:
        """True clip (frames, h, w, 3) of a row of the clips table, at evenly spaced times."""
        path = self._use(self.layout.frames(row.movie))
        movie, _ = arrays.load(path, kind="frames")
        times = int(row.first_frame) + (np.arange(frames) * int(row.n_frames)) // frames
        return np.asarray(movie[times])

    def _use(self, path: str) -> Path:
        full = Path(path)
        if full not in self.used:
            self.used.append(full)
        return full

    def _note(self, path: str) -> None:
        name = self.layout.below(path)
        if name not in self.missing:
            self.missing.append(name)


class Clips:
    """Reconstructed clips by name, memory-mapped from all `shard-*` of a folder, or from itself.

    frame_rate : frames per second.
    """

    def __init__(self, folder: Path) -> None:
        self.place: dict[str, tuple[np.ndarray, int]] = {}
        self.frame_rate = 0.0
        for shard in sorted(folder.glob("shard-*")) or [folder]:
            if not (shard / "frames.npy").exists():
                continue
            frames, meta = arrays.load(shard / "frames.npy", kind="reconstruction")
            self.frame_rate = float(meta["frame_rate"])
            for row, name in enumerate(meta["clips"]):
                self.place[name] = (frames, row)
        if not self.place:
            raise UserError(f"{folder}: no reconstructed clips; run reconstruct.sample")

    def __getitem__(self, name: str) -> np.ndarray:
        frames, row = self.place[name]
        return np.asarray(frames[row])

    def __contains__(self, name: object) -> bool:
        return name in self.place


def draw_sample(clips: pd.DataFrame, names: Sequence[str], count: int, seed: int) -> pd.DataFrame:
    """`count` of the named clips drawn by seed, one of a shot at most; sorted by name.

    Shots are drawn rather than clips, since clips of one shot look alike. No score is looked at.
    """
    rng = np.random.default_rng([seed, 10])
    known = clips[clips["clip"].isin(set(names))].sort_values("clip")
    mixed = known.iloc[rng.permutation(len(known))]
    shots = sorted(set(known["shot"]))
    drawn = [shots[k] for k in rng.permutation(len(shots))[:count]]
    one = mixed.drop_duplicates("shot").set_index("shot", drop=False)
    return one.loc[drawn].sort_values("clip").reset_index(drop=True)


def seen_pairs(
    clips: pd.DataFrame, test: Sequence[str], training: Iterable[str], combination: Sequence[str]
) -> dict[str, bool]:
    """{test clip: whether its combination of attributes occurs among the training clips}.

    Empty where a clip has no such attributes. A clip that is in neither list, such as one at the end of a
    test run, tells nothing.
    """
    combination = list(combination)
    parsed = {c: json.loads(a) for c, a in zip(clips["clip"], clips["attributes"], strict=True)}
    if not combination or any(not set(combination) <= set(parsed[name]) for name in test):
        return {}

    def pair(name: str) -> tuple[Any, ...]:
        return tuple(parsed[name][key] for key in combination)

    known = {pair(name) for name in training if set(combination) <= set(parsed[name])}
    return {name: pair(name) in known for name in test}
