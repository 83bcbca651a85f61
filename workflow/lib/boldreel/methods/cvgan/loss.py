"""Losses of generator and discriminators in one backward pass.

The generator's loss goes through discriminators that do not learn from it; theirs looks at clips that are
cut off from the generator. So each gradient is of its own loss, and one optimizer steps both.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from boldreel.methods.cvgan.model import VideoGan


def both(
    model: VideoGan,
    code: Tensor,
    real: Tensor,
    adversarial: float,
    reconstruction: float,
    temporal: float,
) -> tuple[Tensor, dict[str, float]]:
    """(sum of the losses, each of them for the log).

    Parameters
    ----------
    code : (n, code). real : (n, 3, frames, side, side) in [-1, 1].
    """
    fake = model(code)
    pixels = functional.l1_loss(fake, real)
    change = torch.zeros((), device=real.device)
    if real.shape[2] > 1:
        change = functional.l1_loss(fake.diff(dim=2), real.diff(dim=2))
    fooled = torch.zeros((), device=real.device)
    told = torch.zeros((), device=real.device)
    for judge in model.discriminators:
        _learn(judge, False)
        fooled = fooled - judge(fake, code).mean()
        _learn(judge, True)
        told = told + functional.relu(1 - judge(real, code)).mean()
        told = told + functional.relu(1 + judge(fake.detach(), code)).mean()
    generator = reconstruction * pixels + temporal * change + adversarial * fooled
    logged = {"pixels": pixels, "change": change, "fooled": fooled, "discriminators": told}
    return generator + told, {name: float(value.detach()) for name, value in logged.items()}


def _learn(module: nn.Module, whether: bool) -> None:
    for parameter in module.parameters():
        parameter.requires_grad_(whether)
