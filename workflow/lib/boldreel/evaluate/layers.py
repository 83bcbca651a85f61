"""What a network's early and late layers see in frames.

Takes AlexNet, or the hidden states of an image classifier; returns, for an early and a late layer, one
vector per frame: the activations, averaged over space down to at most 8,192 numbers, centred and of unit
norm, so that the product of two of them is their correlation. The early one carries layout, the late one
content; two-way identification on AlexNet's second and fifth stage is what the field reports.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from boldreel.base_models.maps import as_maps
from boldreel.evaluate.alexnet import AlexNet

LONGEST = 8192  # numbers a frame: 1,200 clips of 6 frames take 120 MB
_SIZE = 224  # of AlexNet's training
# ImageNet's, on which torchvision's weights were trained.
_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)
ALEXNET = ("alexnet_2", "alexnet_5")
CLASSIFIER = ("image_classifier_early", "image_classifier_late")


def of_alexnet(network: AlexNet, frames: np.ndarray, device: Any) -> tuple[np.ndarray, np.ndarray]:
    """Second and fifth stage for uint8 frames (n, h, w, 3), scaled to 224 pixels: float16 (n, D)."""
    pictures = torch.from_numpy(np.ascontiguousarray(frames)).to(device).permute(0, 3, 1, 2) / 255
    pictures = torch.nn.functional.interpolate(
        pictures, (_SIZE, _SIZE), mode="bilinear", antialias=True
    )
    mean, std = (torch.tensor(v, device=device)[:, None, None] for v in (_MEAN, _STD))
    outs = network((pictures - mean) / std)
    return vectors(outs[1]), vectors(outs[4])


def of_hidden_states(states: tuple[torch.Tensor, ...]) -> tuple[np.ndarray, np.ndarray]:
    """The state a quarter of the way in and the last one, of an image classifier: float16 (n, D)."""
    early = max(1, round((len(states) - 1) / 4))
    return vectors(as_maps(states[early])), vectors(as_maps(states[-1]))


def vectors(maps: torch.Tensor) -> np.ndarray:
    """Maps (n, c, h, w) as vectors, centred and of unit norm: float16 (n, c x p x p), p as large as fits."""
    places = max(1, math.isqrt(LONGEST // maps.shape[1]))
    size = (min(places, maps.shape[2]), min(places, maps.shape[3]))
    flat = torch.nn.functional.adaptive_avg_pool2d(maps, size).flatten(1).float()
    flat = flat - flat.mean(dim=1, keepdim=True)
    return torch.nn.functional.normalize(flat, dim=1).half().cpu().numpy()
