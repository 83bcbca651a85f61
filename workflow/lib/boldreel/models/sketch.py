"""A rough picture of a clip: coarse colours, and where it moves.

Takes frames of clips and their optical flow; returns float32 (clips, 4, 8, 8). Early visual areas hold where
something is and which colour it has; CLIP's embeddings hardly do.
"""

from __future__ import annotations

import numpy as np

# Mean red, green and blue of a cell, and how much it moves next to the cell that moves most, all 0 to 1.
CHANNELS = ("red", "green", "blue", "moving")
SIDE = 8  # cells
STILL = 0.02  # pixels of the flow between two frames, below which nothing moves


def sketch(clip: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """The sketch (4, 8, 8) of one clip.

    Colours are those of the middle frame. Motion is the length of the flow into and out of that frame, minus
    its median over the picture, which is the camera's.

    Parameters
    ----------
    clip : uint8 (F, h, w, 3), h and w at least 8.
    flow : (F - 1, 2, side, side) between its frames, side a multiple of 8 (`models.optical_flow`).
    """
    middle = len(clip) // 2
    out = np.zeros((len(CHANNELS), SIDE, SIDE), np.float32)
    out[:3] = _cells(clip[middle].astype(np.float64) / 255).transpose(2, 0, 1)
    near = flow[max(middle - 1, 0) : middle + 1].astype(np.float64)
    if len(near):
        own = near - np.median(near, axis=(2, 3), keepdims=True)
        moving = _cells(np.sqrt((own**2).sum(1)).mean(0)[..., None])[..., 0]
        out[3] = moving / moving.max() if moving.max() > STILL else 0
    return out


def _cells(picture: np.ndarray) -> np.ndarray:
    """Means (8, 8, c) of the cells of a picture (h, w, c), which share its rows and columns out evenly."""
    rows, columns = (np.arange(SIDE) * side // SIDE for side in picture.shape[:2])
    sums = np.add.reduceat(np.add.reduceat(picture, rows, axis=0), columns, axis=1)
    heights, widths = (
        np.diff(np.append(edges, side))
        for edges, side in zip((rows, columns), picture.shape[:2], strict=True)
    )
    return sums / (heights[:, None] * widths)[..., None]
