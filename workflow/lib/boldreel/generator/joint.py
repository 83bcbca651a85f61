"""Encoder and generator as one module, tuned end to end.

Takes an fMRI encoder (windows to an object with ``condition``) and a `VideoUNet`; leaves their joint
loss: the noise loss with the condition that the encoder makes, plus the distance of that condition to
the clip's text condition, so that the encoder does not drift from what the generator was tuned on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from boldreel.generator.losses import LossOptions, video_loss
from boldreel.generator.video_unet import Inflation, VideoUNet


class JointModel(nn.Module):
    """fMRI windows and noisy latents to a prediction, through the encoder's condition."""

    def __init__(self, encoder: nn.Module, generator: VideoUNet) -> None:
        super().__init__()
        self.encoder = encoder
        self.generator = generator

    def forward(self, x: Tensor, noisy: Tensor, timesteps: Tensor) -> tuple[Tensor, Tensor]:
        """Prediction of the latents' shape, and condition (clips, length, width).

        Parameters
        ----------
        x : windows (clips, volumes, positions).
        noisy : latents (clips, frames, c, h, w).
        timesteps : (clips,).
        """
        condition = self.encoder(x).condition
        return self.generator(noisy, timesteps, condition), condition


@dataclass(frozen=True)
class JointBatch:
    """x (clips, volumes, positions), latents (clips, frames, c, h, w), text (clips, length, width)."""

    x: Tensor
    latents: Tensor
    text: Tensor

    def to(self, device: torch.device) -> JointBatch:
        """The same on a device."""
        return JointBatch(self.x.to(device), self.latents.to(device), self.text.to(device))


def joint_losses(
    model: Any,
    batch: JointBatch,
    scheduler: Any,
    inflation: Inflation,
    generator: torch.Generator,
    text_variance: float,
    options: LossOptions,
) -> tuple[Tensor, Tensor]:
    """(noise loss, squared distance to the text condition in units of its variance), each (clips,)."""
    conditions: list[Tensor] = []

    def predict(noisy: Tensor, timesteps: Tensor) -> Tensor:
        predicted, condition = model(batch.x, noisy, timesteps)
        conditions.append(condition)
        return predicted

    noise = video_loss(predict, scheduler, batch.latents, inflation, generator, options)
    distance = (conditions[0].float() - batch.text).square().flatten(1).mean(1) / text_variance
    return noise, distance


def held_out_losses(
    model: JointModel,
    batches: Sequence[JointBatch],
    scheduler: Any,
    text_variance: float,
    device: torch.device,
    draws: int,
    options: LossOptions,
) -> dict[str, float]:
    """val_loss (noise) and val_alignment over held-out batches.

    The same noise and timesteps each time, in ``draws`` passes, so that epochs compare.
    """
    sums, count = torch.zeros(2, dtype=torch.float64), 0
    for draw in range(draws):
        for number, batch in enumerate(batches):
            generator = torch.Generator().manual_seed(1000 * draw + number)
            inflation = model.generator.inflation
            losses = joint_losses(
                model,
                batch.to(device),
                scheduler,
                inflation,
                generator,
                text_variance,
                options,
            )
            sums += torch.stack([part.double().sum().cpu() for part in losses])
            count += len(batch.x)
    noise, alignment = (sums / max(count, 1)).tolist()
    return {"val_loss": noise, "val_alignment": alignment}
