"""How well responses at a lag mirror the features, without fitting anything.

Takes Gram matrices of responses and the features; returns one number per lag. Two clips of different
segments share no noise, so the product of their responses, weighted by the product of their features,
is zero on average unless responses carry features: the off-diagonal part of kernel alignment
(Cristianini 2002). It rises with the square of the response at that lag, and uses all pairs of clips,
which makes it far surer than a decoding score on one held-out segment.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from boldreel.stats import permutation


def alignment(
    kernels: Sequence[np.ndarray], features: np.ndarray, groups: np.ndarray
) -> np.ndarray:
    """Alignment at each lag, (lags,), in units of its own standard error under independence (about).

    Parameters
    ----------
    kernels : one (n, n) Gram matrix of responses per lag
    features : (n, D), columns of mean zero
    groups : (n,), segment of each clip; only pairs of different segments count
    """
    return _Pairs(kernels, groups).against(features @ features.T)


def permutation_p(
    kernels: Sequence[np.ndarray],
    features: np.ndarray,
    groups: np.ndarray,
    orders: np.ndarray,
) -> permutation.Permutation:
    """Test of the largest alignment of all lags, against the largest after each re-ordering of features.

    Parameters
    ----------
    orders : int (N, n) permutations, such as circular shifts inside runs (`stats.shifts.orders`)
    """
    pairs = _Pairs(kernels, groups)
    product = features @ features.T
    best = pairs.against(product).max()
    null = [pairs.against(product[np.ix_(order, order)]).max() for order in orders]
    return permutation.among(float(best), np.array(null), np.sqrt(pairs.count))


class _Pairs:
    """The pairs of different segments, each once."""

    def __init__(self, kernels: Sequence[np.ndarray], groups: np.ndarray):
        upper = np.triu(groups[:, None] != groups[None, :])
        self._at = np.flatnonzero(upper)
        self.count = len(self._at)
        values = np.stack([kernel.ravel()[self._at] for kernel in kernels]).astype(np.float32)
        spread = np.sqrt((values**2).mean(axis=1, keepdims=True))
        self._values = np.divide(values, spread, out=np.zeros_like(values), where=spread > 0)

    def against(self, product: np.ndarray) -> np.ndarray:
        weights = product.ravel()[self._at].astype(np.float32)
        norm = float(np.linalg.norm(weights))
        return self._values @ weights / norm if norm else np.zeros(len(self._values))
