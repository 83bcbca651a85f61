"""How well hidden patches are predicted: the model next to predictors that need no network.

Takes volumes, presence and masks as NumPy arrays; returns predictions and one correlation per
volume. All predictors see the same visible patches of the same volumes, and are fitted on training
subjects alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


def masked_correlation(truth: np.ndarray, prediction: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """Pearson correlation over the hidden, present positions of each volume, (n,).

    truth, prediction : (n, V); hidden : bool (n, V). A constant prediction has correlation 0.
    """
    weight = hidden.astype(np.float64)
    total = np.maximum(weight.sum(1, keepdims=True), 1)

    def centred(values: np.ndarray) -> np.ndarray:
        return (values - (values * weight).sum(1, keepdims=True) / total) * weight

    a, b = centred(truth), centred(prediction)
    scale = np.sqrt((a**2).sum(1) * (b**2).sum(1))
    return np.where(scale > 1e-12, (a * b).sum(1) / np.maximum(scale, 1e-12), 0.0)


def hidden_positions(mask: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Bool (n, V) of positions that are hidden and present; mask (n, patches), 1 = hidden."""
    return np.repeat(mask > 0, present.shape[1] // mask.shape[1], axis=1) & present


def patch_centres(positions: pd.DataFrame) -> np.ndarray:
    """Mean coordinates (patches, 3) in mm of the voxels of each patch; NaN for empty patches."""
    return positions.groupby("patch")[["x", "y", "z"]].mean().to_numpy()


class Predictor(Protocol):
    """Predicts all positions of volumes x (n, V) from those in visible, bool (n, V)."""

    def predict(self, x: np.ndarray, visible: np.ndarray) -> np.ndarray: ...


class PatchMean:
    """The training mean of every position, whatever is visible."""

    def __init__(self, training: np.ndarray):
        self.mean = training.mean(0, dtype=np.float64)

    def predict(self, x: np.ndarray, visible: np.ndarray) -> np.ndarray:
        return np.broadcast_to(self.mean, x.shape)


class NearestVisible:
    """The mean of the visible patch whose centre is nearest, at every position of a hidden one."""

    def __init__(self, centres: np.ndarray):
        distance = np.linalg.norm(centres[:, None] - centres[None], axis=2)
        self.distance = np.where(np.isfinite(distance), distance, np.inf)

    def predict(self, x: np.ndarray, visible: np.ndarray) -> np.ndarray:
        """x (n, V); visible bool (n, V). Positions without any visible patch get 0."""
        n, patches = len(x), len(self.distance)
        inside = visible.reshape(n, patches, -1)
        counts = inside.sum(2)
        means = (x.reshape(inside.shape) * inside).sum(2) / np.maximum(counts, 1)
        distance = np.where(counts[:, None, :] > 0, self.distance[None], np.inf)
        nearest = distance.argmin(2)
        value = np.take_along_axis(means, nearest, axis=1)
        value = np.where(np.isfinite(distance.min(2)), value, 0.0)
        return np.repeat(value, inside.shape[2], axis=1)


class Gaussian:
    """The best linear predictor for every mask, if its covariance is right: the mean of a normal
    distribution given the visible positions, E[h | v] = m_h + C_hv C_vv^-1 (v - m_v)."""

    def __init__(self, covariance: np.ndarray, mean: np.ndarray | None = None):
        """covariance : (V, V), positive definite; mean : (V,), None for zeros."""
        self.covariance = covariance
        self.mean = np.zeros(len(covariance)) if mean is None else mean

    @classmethod
    def diagonal(cls, training: np.ndarray) -> Gaussian:
        """With the covariance of training volumes (n, V), shrunk towards its diagonal (Ledoit and Wolf
        2004 choose how far): it knows nothing of distance."""
        from sklearn.covariance import ledoit_wolf

        mean = training.mean(0, dtype=np.float64)
        return cls(ledoit_wolf(training.astype(np.float64))[0], mean)

    @classmethod
    def components(cls, training: np.ndarray, count: int = 50) -> Gaussian:
        """With the first principal components of training volumes (n, V), and what they leave as noise of
        one size at all positions (Tipping and Bishop 1999, probabilistic PCA)."""
        from sklearn.utils.extmath import randomized_svd

        mean = training.mean(0, dtype=np.float64)
        centred = training - mean.astype(training.dtype)
        count = max(1, min(count, *(size - 1 for size in training.shape)))
        _, sizes, axes = randomized_svd(centred, count, random_state=0)
        variances = sizes.astype(np.float64) ** 2 / len(training)
        total = float(np.square(centred, dtype=np.float64).sum()) / len(training)
        left = max((total - variances.sum()) / max(len(mean) - count, 1), 1e-3)
        covariance = (axes.T * np.maximum(variances - left, 0)) @ axes
        covariance[np.diag_indices_from(covariance)] += left
        return cls(covariance, mean)

    def predict(self, x: np.ndarray, visible: np.ndarray) -> np.ndarray:
        import torch

        from boldreel.models.gaussian import conditional_mean

        parts = (self.covariance.astype(np.float64), x - self.mean, visible)
        covariance, deviation, seen = (torch.from_numpy(np.ascontiguousarray(a)) for a in parts)
        return conditional_mean(covariance, deviation, seen).numpy() + self.mean
