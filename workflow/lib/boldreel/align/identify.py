"""Which clip is meant: identification scores and their chance.

Takes similarities of predictions (rows) to true features (columns) and groups of clips that count
as one (clips of a shot, identical captions); returns numbers. Every score is an outcome matrix
(n, n): entry (a, i) is what prediction a earns when clip i is the truth. Its diagonal is the score,
and a re-pairing of predictions and truths only looks up other entries.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from boldreel.stats import identification


@dataclass(frozen=True)
class Outcome:
    """matrix float (n, n), see the module's head; chance float (n,), expected for each truth."""

    matrix: np.ndarray
    chance: np.ndarray


def cosine(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Similarity (n, m) of unit rows."""
    return predicted @ true.T


def two_way(similarity: np.ndarray, groups: np.ndarray) -> Outcome:
    """Share of other groups' clips that are less similar than the truth; ties count half."""
    every = np.arange(len(similarity))
    i, j = np.meshgrid(every, every, indexing="ij")
    other = groups[:, None] != groups[None]
    matrix = identification.two_way(similarity, other, i, j)
    return Outcome(matrix, np.full(len(similarity), 0.5))


def top_k(similarity: np.ndarray, groups: np.ndarray, k: int) -> Outcome:
    """1 where a clip of the truth's group is among the k most similar of the pool.

    Chance is what these predictions would earn if they were dealt to the clips at random: clips of
    a group crowd the top places together, so that k / n times the group's size would be too much.
    """
    n = len(similarity)
    best = np.argpartition(-similarity, min(k, n) - 1, axis=1)[:, : min(k, n)]
    member = groups[:, None] == groups[None]
    matrix = np.zeros((n, n))
    for column in best.T:
        matrix = np.maximum(matrix, member[column])
    return Outcome(matrix, matrix.mean(0))


def correlation(predicted: np.ndarray, true: np.ndarray) -> Outcome:
    """Correlation over clips of predicted and true features (n, D), dimensions weighted by their variance.

    With P and T centred over clips, entry (a, i) is n <P_a, T_i> / (|P| |T|), whose mean over right pairs is
    the correlation of all entries of P and T; re-pairing leaves the norms as they are.
    """
    # In float64 the deviations of one and the same prediction for all clips are 0, not rounding.
    p, t = (x - x.mean(0) for x in (predicted.astype(np.float64), true.astype(np.float64)))
    size = np.linalg.norm(p) * np.linalg.norm(t)
    n = len(p)
    matrix = n * (p @ t.T) / size if size > 0 else np.zeros((n, n))
    return Outcome(matrix, np.zeros(n))


def classification(scores: np.ndarray, labels: np.ndarray) -> Outcome:
    """1 where the class with the highest score (n, classes) is the truth's label (n,).

    A label below 0 is unknown: such a clip scores NaN, and is left out of every mean.
    """
    matrix = (scores.argmax(1)[:, None] == labels[None]).astype(np.float64)
    matrix[:, labels < 0] = np.nan
    return Outcome(matrix, np.full(len(labels), 1 / scores.shape[1]))


def effective_rank(rows: np.ndarray) -> float:
    """In how many directions rows (n, D) spread: exp of the entropy of their singular values' shares.

    Roy and Vetterli 2007. Predictions of far lower rank than the truth say the same of most clips.
    """
    values = np.linalg.svd(rows - rows.mean(0), compute_uv=False)
    shares = values[values > 0] / values.sum() if values.any() else np.ones(1)
    return float(np.exp(-(shares * np.log(shares)).sum()))
