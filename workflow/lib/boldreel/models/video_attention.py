"""Attention that makes an image network look across frames.

Takes the attention layers of diffusers' transformer blocks, whose rows are the frames of clips (frame
fastest); returns processors to put in their place and the temporal layer that is added to each block.
All weights stay in diffusers' own `Attention` modules: nothing here copies or replaces a network.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from diffusers.models.attention import FeedForward
from diffusers.models.attention_processor import Attention
from torch import Tensor, nn

MODES: tuple[str, ...] = ("previous-two", "first-previous", "own-previous", "own", "full")


@dataclass
class FrameLayout:
    """How the rows of a folded batch fall into clips; one instance is shared by a whole network.

    frames : of a clip; before : how many of them come before the clip and are only looked at.
    """

    frames: int = 1
    before: int = 0
    keep_condition: bool = False

    @contextmanager
    def set_to(self, frames: int, before: int) -> Iterator[None]:
        """While open, clips have this number of frames."""
        now = self.frames, self.before
        self.frames, self.before = frames, before
        try:
            yield
        finally:
            self.frames, self.before = now


def frames_read(mode: str, frames: int) -> Tensor:
    """Which frames give the keys and values for the queries of each frame.

    Parameters
    ----------
    mode : ``previous-two`` (MinD-Video: frames i-2 and i-1), ``first-previous``
        (Tune-A-Video: frames 0 and i-1), ``own-previous`` (frames i-1 and i), ``own`` (frame i
        alone, the image network) or ``full`` (all frames). Frames before the first are the first.
    frames : number of frames in a clip, at least 1.

    Returns
    -------
    int64 tensor (frames, frames read by each).
    """
    if mode not in MODES:
        raise ValueError(f"no such attention mode {mode!r}: expected one of {', '.join(MODES)}")
    if frames < 1:
        raise ValueError(f"a clip has at least 1 frame, not {frames}")
    own = torch.arange(frames)
    if mode == "full":
        return own.repeat(frames, 1)
    columns = {
        "previous-two": (own - 2, own - 1),
        "first-previous": (torch.zeros_like(own), own - 1),
        "own-previous": (own - 1, own),
        "own": (own,),
    }[mode]
    return torch.stack(columns, dim=1).clamp(min=0)


def _heads(attn: Attention, x: Tensor) -> Tensor:
    """(rows, tokens, width) to (rows, heads, tokens, width of a head)."""
    return x.unflatten(-1, (attn.heads, -1)).transpose(1, 2)


def _out(attn: Attention, x: Tensor) -> Tensor:
    """Joins the heads (rows, heads, tokens, width of a head) and applies the output layer."""
    joined = attn.to_out[1](attn.to_out[0](x.transpose(1, 2).flatten(2)))
    return joined / attn.rescale_output_factor


class SparseCausalProcessor:
    """Self-attention whose keys and values come from the frames that `frames_read` names.

    Keys and values are computed once for each frame and then gathered.
    """

    def __init__(self, layout: FrameLayout, mode: str) -> None:
        frames_read(mode, 1)
        self.layout = layout
        self.mode = mode

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
    ) -> Tensor:
        """hidden_states (clips x frames, tokens, width) to the same shape."""
        if encoder_hidden_states is not None or attention_mask is not None:
            raise ValueError("sparse-causal attention takes neither a condition nor a mask")
        frames = self.layout.frames
        query, key, value = (layer(hidden_states) for layer in (attn.to_q, attn.to_k, attn.to_v))
        if self.mode != "own" and frames > 1:
            table = frames_read(self.mode, frames).to(hidden_states.device)
            key, value = (self._gather(x, table) for x in (key, value))
        query, key, value = (_heads(attn, x) for x in (query, key, value))
        return _out(attn, F.scaled_dot_product_attention(query, key, value))

    @staticmethod
    def _gather(x: Tensor, table: Tensor) -> Tensor:
        """Rows (clips x frames, tokens, width) to (clips x frames, tokens of all frames read, width)."""
        frames, reads = table.shape
        clips = x.unflatten(0, (-1, frames))
        read = clips[:, table.flatten()].unflatten(1, (frames, reads))
        return read.flatten(2, 3).flatten(0, 1)


class ClipCrossProcessor:
    """Cross-attention of all frames of a clip to the clip's one condition.

    Takes the condition once for each clip, so that its keys and values are not computed frame by
    frame; while ``layout.keep_condition`` is set they are computed at the first call only.
    """

    def __init__(self, layout: FrameLayout) -> None:
        self.layout = layout
        self.kept: tuple[Tensor, Tensor] | None = None

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
    ) -> Tensor:
        """hidden_states (clips x frames, tokens, width), condition (clips, length, condition width)."""
        if encoder_hidden_states is None or attention_mask is not None:
            raise ValueError("cross-attention takes a condition and no mask")
        rows, tokens, _ = hidden_states.shape
        if self.kept is not None:
            key, value = self.kept
        else:
            key = _heads(attn, attn.to_k(encoder_hidden_states))
            value = _heads(attn, attn.to_v(encoder_hidden_states))
            if self.layout.keep_condition:
                self.kept = (key, value)
        query = attn.to_q(hidden_states).reshape(key.shape[0], -1, attn.heads * key.shape[-1])
        out = F.scaled_dot_product_attention(_heads(attn, query), key, value)
        return _out(attn, out).reshape(rows, tokens, -1)


def frame_positions(frames: int, width: int, before: int = 0) -> Tensor:
    """Sinusoidal code (frames, width) of the frame number, counted from the clip's middle frame.

    before : how many of the frames come before the clip.

    Formula: Vaswani et al. 2017, section 3.5, with rates from 1 to 1/100 radian a frame, since clips
    are short.
    """
    half = (width + 1) // 2
    rate = torch.exp(-math.log(100.0) * torch.arange(half) / max(half - 1, 1))
    number = torch.arange(frames) - before - (frames - before) // 2
    angle = number[:, None] * rate
    return torch.stack((angle.sin(), angle.cos()), dim=-1).flatten(1)[:, :width]


class TemporalHook:
    """Forward hook of a transformer block: adds attention across frames at each position.

    Reads the block's ``norm_temp`` and ``attn_temp``, and where it has them ``norm_ff_temp`` and
    ``ff_temp``: attention of identical frames can only add the frame number to their features, the
    feed-forward layer behind it makes what is seen move by it. An object and not a closure, so that a
    deep copy of the network has a hook of its own.
    """

    def __init__(self, layout: FrameLayout, positions: str) -> None:
        self.layout = layout
        self.positions = positions

    def __call__(self, block: Any, args: tuple, output: Tensor) -> Tensor:
        """output (clips x frames, tokens, width) to the same shape."""
        frames = self.layout.frames
        x = self._numbered(block.norm_temp(output), frames)
        attn = block.attn_temp
        query, key, value = (
            self._by_place(attn, layer(x), frames) for layer in (attn.to_q, attn.to_k, attn.to_v)
        )
        mixed = F.scaled_dot_product_attention(query, key, value)
        # (clips, tokens, heads, frames, head width) back to (clips x frames, tokens, width)
        mixed = mixed.permute(0, 3, 1, 2, 4).flatten(0, 1).flatten(2)
        output = output + attn.to_out[1](attn.to_out[0](mixed))
        if hasattr(block, "ff_temp"):
            output = output + block.ff_temp(self._numbered(block.norm_ff_temp(output), frames))
        return output

    def _numbered(self, x: Tensor, frames: int) -> Tensor:
        """Rows (clips x frames, tokens, width) plus the code of their frame's number."""
        if self.positions == "none":
            return x
        code = frame_positions(frames, x.shape[-1], self.layout.before).to(x)
        return (x.unflatten(0, (-1, frames)) + code[None, :, None]).flatten(0, 1)

    @staticmethod
    def _by_place(attn: Attention, x: Tensor, frames: int) -> Tensor:
        """(clips x frames, tokens, width) to (clips, tokens, heads, frames, head width)."""
        return x.unflatten(0, (-1, frames)).unflatten(-1, (attn.heads, -1)).permute(0, 2, 3, 1, 4)


