"""Losses of the alignment.

Take tensors of a batch; leave scalars. Contrast between fMRI and CLIP in both directions (Radford
et al. 2021; weights of Chen et al., MinD-Video, NeurIPS 2023), with several positives.
"""

from __future__ import annotations

import torch
from torch.nn import functional


def contrast(
    predicted: torch.Tensor, target: torch.Tensor, scale: torch.Tensor, groups: torch.Tensor
) -> torch.Tensor:
    """Symmetric InfoNCE with soft targets.

    predicted, target : (n, D), unit norm; scale : exp of the logit scale; groups : int (n,), rows of
    one group (a shot, a caption) are each other's right answers, in equal shares.
    """
    logits = scale * predicted @ target.T
    same = (groups[:, None] == groups[None]).to(logits)
    shares = same / same.sum(1, keepdim=True)
    forward = functional.cross_entropy(logits, shares)
    backward = functional.cross_entropy(logits.T, shares)
    return (forward + backward) / 2


def regression(predicted: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """1 - cosine between predicted and true deviations (n, ...) of condition tokens, mean over rows.

    Half the squared error between both once scaled to unit size, as they are scaled before use.
    """
    cosine = functional.cosine_similarity(predicted.flatten(1), target.flatten(1), dim=1)
    return (1 - cosine).mean()
