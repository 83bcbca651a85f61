"""Encoder and generator as one module, tuned end to end.

Takes a subject's encoder and a `VideoUNet`; returns their joint losses on fMRI, image and text: the noise
loss with the condition that the encoder makes of the fMRI, the distance of that condition to the
clip's text condition, so that the encoder does not drift from what the generator was tuned on, and
those of its embeddings to the clip's image and text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from boldreel.generator.losses import LossOptions, Part, video_loss
from boldreel.models.video_unet import Inflation, VideoUNet


class JointModel(nn.Module):
    """fMRI windows and noisy latents to a prediction, through the encoder's condition."""

    def __init__(self, encoder: nn.Module, generator: VideoUNet) -> None:
        super().__init__()
        self.encoder = encoder
        self.generator = generator

    def forward(
        self, x: Tensor, noisy: Tensor, timesteps: Tensor, encoding: Any = None
    ) -> tuple[Tensor, Any]:
        """Prediction of the latents' shape, and the fMRI's `boldreel.models.decoder.Encoding`.

        Parameters
        ----------
        x : windows (clips, volumes, positions).
        noisy : latents (clips, frames, c, h, w).
        timesteps : (clips,).
        encoding : of x, if it is known from another call of the same step.
        """
        if encoding is None:
            encoding = self.encoder(x)
        return self.generator(noisy, timesteps, encoding.condition), encoding


@dataclass(frozen=True)
class JointBatch:
    """x (clips, volumes, positions), latents (clips, frames, c, h, w), condition (clips, length, width);
    image and text (clips, D), unit vectors from the training mean to the clips' embeddings."""

    x: Tensor
    latents: Tensor
    condition: Tensor
    image: Tensor
    text: Tensor

    def to(self, device: torch.device) -> JointBatch:
        """The same on a device."""
        return JointBatch(*(getattr(self, field.name).to(device) for field in fields(self)))


class JointLosses(NamedTuple):
    """Each (clips,): noise loss; squared distance to the text condition in units of its variance; one
    minus the cosine of predicted and true deviations of the image and of the text embedding."""

    noise: Tensor
    alignment: Tensor
    image: Tensor
    text: Tensor


def joint_losses(
    model: Any,
    batch: JointBatch,
    scheduler: Any,
    inflation: Inflation,
    generator: torch.Generator,
    condition_variance: float,
    options: LossOptions,
    part: Part | None = None,
) -> JointLosses:
    """The losses of a batch; `part` says which rows of the whole batch it is."""
    own: Any = None  # the loss asks for several predictions, of one encoding

    def predict(noisy: Tensor, timesteps: Tensor) -> Tensor:
        nonlocal own
        predicted, own = model(batch.x, noisy, timesteps, own)
        return predicted

    noise = video_loss(predict, scheduler, batch.latents, inflation, generator, options, part)
    distance = (own.condition.float() - batch.condition).square().flatten(1).mean(1)
    return JointLosses(
        noise,
        distance / condition_variance,
        1 - cosine_similarity(own.deviations.image.float(), batch.image, dim=1),
        1 - cosine_similarity(own.deviations.text.float(), batch.text, dim=1),
    )


def held_out_losses(
    model: JointModel,
    batches: Sequence[JointBatch],
    scheduler: Any,
    condition_variance: float,
    device: torch.device,
    draws: int,
    options: LossOptions,
) -> dict[str, float]:
    """val_loss (noise), val_alignment, val_image and val_text over held-out batches.

    The same noise and timesteps each time, in ``draws`` passes, so that epochs compare.
    """
    sums, count = torch.zeros(len(JointLosses._fields), dtype=torch.float64), 0
    for draw in range(draws):
        for number, batch in enumerate(batches):
            losses = joint_losses(
                model,
                batch.to(device),
                scheduler,
                model.generator.inflation,
                torch.Generator().manual_seed(1000 * draw + number),
                condition_variance,
                options,
            )
            sums += torch.stack([part.double().sum().cpu() for part in losses])
            count += len(batch.x)
    names = ("val_loss", "val_alignment", "val_image", "val_text")
    return dict(zip(names, (sums / max(count, 1)).tolist(), strict=True))
