"""Pearson correlation of rows and of columns. What does not vary has correlation 0."""

from __future__ import annotations

import numpy as np


def standardised(rows: np.ndarray) -> np.ndarray:
    """Rows (n, D) of mean 0 and unit norm, whose products are correlations; constant rows are 0."""
    centred = rows - rows.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.divide(centred, norm, out=np.zeros_like(centred), where=norm > 0)


def of_rows(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Correlation (n, m) of each row of one (n, D) with each row of the other (m, D)."""
    return standardised(first) @ standardised(second).T


def of_columns(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Correlation (D,) of each column of one (n, D) with the same column of the other, (n, D)."""
    a, b = first - first.mean(axis=0), second - second.mean(axis=0)
    size = np.linalg.norm(a, axis=0) * np.linalg.norm(b, axis=0)
    return np.divide((a * b).sum(axis=0), size, out=np.zeros(a.shape[1]), where=size > 0)
