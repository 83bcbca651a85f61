"""Gradient checkpointing of a network whose blocks read a `FrameLayout`.

Takes the layout that a `VideoUNet` shares with its blocks; returns the function by which diffusers
calls each block. What a block computed inside is not kept for the gradient but computed again (Chen
et al. 2016, arXiv 1604.06174): about a third more time, a fraction of the memory.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

from torch import nn
from torch.utils.checkpoint import checkpoint

from boldreel.models.video_attention import FrameLayout


class Recompute:
    """Calls a block, and for the gradient calls it again with the clips as they were laid out then.

    The loss may need several calls of the network with different numbers of frames, and the backward
    pass begins only after the last of them. An object and not a closure, so that a deep copy of the
    network follows its own layout.
    """

    def __init__(self, layout: FrameLayout) -> None:
        self.layout = layout

    def __call__(self, block: nn.Module, *inputs: Any) -> Any:
        frames, before = self.layout.frames, self.layout.before
        return checkpoint(
            block,
            *inputs,
            use_reentrant=False,
            context_fn=lambda: (nullcontext(), self.layout.set_to(frames, before)),
        )
