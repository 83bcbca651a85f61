"""Pictures that teach shape without colour and colour without shape.

Takes frames of the corpus; returns them with objects painted in colours that have no name in the
world, with channels mixed at random, or cut into cells and shuffled. In the corpus some pairs of
class and colour never occur: a classifier that sees only true pictures learns that what is red is no
ball, and fails on the first red ball. None of these pictures shows a HELD_OUT pair.
"""

from __future__ import annotations

import numpy as np
import torch

from boldreel.insilico.world import RGB

# A colour nearer than this to a named one (distance in the RGB cube of side 1) is not painted.
UNNAMED_DISTANCE = 0.33


def unnamed_colours(rng: np.random.Generator, n: int) -> np.ndarray:
    """n random colours (n, 3) in 0..1, none of which the world has a name for."""
    named = np.array(list(RGB.values()))
    found: list[np.ndarray] = []
    while len(found) < n:
        colour = rng.random(3)
        if np.linalg.norm(named - colour, axis=1).min() > UNNAMED_DISTANCE:
            found.append(colour)
    return np.stack(found)


def paint(pixels: torch.Tensor, masks: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
    """Paint each object in one unnamed colour.

    Parameters
    ----------
    pixels : float (n, ..., 3, height, width) in -1..1.
    masks : uint8 (n, ..., height, width), how much of a pixel the object covers.
    """
    ink = torch.from_numpy(unnamed_colours(rng, len(pixels)) * 2 - 1).float()
    ink = ink.view(len(pixels), *[1] * (pixels.ndim - 4), 3, 1, 1)
    cover = torch.from_numpy(np.array(masks)).float().unsqueeze(-3) / 255
    return pixels + cover * (ink - pixels)


def recolour(pixels: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Permute, invert and mix the channels of each picture or clip by a matrix of its own.

    Parameters
    ----------
    pixels : float (n, ..., 3, height, width) in -1..1.
    """
    n = len(pixels)
    mix = np.stack([np.eye(3)[rng.permutation(3)] for _ in range(n)])
    mix *= rng.choice([-1.0, 1.0], size=(n, 3, 1)) * rng.uniform(0.7, 1.1, size=(n, 3, 1))
    mix += rng.normal(0, 0.1, size=(n, 3, 3))
    mixed = torch.einsum("nij,n...jhw->n...ihw", torch.from_numpy(mix).float(), pixels)
    return mixed.clamp(-1, 1)


def shuffle_cells(pixels: torch.Tensor, rng: np.random.Generator, cell: int = 8) -> torch.Tensor:
    """Cut pictures (n, 3, height, width) into cells and put these together in another order."""
    side = pixels.shape[-1] // cell
    cells = torch.nn.functional.unfold(pixels.contiguous(), cell, stride=cell)
    order = torch.from_numpy(rng.permutation(side * side))
    return torch.nn.functional.fold(cells[..., order], pixels.shape[-2:], cell, stride=cell)
