"""Ridge regression from windows to features, by Gram matrices, and how well it identifies clips.

Takes Gram matrices of responses; returns predictions and scores. The solver and its cross-validation
over whole segments are himalaya's (la Tour et al. 2022). The Gram matrix of a window is the sum of
those of its volumes, so a sweep over lags and windows needs each volume's only once.
"""

from __future__ import annotations

import numpy as np


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


def similarity(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Pearson correlation over features of each predicted (rows) with each true one (columns)."""
    return _standard(predicted) @ _standard(true).T


def two_way(alike: np.ndarray, target: np.ndarray, shots: np.ndarray) -> float:
    """How often the right clip is more alike than a wrong one, chance 0.5, ties counting half.

    Parameters
    ----------
    alike : (n, n), predicted by true
    target : int (n,), which true clip is the right one for each prediction
    shots : (n,), clips of the right clip's own shot are no distractors
    """
    right = alike[np.arange(len(alike)), target][:, None]
    wins = (right > alike) + 0.5 * (right == alike)
    other = shots[target][:, None] != shots[None, :]
    return float((wins * other).sum() / max(other.sum(), 1)) if other.any() else 0.5


def correlation(predicted: np.ndarray, true: np.ndarray) -> float:
    """Mean over features of the correlation over clips; features that do not vary count as 0."""
    p = predicted - predicted.mean(axis=0)
    t = true - true.mean(axis=0)
    norm = np.sqrt((p**2).sum(axis=0) * (t**2).sum(axis=0))
    return float(
        np.mean(np.divide((p * t).sum(axis=0), norm, out=np.zeros_like(norm), where=norm > 0))
    )


def shifts(movies: np.ndarray, minimum: int, number: int, seed: int) -> list[np.ndarray]:
    """Circular shifts of clips inside their movies, each an int (n,) permutation.

    Shifting keeps what neighbouring clips share, so that the null has the data's own dependence.

    Parameters
    ----------
    movies : (n,), movie of each clip, clips of a movie in order of time
    minimum : clips that every movie is shifted by at least, in either direction
    number : how many at most; all distinct ones where there are fewer
    """
    members = [np.flatnonzero(movies == movie) for movie in dict.fromkeys(movies.tolist())]
    choices = [np.arange(minimum, len(rows) - minimum + 1) for rows in members]
    members = [rows for rows, choice in zip(members, choices, strict=True) if len(choice)]
    choices = [choice for choice in choices if len(choice)]
    if not members:
        return []
    rng = np.random.default_rng(seed)
    possible = int(np.prod([float(len(choice)) for choice in choices]))
    if possible <= number:
        grid = np.stack(np.meshgrid(*choices, indexing="ij"), -1).reshape(-1, len(choices))
    else:
        grid = np.stack([rng.choice(choice, number) for choice in choices], axis=-1)
    found = []
    for steps in grid:
        order = np.arange(len(movies))
        for rows, by in zip(members, steps, strict=True):
            order[rows] = np.roll(rows, by)
        found.append(order)
    return found


def _standard(rows: np.ndarray) -> np.ndarray:
    centred = rows - rows.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.divide(centred, norm, out=np.zeros_like(centred), where=norm > 0)
