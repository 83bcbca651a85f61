"""AlexNet's five convolutional stages, with weights in torchvision's naming.

Takes a file of weights (`.pth` or `.safetensors`, keys features.0.weight ...); returns the network without
its classifier. torchvision itself is not needed. Architecture: Krizhevsky 2014 (arXiv 1404.5997).
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from boldreel.errors import UserError

STAGES = ((0, 2), (2, 5), (5, 8), (8, 10), (10, 12))  # each ends with its ReLU
WIDTHS = (64, 192, 384, 256, 256)
SMALLEST = 31  # pixels, below which the last stage has no output


class AlexNet(nn.Module):
    """Maps images (n, 3, h, w), normalised, to the outputs of five stages (n, width, h_k, w_k)."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 11, stride=4, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(64, 192, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(192, 384, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(384, 256, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(256, 256, 3, padding=1),
            nn.ReLU(),
        )

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        out = []
        for start, end in STAGES:
            images = self.features[start:end](images)
            out.append(images)
        return out


def load(path: str | Path) -> AlexNet:
    """The network in evaluation mode, frozen; UserError if a tensor is absent or of another shape."""
    path = Path(path)
    network = AlexNet()
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            found = load_file(path)
        else:
            found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise UserError(
            f"models.alexnet: {path} cannot be read ({type(error).__name__}); give torchvision's AlexNet "
            "weights as .pth or .safetensors"
        ) from None
    wanted = network.state_dict()
    wrong = [
        name for name, own in wanted.items() if getattr(found.get(name), "shape", None) != own.shape
    ]
    if wrong:
        raise UserError(
            f"models.alexnet: {path} does not fit: {', '.join(wrong[:3])} ({len(wrong)} of "
            f"{len(wanted)} missing or of another shape); give torchvision's AlexNet weights"
        )
    network.load_state_dict({name: found[name].float() for name in wanted})
    return network.eval().requires_grad_(False)
