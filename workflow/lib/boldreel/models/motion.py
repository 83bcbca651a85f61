"""What moves in a clip, and in which direction: a motion code from optical flow, without labels.

Takes the frames of a clip and their flow; returns float32 (6,). CLIP hardly holds motion (its text embedding
of "a ball moving left" is nearly that of "moving right"), so it is a target of its own.
"""

from __future__ import annotations

import numpy as np

from boldreel.models import optical_flow

# Velocities of the dominant motion, each 0 where it goes the other way; the root of the mean speed over
# the picture; the mean change of brightness between frames. A camera that pans moves the dominant motion.
CODE = ("right", "left", "down", "up", "speed", "change")
# Pixels of the flow's square: half of what comparisons use, at a third of the time, and directions as good.
SIDE = 32


def motion_code(clip: np.ndarray, flow: np.ndarray, frame_rate: float) -> np.ndarray:
    """The code (6,) of a clip, entries as in `CODE`.

    Velocities are the mean flow weighted by its squared length, per second, in sides of the square that the
    picture is brought to; the speed is in the root of that, the change in 8-bit levels. A clip of one frame
    has zeros.

    Parameters
    ----------
    clip : uint8 (F, h, w, 3). flow : (F - 1, 2, side, side) between its frames, see `flow_of`.
    frame_rate : frames per second.
    """
    out = np.zeros(len(CODE), np.float32)
    if len(clip) < 2:
        return out
    velocity = flow.astype(np.float64)
    length = np.sqrt((velocity**2).sum(1))
    weight = length**2
    total = weight.sum()
    scale = frame_rate / flow.shape[-1]
    if total > 0:
        down, right = (velocity * weight[:, None]).sum((0, 2, 3)) / total * scale
        out[:4] = max(right, 0), max(-right, 0), max(down, 0), max(-down, 0)
    out[4] = np.sqrt(length.mean() * scale)
    out[5] = np.abs(np.diff(clip.astype(np.int16), axis=0)).mean()
    return out


def flow_of(clip: np.ndarray) -> np.ndarray:
    """The flow (F - 1, 2, SIDE, SIDE) of one clip, in pixels of the square: a movie's would not fit into
    memory."""
    return optical_flow.flows(clip[None], SIDE)[0]
