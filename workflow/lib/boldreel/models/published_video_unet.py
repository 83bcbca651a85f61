"""Checkpoints of the published video network, read and written under its parameter names.

Takes a weights file (safetensors, or a pickle of tensors alone) and the image network's sizes; returns a
`VideoUNet` with every quirk of the publication (`Inflation.published`), and the other way round. An
inflated `UNet2DConditionModel` has the published names and shapes as it is, so nothing is renamed:
what is checked is that none is missing, unexpected or of another shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boldreel.data import weights
from boldreel.errors import UserError

if TYPE_CHECKING:
    from boldreel.models.video_unet import VideoUNet

# Arguments of UNet2DConditionModel: the sizes of Stable Diffusion 1.x, from which the published network
# was inflated; what is not named here is diffusers' default. `attention_head_dim` counts heads.
SIZES: dict[str, Any] = {
    "sample_size": 64,
    "block_out_channels": (320, 640, 1280, 1280),
    "cross_attention_dim": 768,
    "attention_head_dim": 8,
}


def build(sizes: Mapping[str, Any] | None = None, attention: str = "previous-two") -> VideoUNet:
    """The published network with random weights.

    Parameters
    ----------
    sizes : arguments of UNet2DConditionModel that differ from diffusers' defaults; None is `SIZES`.
    attention : ``first-previous`` for the network of Tune-A-Video.
    """
    from diffusers import UNet2DConditionModel

    from boldreel.models.video_unet import Inflation, VideoUNet

    unet = UNet2DConditionModel(**(SIZES if sizes is None else sizes))
    return VideoUNet(unet, Inflation.published(attention)).eval()


def load(
    file: str | Path, sizes: Mapping[str, Any] | None = None, attention: str = "previous-two"
) -> VideoUNet:
    """The network of a checkpoint, float32, in evaluation mode; for the parameters see `build`.

    Raises
    ------
    UserError : the file is unreadable or holds more than tensors, or names or shapes differ (all listed).
    """
    import torch

    tensors = weights.read(file)
    with torch.device("meta"):
        network = build(sizes, attention)
    problems = weights.differences(network.unet.state_dict(), tensors)
    if problems:
        raise UserError(f"{file}: not the published video network: {'; '.join(problems)}")
    network.unet.load_state_dict(
        {name: tensor.float() for name, tensor in tensors.items()}, assign=True
    )
    return network


def save(network: VideoUNet, file: str | Path) -> None:
    """Writes all parameters under the published names, as safetensors.

    Raises UserError if the network has parameters, or does what no parameter shows, that the published
    one has not: its weights would then mean something else there.
    """
    from safetensors.torch import save_file

    from boldreel.models.video_unet import Inflation

    if network.inflation != Inflation.published(network.inflation.attention):
        raise UserError(
            f"{file}: only a network inflated as published can be written as one; "
            "tune it with generator.compat: mindvideo"
        )
    tensors = network.unet.state_dict()
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, file)
