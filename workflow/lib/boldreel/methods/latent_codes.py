"""A compact code of clips, and ridge regression from BOLD to it.

Takes pairs and any description of their clips; returns principal components, an encoder that predicts them
from responses, and predictions for clips whose segment the regression had not seen, which are as noisy as
those at test.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from boldreel.errors import UserError
from boldreel.methods import ridge
from boldreel.methods.material import Pairs


def components(features: np.ndarray, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(component values (n, k) of unit variance, their share of the variance), k at most `count`."""
    from sklearn.decomposition import PCA

    count = min(count, len(features) - 1, features.shape[1])
    solver = PCA(count, whiten=True, svd_solver="randomized", random_state=seed)
    values = solver.fit_transform(features.astype(np.float32))
    return values.astype(np.float32), solver.explained_variance_ratio_


@dataclass(frozen=True)
class Encoder:
    """Responses to codes. used : bool (positions,). weight : (w x used, code). bias, scale : (code,)."""

    used: np.ndarray
    weight: np.ndarray
    bias: np.ndarray
    scale: np.ndarray

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Codes (n, code) of responses (n, w, positions); UserError if those do not fit."""
        if x.shape[2] != len(self.used) or x.shape[1] * int(self.used.sum()) != len(self.weight):
            raise UserError(
                f"windows of {x.shape[1]} volumes and {x.shape[2]} positions do not fit this model; train "
                "it on these windows"
            )
        rows = x[:, :, self.used].reshape(len(x), -1)
        # Row by row: a product of many rows differs in its last digits with their number.
        codes = np.stack([row @ self.weight + self.bias for row in rows])
        return (codes * self.scale).astype(np.float32)


@dataclass(frozen=True)
class Codes:
    """true, left_out : float32 (n, code); left_out has unit variance, which `encoder` shares."""

    true: np.ndarray
    left_out: np.ndarray
    encoder: Encoder


def fit(pairs: Pairs, description: np.ndarray, count: int, seed: int) -> Codes:
    """Codes of the clips' descriptions (n, D), and their encoder.

    A component that is not predicted at all shrinks to nothing under its penalty; scaled up again it would be
    noise alone, so that all are scaled by one number.
    """
    true, _ = components(description, count, seed)
    fitted, left_out = ridge.fit(pairs.rows, true, np.asarray(pairs.segments))
    size = float(np.sqrt((left_out**2).mean()))
    scale = np.full(true.shape[1], 1 / size if size > 1e-6 else 0.0, np.float32)
    encoder = Encoder(pairs.used, fitted.weight, fitted.bias, scale)
    return Codes(true, (left_out * scale).astype(np.float32), encoder)
