"""Reference arrays of the video generator: b1 attention, b3 transformer block, b4 whole network."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import torch
from comparison import Arrays, Comparison
from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.attention_processor import Attention
from safetensors.torch import load_file

from boldreel.models import published_video_unet as published
from boldreel.models.video_attention import FrameLayout, SparseCausalProcessor, frames_read
from boldreel.models.video_unet import Inflation, VideoUNet, inflate_block

BLOCK_TOLERANCE = 2e-5
NETWORK_TOLERANCE = 1e-4
MODES = {"mindvideo": "previous-two", "tuneavideo": "first-previous"}


def attention(arrays: Arrays, configs: dict[str, Any]) -> Iterator[Comparison]:
    """b1: self-attention in both published modes, and the frames they read."""
    sizes = configs["b1"]
    attn = Attention(
        sizes["query_dim"], heads=sizes["heads"], dim_head=sizes["dim_head"], bias=sizes["bias"]
    )
    attn.load_state_dict(load_file(arrays.sibling(f"{arrays.stem}_weights.safetensors")))
    hidden = torch.from_numpy(arrays["hidden_states"])
    for key in arrays:
        if kind := re.fullmatch("kv_frames_([a-z]+)", key):
            table = frames_read(MODES[kind[1]], len(arrays[key]))
            yield arrays.line(key, table, 0)
        elif kind := re.fullmatch("out_([a-z]+)(?:_f([0-9]+))?", key):
            # clips of another length are the first rows, cut otherwise
            rows = hidden[: len(arrays[key])]
            layout = FrameLayout(int(kind[2] or arrays["video_length"]))
            attn.set_processor(SparseCausalProcessor(layout, MODES[kind[1]]))
            yield arrays.line(key, attn(rows), BLOCK_TOLERANCE)


def block(arrays: Arrays, configs: dict[str, Any]) -> Iterator[Comparison]:
    """b3: a transformer block with its temporal layer; the condition comes once for each frame."""
    sizes = configs["b3"]
    made = BasicTransformerBlock(
        sizes["dim"],
        sizes["num_attention_heads"],
        sizes["attention_head_dim"],
        cross_attention_dim=sizes["cross_attention_dim"],
    )
    inflate_block(made, FrameLayout(int(arrays["video_length"])), Inflation.published())
    made.load_state_dict(load_file(arrays.sibling(f"{arrays.stem}_weights.safetensors")))
    hidden, condition = (
        torch.from_numpy(arrays[key]) for key in ("hidden_states", "encoder_hidden_states")
    )
    yield arrays.line("out", made(hidden, encoder_hidden_states=condition), BLOCK_TOLERANCE)


def small_network(arrays: Arrays, configs: dict[str, Any]) -> VideoUNet:
    """The network of the b4 sizes with the weights that lie next to the arrays."""
    return published.load(arrays.sibling("b4_unet3d_weights.safetensors"), configs["b4"])


@torch.no_grad()
def network(arrays: Arrays, configs: dict[str, Any]) -> Iterator[Comparison]:
    """b4: the whole network at several timesteps."""
    made = small_network(arrays, configs)
    # published arrays are (batch, channel, frame, height, width)
    latents = torch.from_numpy(arrays["latents"]).transpose(1, 2)
    context = torch.from_numpy(arrays["context"])
    for key in arrays:
        if step := re.fullmatch("out_t([0-9]+)", key):
            out = made(latents, int(step[1]), context).transpose(1, 2)
            yield arrays.line(key, out, NETWORK_TOLERANCE)


CASES = {"b1_": attention, "b3_": block, "b4_": network}
