"""The mean of a normal distribution given a part of it, for many volumes with a part each.

Takes a covariance (V, V), volumes (n, V) and what is visible of each; returns the best linear prediction of
all positions, E[x | x_v] = C_v C_vv^-1 x_v, for volumes of mean zero. Only the block of visible positions is
factorised (Cholesky), once for all volumes that show the same ones: with a quarter visible, a 64th of the
work for the whole matrix.
"""

from __future__ import annotations

import torch


@torch.no_grad()
def conditional_mean(
    covariance: torch.Tensor, x: torch.Tensor, visible: torch.Tensor
) -> torch.Tensor:
    """Predict all positions of volumes from the visible ones.

    Parameters
    ----------
    covariance : (V, V), positive definite; its type is what the result is computed in
    x : (n, V), of mean zero; what is not visible has no influence
    visible : bool (n, V)

    Returns
    -------
    (n, V), the type and device of `covariance`. At visible positions it is x itself.
    """
    with torch.autocast(covariance.device.type, enabled=False):
        values = torch.where(visible, x, 0.0).to(covariance)
        weights = torch.zeros_like(values)
        patterns, own = torch.unique(visible, dim=0, return_inverse=True)
        for number, pattern in enumerate(patterns):
            rows = (own == number).nonzero()
            seen = pattern.nonzero()[:, 0]
            block = covariance.index_select(0, seen).index_select(1, seen)
            weights[rows, seen] = _solve(block, values[rows, seen])
        return weights @ covariance


def _solve(block: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """values (n, m) times the inverse of a block (m, m)."""
    factor, failed = torch.linalg.cholesky_ex(block)
    if int(failed):  # too close to singular for its type: what rounding can amount to is added
        rounding = torch.finfo(block.dtype).eps * block.trace().double()
        factor = torch.linalg.cholesky(block.double() + rounding * torch.eye(len(block)).to(block))
    return torch.cholesky_solve(values.T.to(factor), factor).T.to(values)
