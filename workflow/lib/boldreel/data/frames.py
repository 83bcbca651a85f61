"""Frames at another size.

Takes and returns uint8 arrays (n, h, w, 3).
"""

from __future__ import annotations

import numpy as np


def resize(frames: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Frames (n, h, w, 3) at `size`; area-true bicubic (PIL), the same array where it fits."""
    if frames.shape[1:3] == tuple(size):
        return np.asarray(frames)
    from PIL import Image

    scaled = [
        np.asarray(Image.fromarray(frame).resize((size[1], size[0]), Image.Resampling.BICUBIC))
        for frame in np.asarray(frames)
    ]
    return np.stack(scaled)
