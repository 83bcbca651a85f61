"""Group norms whose statistics are shared by all frames of a clip, as in the published networks.

Takes the residual blocks of an inflated image network, whose rows are the frames of clips (frame
fastest); returns their group norms replaced, parameters and names unchanged. Not the default: shared
statistics couple every frame with every other, earlier ones included, so that a clip's first frames
depend on its last, and the network is no more the image network frame by frame.
"""

from __future__ import annotations

from typing import Any

from diffusers.models.resnet import ResnetBlock2D
from torch import Tensor, nn

from boldreel.models.video_attention import FrameLayout


class ClipGroupNorm(nn.GroupNorm):
    """Group norm over channels of a group, height, width and the frames of a clip (Wu and He 2018,
    section 3.1, with frames as a further spatial axis).

    norm : the GroupNorm whose sizes and parameters are taken over.
    """

    def __init__(self, norm: nn.GroupNorm, layout: FrameLayout) -> None:
        super().__init__(norm.num_groups, norm.num_channels, norm.eps, affine=False)
        self.weight, self.bias = norm.weight, norm.bias
        self.affine = norm.affine
        self.layout = layout

    def forward(self, x: Tensor) -> Tensor:
        """x (clips x frames, channels, height, width) to the same shape."""
        clips = x.unflatten(0, (-1, self.layout.frames)).transpose(1, 2)
        return super().forward(clips).transpose(1, 2).flatten(0, 1)


def share_statistics(unet: Any, layout: FrameLayout) -> None:
    """Gives the residual blocks and the last norm of a UNet2DConditionModel shared statistics.

    The group norms of the transformers stay: theirs are of single frames in the published networks too.
    Raises ValueError for norms that are no group norms.
    """
    blocks = [module for module in unet.modules() if isinstance(module, ResnetBlock2D)]
    places = [(block, name) for block in blocks for name in ("norm1", "norm2")]
    for owner, name in [*places, (unet, "conv_norm_out")]:
        norm = getattr(owner, name)
        if not isinstance(norm, nn.GroupNorm):
            raise ValueError(f"{name} is a {type(norm).__name__}, only group norms can be shared")
        setattr(owner, name, ClipGroupNorm(norm, layout))
