"""Outputs of the judges on disk: what all subjects share is judged once, a subject's clips by many jobs.

Reads and writes a folder with one folder per set of clips (truth, true_features, training, model), each
with flow.npy, and image.npy, video.npy, embedding.npy, early.npy, late.npy and caption.npy if there is a
judge for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from boldreel.data import arrays
from boldreel.errors import UserError
from boldreel.evaluate.readings import Readings

MODEL = "model"  # the set, and the condition, that is the reconstruction
_KINDS = {
    "image": "frame_readings",
    "video": "clip_readings",
    "embedding": "frame_readings",
    "flow": "flow_readings",
    "early": "layer_readings",
    "late": "layer_readings",
    "caption": "text_readings",
}


def save(folder: Path, readings: Readings, clips: Sequence[str]) -> None:
    """Write the readings of the named clips."""
    for part, kind in _KINDS.items():
        values = getattr(readings, part)
        if part == "caption" and values is not None:
            values = np.char.encode(values, "utf-8").view(np.uint8).reshape(len(values), -1)
        if values is not None:
            arrays.save(folder / f"{part}.npy", values, kind=kind, clips=list(clips))


class Stored:
    """Readings of named clips from folders written by `save`; nothing without a folder.

    A set that lies in several folders is one, its clips those of the first folder, the second, ...
    Raises UserError for a clip in two of them.

    parts : the readings wanted, see `Judges.parts`.
    """

    def __init__(self, folders: Sequence[Path], parts: Sequence[str]) -> None:
        self.sets: dict[str, tuple[Readings, dict[str, int]]] = {}
        for inner in (inner for folder in folders for inner in sorted(folder.iterdir())):
            if not inner.is_dir() or any(not (inner / f"{p}.npy").exists() for p in parts):
                continue
            found = {p: arrays.load(inner / f"{p}.npy", kind=_KINDS[p]) for p in parts}
            if found:
                names = next(iter(found.values()))[1]["clips"]
                of = {p: array for p, (array, _) in found.items()}
                if "caption" in of:
                    of["caption"] = _texts(of["caption"])
                readings = Readings(**of)
                rows: dict[str, int] = {}
                if inner.name in self.sets:
                    before, rows = self.sets[inner.name]
                    readings = before.joined(readings)
                twice = sorted(rows.keys() & set(names))
                if twice:
                    raise UserError(
                        f"{inner}: clip {twice[0]} is in another folder too; name each shard once, and "
                        "none of another number of shards"
                    )
                rows = {**rows, **{name: len(rows) + k for k, name in enumerate(names)}}
                self.sets[inner.name] = (readings, rows)

    def take(self, name: str, clips: Sequence[str]) -> Readings | None:
        """Readings of the named clips of a set, in that order; None if one is not there."""
        if name not in self.sets:
            return None
        readings, row = self.sets[name]
        if any(clip not in row for clip in clips):
            return None
        return readings.take(np.array([row[clip] for clip in clips]))


def _texts(encoded: np.ndarray) -> np.ndarray:
    """Texts (n,) from their UTF-8 bytes (n, longest), filled up with zeros."""
    rows = np.ascontiguousarray(encoded)
    return np.char.decode(rows.view(f"S{rows.shape[1]}").ravel(), "utf-8")
