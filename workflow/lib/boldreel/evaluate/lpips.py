"""LPIPS: how far two pictures are apart for a network, weighted as people judged (Zhang et al. 2018).

Takes AlexNet and pairs of clips; returns one distance per pair, the mean over frames. The weights of the
channels are those that torchmetrics ships; its own class cannot be used without torchvision, and a test
holds the two equal.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import torch

from boldreel.errors import UserError
from boldreel.evaluate import alexnet
from boldreel.training.progress import Progress

# Of pictures in [-1, 1], as in the published implementation.
_SHIFT = (-0.030, -0.088, -0.188)
_SCALE = (0.458, 0.448, 0.450)
_BATCH = 16  # clips


def channel_weights() -> list[torch.Tensor]:
    """The published weights (width, ) of each stage's channels."""
    spec = importlib.util.find_spec("torchmetrics")
    if spec is None or spec.origin is None:
        raise UserError("models.alexnet: LPIPS needs torchmetrics; install it, or set null")
    path = Path(spec.origin).parent / "functional" / "image" / "lpips_models" / "alex.pth"
    found = torch.load(path, map_location="cpu", weights_only=True)
    return [found[f"lin{k}.model.1.weight"].flatten() for k in range(len(alexnet.WIDTHS))]


class Lpips:
    """The distance, for frames as they are (not resized)."""

    def __init__(self, network: alexnet.AlexNet, device: torch.device) -> None:
        self.network, self.device = network.to(device), device
        self.weights = [weight[:, None, None].to(device) for weight in channel_weights()]
        self.shift = torch.tensor(_SHIFT, device=device)[:, None, None]
        self.scale = torch.tensor(_SCALE, device=device)[:, None, None]

    def _stages(self, frames: np.ndarray) -> list[torch.Tensor]:
        """Unit-norm outputs of the stages for uint8 (n, h, w, 3)."""
        pictures = torch.from_numpy(np.ascontiguousarray(frames)).to(self.device)
        pictures = pictures.permute(0, 3, 1, 2).float() / 127.5 - 1
        outs = self.network((pictures - self.shift) / self.scale)
        return [out / torch.sqrt(1e-8 + (out**2).sum(dim=1, keepdim=True)) for out in outs]

    @torch.inference_mode()
    def pairs(self, a: np.ndarray, b: np.ndarray, i: np.ndarray, j: np.ndarray) -> np.ndarray:
        """Distances of clips a[i] and b[j], with the same frames of both.

        Parameters
        ----------
        a, b : uint8 (n, F, h, w, 3), (m, F, h, w, 3). i, j : integer arrays (pairings, k).

        Returns
        -------
        float64 of the shape of i.
        """
        out = np.empty(i.shape)
        progress = Progress(i.size, "LPIPS", unit="pairs")
        frames = a.shape[1]
        for row in range(len(i)):
            for start in range(0, i.shape[1], _BATCH):
                at = slice(start, start + _BATCH)
                total = torch.zeros(len(i[row, at]) * frames, device=self.device)
                one = self._stages(_flat(a[i[row, at]]))
                other = self._stages(_flat(b[j[row, at]]))
                for x, y, weight in zip(one, other, self.weights, strict=True):
                    total += (weight * (x - y) ** 2).sum(dim=1).mean(dim=(1, 2))
                out[row, at] = total.reshape(-1, frames).mean(dim=1).cpu().double().numpy()
                progress.update(len(i[row, at]))
        return out


def _flat(clips: np.ndarray) -> np.ndarray:
    return clips.reshape(-1, *clips.shape[2:])
