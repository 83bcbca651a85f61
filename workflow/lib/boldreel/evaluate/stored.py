"""Readings on disk, so that what all subjects share is judged once.

Takes and leaves a folder with one folder per set of clips (truth, true_features, training), each
with flow.npy, and image.npy, video.npy, embedding.npy, early.npy, late.npy and caption.npy as far as there
are judges for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from boldreel.data import arrays
from boldreel.evaluate.readings import Readings

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
    """Readings of named clips from a folder written by `save`; nothing without a folder.

    parts : the readings wanted, see `Judges.parts`.
    """

    def __init__(self, folder: Path | None, parts: Sequence[str]) -> None:
        self.sets: dict[str, tuple[Readings, dict[str, int]]] = {}
        for inner in sorted(folder.iterdir()) if folder is not None else []:
            if not inner.is_dir() or any(not (inner / f"{p}.npy").exists() for p in parts):
                continue
            found = {p: arrays.load(inner / f"{p}.npy", kind=_KINDS[p]) for p in parts}
            if found:
                names = next(iter(found.values()))[1]["clips"]
                of = {p: array for p, (array, _) in found.items()}
                if "caption" in of:
                    of["caption"] = _texts(of["caption"])
                readings = Readings(**of)
                self.sets[inner.name] = (readings, {name: k for k, name in enumerate(names)})

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
