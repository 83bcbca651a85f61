"""The video network: diffusers' own UNet2DConditionModel, inflated.

Takes a loaded `UNet2DConditionModel`; returns a module that maps noisy clips to the prediction of the
image network's own kind. The image network's modules and weights are used as they are: its
self-attention gets a processor that reads other frames, its blocks get a temporal layer that starts at
zero. At initialisation the result equals the image network on one frame and on identical frames.
Convolutions and group norms see frames as a batch, so their statistics are those of single frames,
unless `Inflation.compat` asks for the published network.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch
from diffusers.models.attention import BasicTransformerBlock
from torch import Tensor, nn

from boldreel.models.group_norm import share_statistics
from boldreel.models.recompute import Recompute
from boldreel.models.video_attention import (
    ClipCrossProcessor,
    FrameLayout,
    SparseCausalProcessor,
    add_temporal_layer,
)

# Part of a parameter's name for each group that can be trained.
GROUPS: dict[str, tuple[str, ...]] = {
    "self": (".attn1.",),
    "cross": (".attn2.",),
    "temporal": (".attn_temp.", ".norm_temp.", ".ff_temp.", ".norm_ff_temp."),
}

COMPAT = (None, "mindvideo")
PREDICTION_TYPES = (None, "epsilon", "v_prediction", "sample")


@dataclass(frozen=True)
class Inflation:
    """How an image network becomes a video network.

    attention : frames that self-attention reads, see `boldreel.models.video_attention.frames_read`.
    positions : ``sinusoidal`` adds the frame number to the temporal layer's input, ``none`` does not.
    feed_forward : whether a feed-forward layer follows the temporal attention.
    noise_correlation : correlation of the noise of two frames of a clip that the network was tuned
        with, 0 to 1; samples start from such noise.
    image_above : timestep above which the network was tuned on single frames, and above which samples
        are one frame; below, frames part. None is clips at all timesteps, as published.
    prediction_type : what the network was tuned to predict; None is what the image network predicts.
    compat : ``mindvideo`` adds the quirks of the published network that no option above names: group
        norms of the residual blocks and the last one take statistics over all frames of a clip, and
        the bias of the temporal layer's output does not start at zero. None is neither.
    """

    attention: str = "previous-two"
    positions: str = "sinusoidal"
    feed_forward: bool = True
    noise_correlation: float = 0.0
    image_above: int | None = None
    compat: str | None = None
    prediction_type: str | None = None

    def __post_init__(self) -> None:
        if self.compat not in COMPAT:
            raise ValueError(f"no such compat {self.compat!r}: expected mindvideo or None")
        if self.prediction_type not in PREDICTION_TYPES:
            raise ValueError(
                f"no such prediction type {self.prediction_type!r}: expected epsilon, v_prediction or sample"
            )
        if self.image_above is not None and self.noise_correlation != 1:
            raise ValueError(
                "image_above goes with noise_correlation 1: frames part from one frame"
            )

    @classmethod
    def published(cls, attention: str = "previous-two") -> Inflation:
        """The network of MinD-Video (Chen et al., NeurIPS 2023) with every quirk; that of
        Tune-A-Video (Wu et al., ICCV 2023) reads ``first-previous``."""
        return cls(attention, positions="none", feed_forward=False, compat="mindvideo")


def inflate_block(block: Any, layout: FrameLayout, inflation: Inflation) -> None:
    """Gives a BasicTransformerBlock attention across frames and a temporal layer.

    Raises ValueError for a block of another kind than Stable Diffusion's.
    """
    if block.only_cross_attention or block.norm_type != "layer_norm" or block.attn2 is None:
        raise ValueError("only transformer blocks of Stable Diffusion's kind can be inflated")
    block.attn1.set_processor(SparseCausalProcessor(layout, inflation.attention))
    block.attn2.set_processor(ClipCrossProcessor(layout))
    add_temporal_layer(
        block,
        layout,
        inflation.positions,
        inflation.feed_forward,
        zero_bias=inflation.compat is None,
    )


def middle_frame(clips: Tensor) -> Tensor:
    """(clips, frames, ...) to the middle frame alone (clips, 1, ...), the one counted as 0."""
    middle = clips.shape[1] // 2
    return clips[:, middle : middle + 1]


class VideoUNet(nn.Module):
    """An inflated UNet2DConditionModel; its parameters are ``unet.`` and the image network's names.

    unet : a UNet2DConditionModel, which is inflated in place.
    """

    unet: Any

    def __init__(self, unet: Any, inflation: Inflation | None = None) -> None:
        super().__init__()
        self.inflation = inflation or Inflation()
        self.layout = FrameLayout()
        self.unet = unet
        self.blocks: list[Any] = [m for m in unet.modules() if isinstance(m, BasicTransformerBlock)]
        for block in self.blocks:
            inflate_block(block, self.layout, self.inflation)
        if self.inflation.compat == "mindvideo":
            share_statistics(unet, self.layout)

    @property
    def config(self) -> dict:
        """What `Inflation` needs to build this network again."""
        return asdict(self.inflation)

    def forward(
        self, sample: Tensor, timestep: Tensor | int, condition: Tensor, before: int = 0
    ) -> Tensor:
        """Predict what the scheduler's prediction type names, in the float type of ``sample``.

        Parameters
        ----------
        sample : noisy latents (clips, frames, channels, height, width).
        timestep : one for all clips, or one for each clip (clips,).
        condition : (clips, length, width), the same for all frames of a clip.
        before : how many of the frames come before the clip; frames are counted without them.

        Returns
        -------
        Tensor of the shape of ``sample``.
        """
        clips, frames = sample.shape[:2]
        self.layout.frames, self.layout.before = frames, before
        steps = torch.as_tensor(timestep, device=sample.device).expand(clips)
        out = self.unet(
            sample.flatten(0, 1).to(self.unet.dtype),
            steps.repeat_interleave(frames),
            encoder_hidden_states=condition.to(self.unet.dtype),
            return_dict=False,
        )[0]
        return out.unflatten(0, (clips, frames)).to(sample.dtype)

    @contextmanager
    def fixed_condition(self) -> Iterator[None]:
        """While open, keys and values of the condition are computed at the first call only."""
        processors = [block.attn2.processor for block in self.blocks]
        self.layout.keep_condition = True
        try:
            yield
        finally:
            self.layout.keep_condition = False
            for processor in processors:
                processor.kept = None

    def enable_gradient_checkpointing(self) -> None:
        """From now on gradients take less memory and more time, see `boldreel.models.recompute`."""
        self.unet.enable_gradient_checkpointing(Recompute(self.layout))

    def train_only(self, groups: list[str]) -> dict[str, list[str]]:
        """Freezes all but the named groups of attention layers (``self``, ``cross``, ``temporal``).

        Returns the trainable parameters' names by group; ValueError for an unknown group.
        """
        for group in groups:
            if group not in GROUPS:
                raise ValueError(f"no such group {group!r}: expected some of {', '.join(GROUPS)}")
        chosen: dict[str, list[str]] = {group: [] for group in groups}
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(False)
            for group, names in chosen.items():
                if any(mark in name for mark in GROUPS[group]):
                    parameter.requires_grad_(True)
                    names.append(name)
        return chosen

    def describe_trainable(self, groups: dict[str, list[str]]) -> str:
        """One line for each attention layer that is trained, with its number of parameters."""
        parameters = dict(self.named_parameters())
        lines = []
        for group, names in groups.items():
            layers: dict[str, int] = {}
            for name in names:
                mark = next(m for m in GROUPS[group] if m in name)
                layer = name.split(mark)[0].removeprefix("unet.") + mark.rstrip(".")
                layers[layer] = layers.get(layer, 0) + parameters[name].numel()
            lines += [f"  {group:8s} {layer:64s} {count:>12,d}" for layer, count in layers.items()]
            lines.append(f"  {group:8s} {'all':64s} {sum(layers.values()):>12,d}")
        total = sum(p.numel() for p in self.parameters())
        trained = sum(p.numel() for p in self.parameters() if p.requires_grad)
        lines.append(f"  trained  {trained:,d} of {total:,d} parameters")
        return "\n".join(lines)
