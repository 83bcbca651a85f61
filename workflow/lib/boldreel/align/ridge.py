"""Ridge regression from windows of BOLD to alignment targets.

Takes and returns arrays. Solved in the dual (rows, not voxels). Cross-validation leaves out
whole segments: trials of one segment never stand on both sides.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

ALPHAS = tuple(float(10.0**power) for power in np.arange(1.0, 6.51, 0.5))
Groups = dict[str, slice]


def fit(
    x: np.ndarray, y: np.ndarray, alphas: dict[str, float], groups: Groups
) -> tuple[np.ndarray, np.ndarray]:
    """Weight (features, targets) and bias (targets,): prediction = x @ weight + bias.

    x : (rows, features); y : (rows, targets); groups : name -> columns of y that share a penalty
    """
    from scipy.linalg import cho_factor, cho_solve

    mean_x, mean_y = x.mean(0, dtype=np.float64), y.mean(0, dtype=np.float64)
    centred = x - mean_x
    kernel = centred @ centred.T
    dual = np.empty(y.shape)
    for group, columns in groups.items():
        penalised = kernel + alphas[group] * np.eye(len(kernel))
        factor = cho_factor(penalised, overwrite_a=True, check_finite=False)
        dual[:, columns] = cho_solve(factor, y[:, columns] - mean_y[columns], check_finite=False)
    weight = centred.T @ dual
    return weight, mean_y - mean_x @ weight


def left_out(
    x: np.ndarray, y: np.ndarray, folds: np.ndarray, alphas: dict[str, float], groups: Groups
) -> np.ndarray:
    """Predictions (rows, targets) of every row by a fit that never saw the row's fold."""
    out = np.empty(y.shape)
    for name in np.unique(folds):
        test = folds == name
        weight, bias = fit(x[~test], y[~test], alphas, groups)
        out[test] = x[test] @ weight + bias
    return out


def choose_alphas(
    x: np.ndarray,
    y: np.ndarray,
    folds: np.ndarray,
    items: np.ndarray,
    groups: Groups,
    alphas: tuple[float, ...] = ALPHAS,
    known: np.ndarray | None = None,
) -> dict[str, tuple[float, float]]:
    """The best penalty of each group of targets, and its score.

    Parameters
    ----------
    x : (rows, features), a row per trial; y : (rows, targets)
    folds : (rows,) segment of each row; at least two segments
    items : (rows,) clip of each row: predictions of a clip's trials are averaged before they are
        scored, as they are at test
    known : (rows, targets), predictions that were there before; what they leave is what is fitted

    Returns
    -------
    name -> (alpha, score). The score is the cosine between predicted and true deviations from the
    training mean, over all left-out clips and all targets of the group: blind to overall size,
    which the calibration sets afterwards.
    """
    sums = {group: np.zeros((len(alphas), 3)) for group in groups}
    before = np.zeros_like(y) if known is None else known
    for projected, values, rotated, truth, given in _spectra(x, y, folds, items, before):
        for k, alpha in enumerate(alphas):
            guess = given + (projected / (values + alpha)) @ rotated
            for group, columns in groups.items():
                p, t = guess[:, columns], truth[:, columns]
                sums[group][k] += [(p * t).sum(), (p**2).sum(), (t**2).sum()]
    best = {}
    for group, products in sums.items():
        scale = np.sqrt(products[:, 1] * products[:, 2])
        scores = np.divide(products[:, 0], scale, out=np.zeros(len(alphas)), where=scale > 0)
        k = int(scores.argmax())
        best[group] = (alphas[k], float(scores[k]))
    return best


def _spectra(
    x: np.ndarray, y: np.ndarray, folds: np.ndarray, items: np.ndarray, known: np.ndarray
) -> Iterator[tuple[np.ndarray, ...]]:
    """For each fold left out: its rows in the training kernel's eigenvectors (averaged by item),
    the eigenvalues, the rotated training targets, the true targets, and what was known of them; the
    last two as deviations from the training mean.

    One eigendecomposition serves all penalties and targets.
    """
    from scipy.linalg import eigh

    wide = x.astype(np.float64)
    kernel = wide @ wide.T
    for name in np.unique(folds):
        test, train = folds == name, folds != name
        inner, cross = kernel[np.ix_(train, train)], kernel[np.ix_(test, train)]
        means = inner.mean(0)
        inner = inner - means[:, None] - means[None] + means.mean()
        cross = cross - cross.mean(1, keepdims=True) - means[None] + means.mean()
        values, vectors = eigh(inner, overwrite_a=True, check_finite=False)
        left = y[train] - known[train]
        _, item = np.unique(items[test], return_inverse=True)
        average = np.zeros((item.max() + 1, len(item)))
        average[item, np.arange(len(item))] = 1
        average /= average.sum(1, keepdims=True)
        yield (
            average @ cross @ vectors,
            np.maximum(values, 0),
            vectors.T @ (left - left.mean(0)),
            average @ (y[test] - y[train].mean(0)),
            average @ (known[test] - known[train].mean(0)),
        )


def principal_axes(values: np.ndarray, at_most: int, variance: float) -> np.ndarray:
    """Axes (rank, width), orthonormal, that hold a share `variance` of the centred rows' variance,
    but no more than `at_most`; at least one."""
    centred = values.astype(np.float64) - values.mean(0)
    eigenvalues, vectors = np.linalg.eigh(centred @ centred.T)
    order = np.argsort(eigenvalues)[::-1]
    kept = np.maximum(eigenvalues[order], 0)
    shares = np.cumsum(kept) / max(kept.sum(), 1e-30)
    rank = max(1, min(at_most, int(np.searchsorted(shares, variance)) + 1, len(values) - 1))
    axes = vectors[:, order[:rank]].T @ centred
    return axes / np.maximum(np.linalg.norm(axes, axis=1, keepdims=True), 1e-12)
