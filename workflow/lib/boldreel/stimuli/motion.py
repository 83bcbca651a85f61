"""What moves in a clip, and in which direction: a motion code from optical flow, without labels.

Takes frames of clips; returns float32 (clips, 6). CLIP hardly holds motion (its text embedding of
"a ball moving left" is nearly that of "moving right"), so it is a target of its own.
"""

from __future__ import annotations

import numpy as np

from boldreel.models import optical_flow

# Velocities of the dominant motion, each 0 where it goes the other way; the root of the mean speed over
# the picture; the mean change of brightness between frames. A camera that pans moves the dominant motion.
CODE = ("right", "left", "down", "up", "speed", "change")
# Pixels of the flow's square: half of what comparisons use, at a third of the time, and directions as good.
SIDE = 32


def motion_code(clips: np.ndarray, frame_rate: float) -> np.ndarray:
    """The code (n, 6) of clips, columns as in `CODE`.

    Velocities are the mean flow weighted by its squared length, per second, in sides of the square that the
    picture is brought to; the speed is in the root of that, the change in 8-bit levels. A clip of one frame
    has zeros.

    Parameters
    ----------
    clips : uint8 (n, F, h, w, 3). frame_rate : frames per second.
    """
    out = np.zeros((len(clips), len(CODE)), np.float32)
    if clips.shape[1] < 2:
        return out
    for row, clip in enumerate(clips):
        # clip by clip, for a movie's flow would not fit into memory
        flow = optical_flow.flows(clip[None], SIDE)[0].astype(np.float64)  # (F - 1, 2, side, side)
        length = np.sqrt((flow**2).sum(1))
        weight = length**2
        total = weight.sum()
        scale = frame_rate / SIDE
        if total > 0:
            down, right = (flow * weight[:, None]).sum((0, 2, 3)) / total * scale
            out[row, :4] = max(right, 0), max(-right, 0), max(down, 0), max(-down, 0)
        out[row, 4] = np.sqrt(length.mean() * scale)
        out[row, 5] = np.abs(np.diff(clip.astype(np.int16), axis=0)).mean()
    return out