def add_temporal_layer(
    block: Any,
    layout: FrameLayout,
    positions: str,
    feed_forward: bool = False,
    zero_bias: bool = True,
) -> None:
    """Gives a BasicTransformerBlock a temporal layer whose output starts at zero (weight and bias).

    The new modules are called ``norm_temp`` and ``attn_temp``, as in the published checkpoints, which
    have no feed-forward layer (``norm_ff_temp``, ``ff_temp``) behind them. Without ``zero_bias`` the
    bias of the output starts at random, as published: then inflation is no identity.
    """
    if positions not in ("sinusoidal", "none"):
        raise ValueError(f"no such frame positions {positions!r}: expected sinusoidal or none")
    block.norm_temp = nn.LayerNorm(block.dim)
    block.attn_temp = Attention(
        query_dim=block.dim,
        heads=block.num_attention_heads,
        dim_head=block.attention_head_dim,
        bias=block.attention_bias,
    )
    nn.init.zeros_(block.attn_temp.to_out[0].weight)
    if zero_bias:
        nn.init.zeros_(block.attn_temp.to_out[0].bias)
    if feed_forward:
        block.norm_ff_temp = nn.LayerNorm(block.dim)
        block.ff_temp = FeedForward(block.dim, mult=2)
        nn.init.zeros_(block.ff_temp.net[-1].weight)
        nn.init.zeros_(block.ff_temp.net[-1].bias)
    block.register_forward_hook(TemporalHook(layout, positions))
