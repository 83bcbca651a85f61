"""Left-out predictions of training clips: what a decoder makes of clips that its fit did not see.

Reads and writes `left_out.npy`, predictions of the averaged response to each clip, and `left_out_noise.npy`,
how predictions of single showings scatter around it. Reliability is measured on them (`models.estimates`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from boldreel.data import arrays
from boldreel.errors import UserError


@dataclass(frozen=True)
class LeftOut:
    """values : float32 (clips, K). noise : float32 (K, K), covariance of a single showing's prediction within
    its clip, zero where no clip was shown twice. clips : their names; showings : int (clips,), how many
    were averaged."""

    values: np.ndarray
    noise: np.ndarray
    clips: list[str]
    showings: np.ndarray

    @classmethod
    def of(
        cls, values: np.ndarray, single: np.ndarray, rows_of: list[np.ndarray], clips: list[str]
    ) -> LeftOut:
        """values (clips, K), of averaged responses; single (rows, K), of each showing; rows_of each clip."""
        width = values.shape[1]
        total, freedom = np.zeros((width, width)), 0
        for rows in rows_of:
            apart = single[rows].astype(np.float64) - single[rows].mean(0, dtype=np.float64)
            total += apart.T @ apart
            freedom += len(rows) - 1
        noise = (total / max(freedom, 1)).astype(np.float32)
        return cls(values, noise, clips, np.array([len(rows) for rows in rows_of]))

    def save(self, path: Path) -> None:
        """Write both arrays; `path` is that of the predictions."""
        showings = [int(count) for count in self.showings]
        arrays.save(path, self.values, kind="left_out", clips=self.clips, showings=showings)
        arrays.save(noise_of(path), self.noise, kind="left_out_noise")

    @classmethod
    def load(cls, path: Path) -> LeftOut:
        """Read both arrays."""
        values, meta = arrays.load(path, kind="left_out", mmap=False)
        noise, _ = arrays.load(noise_of(path), kind="left_out_noise", mmap=False)
        return cls(values, noise, list(meta["clips"]), np.array(meta["showings"]))

    def take(self, clips: list[str]) -> LeftOut:
        """Of these clips in this order; UserError for one that is not there."""
        row = {name: k for k, name in enumerate(self.clips)}
        missing = [name for name in clips if name not in row]
        if missing:
            raise UserError(f"clip {missing[0]}: no left-out prediction; align the subject again")
        rows = [row[name] for name in clips]
        return LeftOut(self.values[rows], self.noise, list(clips), self.showings[rows])


def noise_of(path: Path) -> Path:
    """The file of the noise next to that of the predictions."""
    return path.with_name(f"{path.stem}_noise.npy")
