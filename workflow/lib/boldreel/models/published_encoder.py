"""The spatiotemporal encoder exactly as published, for its checkpoints and for comparison.

Takes windows (batch, w, V), all positions present; returns condition tokens (batch, T, W). Chen et
al., MinD-Video, NeurIPS 2023: no lag position, the window's length fixed, class and mask token
carried along unused.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from boldreel.models.checkpoint import Pretrained
from boldreel.models.trunk import ConditionHead, SpatioTemporalBlock, Trunk


@dataclass(frozen=True)
class PublishedEncoderConfig:
    """Sizes of the released encoder; `window` volumes, `tokens` x `token_width` of the condition."""

    num_voxels: int
    window: int = 2
    patch_size: int = 16
    embed_dim: int = 1024
    depth: int = 24
    num_heads: int = 16
    mlp_ratio: float = 1.0
    tokens: int = 77
    token_width: int = 768
    window_attention: bool = True


class PublishedEncoder(Trunk, Pretrained):
    """Parameter names and shapes of the released fMRI encoder."""

    config_class = PublishedEncoderConfig
    config: PublishedEncoderConfig

    def __init__(self, config: PublishedEncoderConfig):
        n_patches = config.num_voxels // config.patch_size
        super().__init__(
            n_patches,
            config.patch_size,
            config.embed_dim,
            config.depth,
            config.num_heads,
            config.mlp_ratio,
            lag_positions=False,
            window_attention=config.window_attention,
        )
        self.config = config
        self.cls_token = nn.Parameter(torch.zeros(1, 1, config.embed_dim))
        self.mask_token = nn.Parameter(torch.zeros(1, 1, config.embed_dim))
        self.logit_scale = nn.Parameter(torch.tensor(2.6592))
        self.proj_head = ConditionHead(
            config.window, n_patches, config.embed_dim, config.tokens, config.token_width
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.proj_head(self.tokens(x))

    @torch.no_grad()
    def attention_maps(self, x: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor | None]]:
        """For each block its attention over patches (batch * w, heads, patches, patches) and over
        the window (batch * patches, heads, w, w), divided by their L2 norm over the last axis."""
        tokens = self.patch_embed(x.flatten(0, 1)) + self.pos_embed[:, 1:]
        before = [tokens.unflatten(0, x.shape[:2]), *self.states(x)]
        maps = []
        for block, seen in zip(self.blocks, before, strict=False):
            assert isinstance(block, SpatioTemporalBlock)
            spatial = functional.normalize(
                block.attn.weights(block.norm1(seen).flatten(0, 1)), dim=-1
            )
            window = None
            if block.window_attention:
                along = block.window_input(block.spatial(seen, None))
                window = functional.normalize(block.attn_temp.weights(along), dim=-1)
            maps.append((spatial, window))
        return maps


def resize_positions(positions: torch.Tensor, n_patches: int) -> torch.Tensor:
    """Positions (1, 1 + n, width) of a checkpoint at another number of patches, nearest neighbour
    as published; the class token's row stays."""
    rows = positions[:, 1:].transpose(1, 2)
    resized = functional.interpolate(rows, size=n_patches, mode="nearest").transpose(1, 2)
    return torch.cat([positions[:, :1], resized], dim=1)
