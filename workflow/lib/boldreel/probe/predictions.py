"""What a decoder predicts of test clips, computed once and stored.

Takes a decoder and windows; writes and reads a folder: `image.npy`, `text.npy`, `condition.npy` from all
repeats averaged, `columns.npy` (deviations as the columns of the read-out, where there is one), image and
text of halves and sets of repeats, `sets_image.npy` and `sets_text.npy`, and `clips.json`, the order of
clips.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from boldreel.data import arrays
from boldreel.errors import UserError

if TYPE_CHECKING:
    from boldreel.models.decoder import Decoder

Predicted = dict[str, np.ndarray]  # image and text (n, D), condition (n, tokens, width)
HALVES = ("half-0", "half-1")


def predict(decoder: Decoder, x: np.ndarray) -> Predicted:
    """Decode windows (n, w, V): image and text (n, D), condition (n, tokens, width)."""
    import torch

    from boldreel.models.decoder import decode

    parts = list(decode(decoder, torch.from_numpy(x)))
    return {
        name: torch.cat([getattr(part, name) for part in parts]).numpy()
        for name in ("image", "text", "condition")
    }


def of_repeats(n: int, k: int) -> str:
    """The name of set number k of n repeats."""
    return f"{n}-repeats-{k}"


@dataclass(frozen=True)
class Predictions:
    """clips: sorted. whole: from all repeats. sets: {name: image and text of each clip}. columns: float32
    (clips, K), or None."""

    clips: list[str]
    whole: Predicted
    sets: dict[str, Predicted] = field(default_factory=dict)
    columns: np.ndarray | None = None

    @property
    def halves(self) -> tuple[Predicted, Predicted] | None:
        """Predictions from each half of the repeats; None if a clip was shown once."""
        if HALVES[0] not in self.sets:
            return None
        return self.sets[HALVES[0]], self.sets[HALVES[1]]

    def write(self, folder: Path) -> None:
        """Write the folder's files."""
        for name in ("image", "text"):
            arrays.save(folder / f"{name}.npy", self.whole[name], kind="prediction")
            if self.sets:
                stacked = np.stack([one[name] for one in self.sets.values()])
                path = folder / f"sets_{name}.npy"
                arrays.save(path, stacked, kind="set_predictions", sets=list(self.sets))
        arrays.save(folder / "condition.npy", self.whole["condition"], kind="condition")
        if self.columns is not None:
            arrays.save(folder / "columns.npy", self.columns, kind="prediction")
        (folder / "clips.json").write_text(json.dumps(self.clips) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path, clips: list[str]) -> Predictions:
        """The predictions of a folder; UserError if they are of other clips than these."""
        try:
            known = json.loads((folder / "clips.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise UserError(
                f"{folder}: no readable clips.json; run boldreel.probe.encode"
            ) from None
        if known != clips:
            raise UserError(f"{folder}: of other test clips; run boldreel.probe.encode again")
        whole = {
            name: arrays.load(folder / f"{name}.npy", kind=kind, mmap=False)[0]
            for name, kind in (("image", "prediction"), ("text", "prediction"), ("condition",) * 2)
        }
        sets: dict[str, Predicted] = {}
        for name in ("image", "text"):
            if (folder / f"sets_{name}.npy").exists():
                stacked, meta = arrays.load(folder / f"sets_{name}.npy", kind="set_predictions")
                for label, values in zip(meta["sets"], stacked, strict=True):
                    sets.setdefault(label, {})[name] = np.asarray(values)
        columns = None
        if (folder / "columns.npy").exists():
            columns = arrays.load(folder / "columns.npy", kind="prediction", mmap=False)[0]
        return cls(known, whole, sets, columns)
