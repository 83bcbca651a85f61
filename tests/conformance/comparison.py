"""What the cases share: a file of reference arrays, and one comparison with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

# name of an array, what the project gives, what the reference holds, tolerance
Comparison = tuple[str, np.ndarray, np.ndarray, float]


class Arrays:
    """The arrays of one .npz file; remembers which were read, as an input or to be compared."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.stem = path.stem
        self._file = np.load(path)
        self._read: set[str] = set()

    def __iter__(self) -> Iterator[str]:
        return iter(self._file)

    def __contains__(self, key: str) -> bool:
        return key in self._file

    def __getitem__(self, key: str) -> np.ndarray:
        self._read.add(key)
        return self._file[key]

    def sibling(self, name: str) -> Path:
        """A file in the same folder."""
        return self.path.with_name(name)

    def unread(self) -> list[str]:
        """Arrays that nobody looked at; single numbers and lists of numbers, which describe, aside."""
        return [key for key in self if key not in self._read and self._file[key].ndim > 1]

    def line(self, key: str, own: Any, tolerance: float) -> Comparison:
        """The comparison of the array under `key` with the project's tensor or array."""
        values = own.detach().numpy() if hasattr(own, "detach") else np.asarray(own)
        return f"{self.stem}:{key}", values, self[key], tolerance
