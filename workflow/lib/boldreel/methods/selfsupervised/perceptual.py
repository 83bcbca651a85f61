"""Distance of clips in the layers of a frozen image classifier.

Takes an image classifier's folder; returns a function of two batches of clips through which gradients flow to
the first.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from boldreel.base_models.maps import as_maps


class Perceptual:
    """Mean over three layers (a quarter and half of the way in, and the last) of 1 - cosine over channels.

    network : an image classifier of transformers with `config.image_size` or any size. mean, std : of each
    colour as it expects them, for values in [0, 1].
    """

    def __init__(self, network: Any, mean: list[float], std: list[float]) -> None:
        self.network = network.eval().requires_grad_(False)
        device = next(network.parameters()).device
        self.mean = torch.tensor(mean, device=device)[:, None, None]
        self.std = torch.tensor(std, device=device)[:, None, None]
        self.side: int | None = getattr(network.config, "image_size", None)

    def __call__(self, drawn: Tensor, true: Tensor, picked: Tensor) -> Tensor:
        """Mean distance of one frame of each clip.

        Parameters
        ----------
        drawn, true : (n, 3, frames, side, side) in [-1, 1]. picked : integer (n,), which frame of each.
        """
        rows = torch.arange(len(drawn), device=drawn.device)
        mine = self._layers(drawn[rows, :, picked])
        with torch.no_grad():
            theirs = self._layers(true[rows, :, picked])
        apart = [
            1 - functional.cosine_similarity(a, b, dim=1).mean()
            for a, b in zip(mine, theirs, strict=True)
        ]
        return torch.stack(apart).mean()

    def _layers(self, frames: Tensor) -> list[Tensor]:
        pixels = ((frames + 1) / 2 - self.mean) / self.std
        if self.side is not None and pixels.shape[-1] != self.side:
            pixels = functional.interpolate(
                pixels, (self.side, self.side), mode="bilinear", antialias=True
            )
        states = self.network(pixel_values=pixels, output_hidden_states=True).hidden_states
        deepest = len(states) - 1
        chosen = sorted({max(1, round(deepest / 4)), max(1, round(deepest / 2)), deepest})
        return [as_maps(states[at]) for at in chosen]
