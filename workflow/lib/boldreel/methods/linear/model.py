"""The fitted maps: BOLD to components of layers, components to pictures, class scores and clips.

Plain arrays; knows neither windows tables nor movies. Saved as one safetensors file and config.json.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from boldreel.data import atomic
from boldreel.errors import UserError
from boldreel.stats import correlation

_META = ("early", "shape", "labels", "clips")


@dataclass(frozen=True)
class LinearModel:
    """V positions and w volumes in; components of the early (E) and late (L) layer between.

    used : bool (V,), positions that are read.
    weight, bias : (w x used, E + L), (E + L,), BOLD to components, in their standard deviations.
    early : E. picture, picture_bias : (E + L, pixels), (pixels,), predicted components to a clip's
        pixels, 0 to 255. shape : (frames, height, width, 3) of that clip.
    head, head_bias : (L, classes), (classes,), late components to class scores. labels : their names.
    known : (training clips, E + L), true components. clips : their names.
    """

    used: np.ndarray
    weight: np.ndarray
    bias: np.ndarray
    early: int
    picture: np.ndarray
    picture_bias: np.ndarray
    head: np.ndarray
    head_bias: np.ndarray
    known: np.ndarray
    shape: tuple[int, int, int, int]
    labels: list[str]
    clips: list[str]

    def components(self, x: np.ndarray) -> np.ndarray:
        """Predicted components (n, E + L) of responses (n, w, V); UserError for another w or V."""
        if x.shape[2] != len(self.used) or x.shape[1] * self.used.sum() != len(self.weight):
            raise UserError(
                f"windows of {x.shape[1]} volumes and {x.shape[2]} positions do not fit this linear model; "
                "train it on these windows"
            )
        rows = x[:, :, self.used].reshape(len(x), -1)
        # Row by row: a product of many rows differs in its last digits with their number.
        return np.stack([row @ self.weight + self.bias for row in rows]).astype(np.float32)

    def pictures(self, components: np.ndarray) -> np.ndarray:
        """uint8 clips (n, frames, height, width, 3)."""
        pixels = np.stack([row @ self.picture + self.picture_bias for row in components])
        return np.clip(np.round(pixels), 0, 255).astype(np.uint8).reshape(-1, *self.shape)

    def categories(self, components: np.ndarray) -> np.ndarray:
        """Class probabilities (n, classes)."""
        scores = components[:, self.early :] @ self.head + self.head_bias
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        return scores / scores.sum(axis=1, keepdims=True)

    def nearest(self, components: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(row of the training clip whose components correlate best, that correlation), (n,) each."""
        alike = correlation.of_rows(components, self.known)
        best = alike.argmax(axis=1)
        return best, alike[np.arange(len(best)), best]

    def save_pretrained(self, folder: Path | str) -> None:
        """Write `model.safetensors` and `config.json` in one step."""
        from safetensors.numpy import save_file

        arrays = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in _META}
        with atomic.folder(folder) as aside:
            save_file(
                {name: np.ascontiguousarray(value) for name, value in arrays.items()},
                aside / "model.safetensors",
            )
            meta = {name: getattr(self, name) for name in _META}
            atomic.write_text(aside / "config.json", json.dumps(meta, indent=1) + "\n")

    @classmethod
    def from_pretrained(cls, folder: Path | str) -> LinearModel:
        """Read what `save_pretrained` wrote; UserError if it is not there."""
        from safetensors.numpy import load_file

        folder = Path(folder)
        if not (folder / "model.safetensors").exists():
            raise UserError(f"{folder}: no linear model; run boldreel.methods.linear.train")
        known: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        known["shape"] = tuple(known["shape"])
        known.update(load_file(folder / "model.safetensors"))
        return cls(**known)
