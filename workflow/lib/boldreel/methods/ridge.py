"""Ridge regression with a penalty for each target, chosen across segments, by himalaya.

Takes arrays; returns weights, penalties and predictions for rows whose segment was left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from boldreel.stats import correlation

ALPHAS = np.logspace(-3, 4, 15)  # in units of the mean squared norm of a row


@dataclass(frozen=True)
class Fit:
    """weight float32 (features, targets), bias (targets,), alphas (targets,) and the mean correlation
    (targets,) with targets of left-out segments."""

    weight: np.ndarray
    bias: np.ndarray
    alphas: np.ndarray
    scores: np.ndarray

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Targets (n, targets) of rows (n, features)."""
        return (x @ self.weight + self.bias).astype(np.float32)


def fit(x: np.ndarray, y: np.ndarray, segments: np.ndarray) -> tuple[Fit, np.ndarray]:
    """(fit on all rows, predictions of each row by a fit that had not seen its segment).

    Parameters
    ----------
    x : (rows, features). y : (rows, targets). segments : (rows,) labels, two or more.
    """
    from himalaya.kernel_ridge import KernelRidge, KernelRidgeCV

    rows = np.arange(len(x))
    folds = [(rows[segments != name], rows[segments == name]) for name in np.unique(segments)]
    mean_x, mean_y = x.mean(0, dtype=np.float64), y.mean(0, dtype=np.float64)
    centred, targets = (x - mean_x).astype(np.float32), (y - mean_y).astype(np.float32)
    scale = np.float32(max(float((centred**2).sum(1).mean()), 1e-12) ** 0.5)
    chosen = KernelRidgeCV(alphas=ALPHAS, cv=folds, warn=False).fit(centred / scale, targets)
    alphas = np.asarray(chosen.best_alphas_)
    left_out = np.empty(y.shape, np.float32)
    for others, own in folds:
        # Means of the other segments: those of the left-out one would tell of it.
        at, level = x[others].mean(0), y[others].mean(0)
        part = KernelRidge(alpha=alphas, warn=False)
        part.fit((x[others] - at) / scale, (y[others] - level).astype(np.float32))
        left_out[own] = part.predict((x[own] - at) / scale) + level
    weight = centred.T @ np.asarray(chosen.dual_coef_, np.float32) / scale**2
    bias = (mean_y - mean_x @ weight).astype(np.float32)
    return Fit(weight, bias, alphas, correlation.of_columns(left_out, y)), left_out
