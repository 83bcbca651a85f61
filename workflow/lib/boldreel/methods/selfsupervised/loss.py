"""Losses of the encoder, and of the decoder on pairs and through both cycles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from boldreel.methods.selfsupervised.model import Reader


def bold(predicted: Tensor, measured: Tensor) -> Tensor:
    """Squared error over the measured variance plus 1 - cosine over outputs; no prediction at all has 2."""
    error = functional.mse_loss(predicted, measured) / measured.square().mean().clamp(min=1e-6)
    return error + 1 - functional.cosine_similarity(predicted, measured, dim=1).mean()


@dataclass(frozen=True)
class Cycle:
    """What the decoder is trained with.

    encoder : frozen. reader : from BOLD to codes. noise : (m, code), the errors of codes of validation clips.
    perceptual : (drawn, true, frame of each) -> distance. The rest are weights, see `Settings`.
    """

    encoder: nn.Module
    reader: Reader
    noise: Tensor
    perceptual: Callable[[Tensor, Tensor, Tensor], Tensor]
    reconstruction: float
    perceived: float
    temporal: float
    unpaired_bold: float

    def codes(self, clips: Tensor, generator: torch.Generator) -> Tensor:
        """Codes (n, code) as BOLD that follows these clips would have them."""
        with torch.no_grad():
            clean = self.reader(self.encoder(clips))
            rows = torch.randint(len(self.noise), (len(clips),), generator=generator)
            return clean + self.noise[rows.to(self.noise.device)]

    def video(
        self, drawn: Tensor, true: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        """How far drawn clips (n, 3, frames, side, side) are from the true ones."""
        pixels = functional.l1_loss(drawn, true)
        loss = self.reconstruction * pixels
        logged = {"pixels": float(pixels.detach())}
        if drawn.shape[2] > 1 and self.temporal:
            change = functional.l1_loss(drawn.diff(dim=2), true.diff(dim=2))
            loss = loss + self.temporal * change
            logged["change"] = float(change.detach())
        if self.perceived:
            frame = torch.randint(drawn.shape[2], (len(drawn),), generator=generator)
            apart = self.perceptual(drawn, true, frame.to(drawn.device))
            loss = loss + self.perceived * apart
            logged["perceptual"] = float(apart.detach())
        return loss, logged

    def loss(
        self,
        decoder: nn.Module,
        paired: tuple[Tensor, Tensor],
        video: Tensor,
        measured: Tensor,
        generator: torch.Generator,
    ) -> tuple[Tensor, dict[str, float]]:
        """(loss of a step, its parts for the log).

        Parameters
        ----------
        paired : codes (n, code) and clips (n, 3, frames, side, side). video : clips without BOLD, or none.
        measured : BOLD without clips (m, outputs), or none.
        """
        code, true = paired
        count = len(code)
        given = [code, self.codes(video, generator)] if len(video) else [code]
        if len(measured):
            given.append(self.reader(measured))
        drawn = decoder(torch.cat(given))
        total, logged = self.video(drawn[:count], true, generator)
        if len(video):
            # The mean over unpaired clips counts as often as there are more of them than pairs.
            through, own = self.video(drawn[count : count + len(video)], video, generator)
            total = total + len(video) / count * through
            logged |= {f"cycle_{name}": value for name, value in own.items()}
        if len(measured):
            back = bold(self.encoder(drawn[count + len(video) :]), measured)
            total = total + self.unpaired_bold * back
            logged["cycle_bold"] = float(back.detach())
        return total, logged
