"""Ridge regression from windows to features, by Gram matrices, and how well it identifies clips.

Takes Gram matrices of responses; returns predictions and scores. The solver and its cross-validation
over whole segments are himalaya's (la Tour et al. 2022). The Gram matrix of a window is the sum of
those of its volumes, so a sweep over lags and windows needs each volume's only once.
"""

from __future__ import annotations

import numpy as np

from boldreel.stats.identification import pooled_two_way


def gram(x: np.ndarray) -> np.ndarray:
    """Inner products (n, n), float32, of responses (n, positions)."""
    x = np.ascontiguousarray(x, dtype=np.float32)
    return x @ x.T


def predict(
    kernel: np.ndarray,
    features: np.ndarray,
    fit: np.ndarray,
    held_out: np.ndarray,
    groups: np.ndarray,
    alphas: np.ndarray,
) -> np.ndarray:
    """Features of the held-out clips as predicted from the others.

    Parameters
    ----------
    kernel : (n, n), inner products of responses
    features : (n, D)
    fit, held_out : int, rows to fit on and rows to predict
    groups : (n,), segment of each row: the penalty is chosen by leaving out one segment of the
        fitted rows after the other (halves of the rows where there is only one)
    alphas : penalties, in units of the mean squared norm of a fitted response; one for all features

    Returns
    -------
    (len(held_out), D), in the units of features
    """
    from himalaya.kernel_ridge import KernelRidgeCV

    inner = kernel[np.ix_(fit, fit)].astype(np.float64)
    cross = kernel[np.ix_(held_out, fit)].astype(np.float64)
    # Centring in the space of responses, with means of the fitted rows only.
    column, total = inner.mean(axis=0), inner.mean()
    cross = cross - cross.mean(axis=1, keepdims=True) - column + total
    inner = inner - column[:, None] - column + total
    scale = np.trace(inner) / len(fit)
    if scale <= 0:
        return np.repeat(features[fit].mean(axis=0, keepdims=True), len(held_out), axis=0)
    mean = features[fit].mean(axis=0)
    model = KernelRidgeCV(
        alphas=np.asarray(alphas, dtype=np.float64),
        kernel="precomputed",
        cv=folds(groups[fit]),
        solver_params={"local_alpha": False},
        warn=False,
    )
    model.fit(inner / scale, (features[fit] - mean).astype(np.float64))
    return np.asarray(model.predict(cross / scale)) + mean


def folds(groups: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """(rows to fit, rows to score) with one group after the other left out; halves if there is one."""
    rows = np.arange(len(groups))
    names = list(dict.fromkeys(groups.tolist()))
    if len(names) == 1:
        half = len(rows) // 2
        return [(rows[:half], rows[half:]), (rows[half:], rows[:half])]
    return [(rows[groups != name], rows[groups == name]) for name in names]


def two_way(alike: np.ndarray, target: np.ndarray, shots: np.ndarray) -> float:
    """How often the right clip is more alike than a wrong one, chance 0.5, ties counting half.

    Parameters
    ----------
    alike : (n, n), predicted by true
    target : int (n,), which true clip is the right one for each prediction
    shots : (n,), clips of the right clip's own shot are no distractors
    """
    return pooled_two_way(alike, shots[:, None] != shots[None, :], target)
