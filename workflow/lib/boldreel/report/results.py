"""What the other stages left, read through the contracts' files.

Takes the results folder of a data set and the subjects to report; leaves tables and clips. What is
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

if TYPE_CHECKING:
    import pandas as pd


class Results:
    """The results of one data set.

    Parameters
    ----------
    root : results/{dataset}. subjects : labels without "sub-". method : e.g. "mindvideo".

    Attributes
    ----------
    missing : files that were asked for and are not there, in the order asked.
    used : files and folders that were read, in the order asked.
    """

    def __init__(self, root: Path | str, subjects: Sequence[str], method: str) -> None:
        self.root, self.method = Path(root), method
        self.subjects = [str(subject).removeprefix("sub-") for subject in subjects]
        self.missing: list[str] = []
        self.used: list[Path] = []
        if not self.root.is_dir():
            raise UserError(f"{self.root}: no such results folder; run the workflow first")
        if not self.subjects:
            raise UserError("no subject to report; give --subjects")

    def metrics(self) -> pd.DataFrame:
        """group/metrics.tsv, for these subjects and their mean; required."""
        table = tables.read(self._use("group/metrics.tsv"), "metrics")
        return table[table["subject"].isin([*self.subjects, "mean"])].reset_index(drop=True)

    def clips(self) -> pd.DataFrame:
        """clips.parquet; required."""
        return tables.read(self._use("clips.parquet"), "clips")

    def table(self, path: str, schema: str) -> pd.DataFrame | None:
        """An optional table below the root."""
        full = self.root / path
        if not full.exists():
            self._note(path)
            return None
        return tables.read(self._use(path), schema)

    def history(self, path: str) -> pd.DataFrame | None:
        """An optional history.tsv of a training: one row an epoch, 0 is before the first step."""
        return self.table(path, "history")

    def document(self, path: str, schema: str) -> dict[str, Any] | None:
        """An optional JSON object below the root."""
        if not (self.root / path).exists():
            self._note(path)
            return None
        return documents.read(self._use(path), schema)

    def reconstruction(self, label: str) -> Clips:
        """A subject's reconstructed clips; required."""
        return Clips(self._use(f"sub-{label}/reconstruction/{self.method}"))

    def controls(self, label: str) -> dict[str, Clips]:
        """{control: clips} that the generator made of something else than a subject's responses."""
        folder = self.root / f"sub-{label}" / "reconstruction"
        names = sorted(path.name for path in folder.glob("control-*") if path.is_dir())
        return {
            name.removeprefix("control-"): Clips(self._use(f"sub-{label}/reconstruction/{name}"))
            for name in names
        }

    def cuts(self, label: str) -> pd.DataFrame | None:
        """Table "movie_cuts" of a subject's continuous movies, or None if clips stand alone."""
        import pandas as pd

        folder = self.root / f"sub-{label}" / "reconstruction" / self.method
        found = [
            self.table(str(path.relative_to(self.root)), "movie_cuts")
            for path in sorted(folder.glob("shard-*/movie/cuts.tsv"))
        ]
        parts = [part for part in found if part is not None]
        return pd.concat(parts, ignore_index=True) if parts else None

    def upper_bound(self) -> Clips | None:
        """The generator's clips from true features; optional."""
        folder = self.root / "reconstruction" / "true_features"
        if not folder.exists():
            self._note("reconstruction/true_features")
            return None
        return Clips(self._use("reconstruction/true_features"))

    def truth(self, row: Any, frames: int) -> np.ndarray:
        """True clip (frames, h, w, 3) of a row of the clips table, at evenly spaced times."""
        path = self._use(f"stimuli/{row.movie}/frames.npy")
        movie, _ = arrays.load(path, kind="frames")
        times = int(row.first_frame) + (np.arange(frames) * int(row.n_frames)) // frames
        return np.asarray(movie[times])

    def _use(self, path: str) -> Path:
        full = self.root / path
        if full not in self.used:
            self.used.append(full)
        return full

    def _note(self, path: str) -> None:
        if path not in self.missing:
            self.missing.append(path)


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
