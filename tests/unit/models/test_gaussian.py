"""The conditional mean of a normal distribution."""

from __future__ import annotations

import numpy as np
import torch

from boldreel.models.gaussian import conditional_mean


def covariance(size: int = 12, seed: int = 0) -> np.ndarray:
    mixing = np.random.default_rng(seed).standard_normal((size, size))
    return mixing @ mixing.T / size + 0.1 * np.eye(size)


def test_it_is_the_formula_for_every_pattern() -> None:
    rng = np.random.default_rng(1)
    matrix, x = covariance(), rng.standard_normal((6, 12))
    visible = rng.random((6, 12)) < 0.5
    visible[3] = visible[0]  # two volumes of one pattern
    visible[5] = False
    hidden_differ = np.where(visible, x, np.nan)
    got = conditional_mean(*map(torch.from_numpy, (matrix, hidden_differ, visible))).numpy()
    for row, seen in enumerate(visible):
        inner = matrix[np.ix_(seen, seen)]
        expected = matrix[:, seen] @ np.linalg.solve(inner, x[row, seen])
        np.testing.assert_allclose(got[row], expected, atol=1e-10)
    np.testing.assert_allclose(got[visible], x[visible], atol=1e-10)
    assert not got[5].any()


def test_float32_close_to_singular() -> None:
    waves = np.random.default_rng(2).standard_normal((40, 3))
    matrix = torch.from_numpy(1e3 * waves @ waves.T + 1e-4 * np.eye(40))
    visible = torch.arange(40).expand(2, -1) < 20
    x = torch.from_numpy(np.random.default_rng(3).standard_normal((2, 3)) @ waves.T)
    failed = torch.linalg.cholesky_ex(matrix.float()[:20, :20])[1]
    assert int(failed)
    got = conditional_mean(matrix.float(), x.float(), visible)
    assert got.dtype is torch.float32
    np.testing.assert_allclose(got, x, rtol=0.02, atol=0.02)
