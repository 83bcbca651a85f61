"""From windows of BOLD to condition tokens and CLIP embeddings: what all decoders share.

Takes windows (batch, w, V); returns an Encoding. A decoder predicts deviations from the training
mean. Predictions from noisy data are shrunk towards that mean, while the generator was trained on
tokens of full size: so deviations are scaled to the size that training targets have, sample by
sample, and condition tokens may then be drawn towards tokens that captions really have. Deviations
far smaller than a decoder's usual ones stay small: the mean response still encodes the mean.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from boldreel.models.checkpoint import Pretrained


@dataclass(frozen=True)
class Targets:
    """Shapes of what is predicted: tokens x token_width condition tokens, two embeddings, and a motion
    code where there is a linear path."""

    tokens: int
    token_width: int
    image_dim: int
    text_dim: int
    motion_dim: int = 0


class Deviations(NamedTuple):
    """Predicted minus training mean, in whatever size came out: image (batch, image_dim), text
    (batch, text_dim), condition (batch, tokens, token_width), motion (batch, motion_dim), each column of it
    in units of its spread over training clips."""

    image: torch.Tensor
    text: torch.Tensor
    condition: torch.Tensor
    motion: torch.Tensor


class Encoding(NamedTuple):
    """condition (batch, tokens, token_width), a drop-in for the text encoder's last hidden states;
    image, text (batch, D) unit-norm CLIP embeddings; motion (batch, M), the motion code as predicted, near
    the training mean where little is known; deviations as predicted."""

    condition: torch.Tensor
    image: torch.Tensor
    text: torch.Tensor
    motion: torch.Tensor
    deviations: Deviations


class Calibration(nn.Module):
    """Deviations to an Encoding.

    Buffers: means, and typical (root mean square) sizes of the training targets; `floors`, sizes of
    predicted deviations below which they are no longer scaled up; `bank` (captions, tokens,
    token_width), the deviations of training captions' tokens. With `sharpness` s each token
    becomes the mean of the bank's tokens at the same place, weighted by exp(s cosine): rare
    mixtures turn into tokens that the generator has met, and since each place is drawn for itself,
    captions that were never shown can be composed. Sharpness 0 leaves tokens as predicted.
    """

    def __init__(self, targets: Targets, bank: int, sharpness: float):
        super().__init__()
        self.sharpness = sharpness
        self.register_buffer("image_mean", torch.zeros(targets.image_dim))
        self.register_buffer("text_mean", torch.zeros(targets.text_dim))
        self.register_buffer("condition_mean", torch.zeros(targets.tokens, targets.token_width))
        self.register_buffer("motion_mean", torch.zeros(targets.motion_dim))
        self.register_buffer("motion_spread", torch.ones(targets.motion_dim))
        self.register_buffer("sizes", torch.ones(3))
        self.register_buffer("floors", torch.zeros(3))
        self.register_buffer("bank", torch.zeros(bank, targets.tokens, targets.token_width))
        self.image_mean: torch.Tensor
        self.text_mean: torch.Tensor
        self.condition_mean: torch.Tensor
        self.motion_mean: torch.Tensor
        self.motion_spread: torch.Tensor
        self.sizes: torch.Tensor
        self.floors: torch.Tensor
        self.bank: torch.Tensor

    @torch.no_grad()
    def measure(
        self,
        image: torch.Tensor,
        text: torch.Tensor,
        condition: torch.Tensor,
        motion: torch.Tensor,
        motion_spread: torch.Tensor,
        bank: torch.Tensor,
    ) -> None:
        """Set means and sizes from the training targets, and the bank from rows of `condition`."""
        for k, (name, values) in enumerate(
            (("image", image), ("text", text), ("condition", condition))
        ):
            mean = values.mean(0)
            getattr(self, f"{name}_mean").copy_(mean)
            self.sizes[k] = (values - mean).flatten(1).square().sum(1).mean().sqrt()
        if len(self.motion_mean):
            self.motion_mean.copy_(motion.mean(0))
            self.motion_spread.copy_(motion_spread)
        self.bank.copy_(condition[bank] - self.condition_mean)

    @torch.no_grad()
    def measure_floors(self, predicted: Deviations) -> None:
        """Set the floors to a quarter of the typical size of `predicted`, which must come from
        responses that were not fitted. Averages of many trials give smaller deviations than those
        of one trial, by less than this."""
        for k, values in enumerate(predicted[:3]):
            self.floors[k] = values.flatten(1).square().sum(1).mean().sqrt() / 4

    def centred_image(self, image: torch.Tensor) -> torch.Tensor:
        """Unit vectors from the training mean to image embeddings (n, D)."""
        return functional.normalize(image - self.image_mean, dim=1)

    def centred_text(self, text: torch.Tensor) -> torch.Tensor:
        """Unit vectors from the training mean to text embeddings (n, D)."""
        return functional.normalize(text - self.text_mean, dim=1)

    def forward(self, deviations: Deviations) -> Encoding:
        image, text, condition = (self._scaled(part, k) for k, part in enumerate(deviations[:3]))
        if self.sharpness > 0:
            condition = self._project(condition)
        return Encoding(
            condition=self.condition_mean + condition,
            image=functional.normalize(self.image_mean + image, dim=1),
            text=functional.normalize(self.text_mean + text, dim=1),
            motion=self.motion_mean + deviations.motion * self.motion_spread,
            deviations=deviations,
        )

    def _scaled(self, deviation: torch.Tensor, k: int) -> torch.Tensor:
        """The deviation at the size of training targets."""
        own = deviation.flatten(1).norm(dim=1).clamp(min=1e-12).maximum(self.floors[k])
        return deviation * (self.sizes[k] / own).view(-1, *[1] * (deviation.ndim - 1))

    def _project(self, tokens: torch.Tensor) -> torch.Tensor:
        cosine = torch.einsum(
            "btw,ntw->btn",
            functional.normalize(tokens, dim=2),
            functional.normalize(self.bank, dim=2),
        )
        return torch.einsum("btn,ntw->btw", (self.sharpness * cosine).softmax(2), self.bank)


class LinearReadout(nn.Module):
    """A window to deviations, linear: `weight` (window, V, K), K = image + text + `rank` dimensions
    of the condition, which `basis` (rank, tokens * token_width) spans, + motion.

    A shorter window uses the weights of the lags it has, a longer one those that were fitted.
    """

    def __init__(self, num_voxels: int, window: int, targets: Targets, rank: int):
        super().__init__()
        self.targets = targets
        outputs = targets.image_dim + targets.text_dim + rank + targets.motion_dim
        self.weight = nn.Parameter(torch.zeros(window, num_voxels, outputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.register_buffer("basis", torch.zeros(rank, targets.tokens * targets.token_width))
        self.basis: torch.Tensor

    def outputs(self, x: torch.Tensor) -> torch.Tensor:
        """Windows (batch, w, V) to the outputs (batch, K)."""
        lags = min(x.shape[1], len(self.weight))
        return x[:, :lags].flatten(1) @ self.weight[:lags].flatten(0, 1) + self.bias

    def expand(self, outputs: torch.Tensor) -> Deviations:
        """Outputs (batch, K) to deviations."""
        targets = self.targets
        sizes = [targets.image_dim, targets.text_dim, len(self.basis), targets.motion_dim]
        image, text, scores, motion = outputs.split(sizes, dim=1)
        condition = (scores @ self.basis).unflatten(1, (targets.tokens, -1))
        return Deviations(image, text, condition, motion)


@dataclass(frozen=True)
class DecoderConfig:
    """Sizes that all decoders share. `bank`: captions kept for the projection of tokens."""

    num_voxels: int
    window: int
    tokens: int
    token_width: int
    image_dim: int
    text_dim: int
    bank: int
    sharpness: float
    rank: int
    motion_dim: int = 0

    @property
    def targets(self) -> Targets:
        return Targets(
            self.tokens, self.token_width, self.image_dim, self.text_dim, self.motion_dim
        )


class Decoder(Pretrained, ABC):
    """Base of the decoders: subclasses predict deviations from masked windows.

    Buffers: `present` (V,), the positions that the subject has and the decoder uses; `mean_window`
    (w, V), the mean training response.
    """

    def __init__(self, config: DecoderConfig):
        super().__init__(config)
        self.calibration = Calibration(config.targets, config.bank, config.sharpness)
        self.register_buffer("present", torch.ones(config.num_voxels, dtype=torch.bool))
        self.register_buffer("mean_window", torch.zeros(config.window, config.num_voxels))
        self.present: torch.Tensor
        self.mean_window: torch.Tensor

    @abstractmethod
    def deviations(self, x: torch.Tensor, present: torch.Tensor) -> Deviations:
        """x (batch, w, V), zero where absent; present bool (batch, V)."""

    def forward(self, x: torch.Tensor, present: torch.Tensor | None = None) -> Encoding:
        """Decode windows x (batch, w, V) in z units, any w.

        present : bool (V,) or (batch, V), for subjects other than the one trained on.
        """
        present = (self.present if present is None else present).expand(len(x), -1)
        x = torch.where(present[:, None], x, 0.0)
        return self.calibration(self.deviations(x, present))

    def mean_encoding(self) -> Encoding:
        """The encoding of the mean training response, for guidance; a batch of one."""
        return self(self.mean_window[None])


class LinearDecoder(Decoder):
    """A linear read-out alone: the ridge that is the encoder's baseline, or the encoder's linear path."""

    config_class = DecoderConfig
    config: DecoderConfig

    def __init__(self, config: DecoderConfig):
        super().__init__(config)
        self.readout = LinearReadout(config.num_voxels, config.window, config.targets, config.rank)

    def deviations(self, x: torch.Tensor, present: torch.Tensor) -> Deviations:
        return self.readout.expand(self.readout.outputs(x))


@torch.inference_mode()
def decode(decoder: nn.Module, x: torch.Tensor, batch: int = 64) -> Iterator[Encoding]:
    """Encodings of windows x (n, w, V), so many at a time, on the decoder's device; they come back to x's."""
    device = next(decoder.parameters()).device
    for part in x.split(batch):
        found = decoder(part.to(device))
        own = Deviations(*(tensor.to(x.device) for tensor in found.deviations))
        condition, image, text, motion = (tensor.to(x.device) for tensor in found[:-1])
        yield Encoding(condition, image, text, motion, own)
