"""Truth and reconstruction of any method as `score` takes them: one run on disk at a time.

Takes matched clips; returns aligned uint8 frames. A run of 1,200 clips of 6 frames at 256 pixels
would take 2.8 GB for both sides, so frames lie in temporary files (below TMPDIR) and only what is
indexed is read.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from boldreel.data.frames import resize
from boldreel.evaluate import baselines
from boldreel.evaluate.score import Condition
from boldreel.evaluate.videos import Clip
from boldreel.training.progress import Progress

if TYPE_CHECKING:
    import pandas as pd


class MemmapClips:
    """Clips uint8 (n, F, h, w, 3) in a file, where only `shape`, `len` and indexing are needed.

    Each access maps the file again and copies, so that no page of it stays in memory. The file has
    no name: it goes with the object, or with the process however that ends.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, clips: Iterator[np.ndarray], shape: tuple[int, ...]) -> None:
        self.shape = shape
        self.file = tempfile.TemporaryFile()  # noqa: SIM115
        for clip in clips:
            self.file.write(np.ascontiguousarray(clip).tobytes())
        self.file.flush()

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> np.ndarray:
        return np.array(np.memmap(self.file, np.uint8, "r", shape=self.shape)[key])


class Pairs:
    """Clips of both sides, brought to one number of frames and one size.

    Parameters
    ----------
    truth, reconstruction : clips by name. test : rows of `listing`. frames, size : to compare at,
    size is (h, w).
    """

    def __init__(
        self,
        truth: Mapping[str, Clip],
        reconstruction: Mapping[str, Clip],
        test: pd.DataFrame,
        frames: int,
        size: tuple[int, int],
    ) -> None:
        self.sides = {"truth": truth, "reconstruction": reconstruction}
        self.test, self.training = test, test.iloc[:0]
        self.frames, self.size = frames, size
        self.colours = np.zeros((len(test), 3), dtype=np.uint8)

    def clip(self, side: str, name: str) -> np.ndarray:
        """Frames uint8 (F, h, w, 3) of one clip of "truth" or "reconstruction"."""
        return resize(self.sides[side][name].shown(self.frames), self.size)

    def truth(self, rows: np.ndarray) -> Any:
        """True clips of some rows of `test`; keeps their mean colours."""
        return self._hold("truth", rows)

    def conditions(self, rows: np.ndarray) -> Iterator[Condition]:
        """model, gray and true_colour of rows whose truth was asked for."""
        yield Condition("model", self._hold("reconstruction", rows))
        yield Condition("gray", baselines.gray(self.frames, self.size))
        colours = self.colours[rows]
        yield Condition("true_colour", baselines.true_colour(colours, self.frames, self.size))

    def _hold(self, side: str, rows: np.ndarray) -> Any:
        shape = (len(rows), self.frames, *self.size, 3)
        return MemmapClips(self._read(side, rows), shape)

    def _read(self, side: str, rows: np.ndarray) -> Iterator[np.ndarray]:
        names = self.test["clip"]
        progress = Progress(len(rows), f"read {side}", unit="clips")
        for row in rows:
            clip = self.clip(side, names.iloc[row])
            if side == "truth":
                self.colours[row] = baselines.mean_colour(clip)
            yield clip
            progress.update()
