"""The spatiotemporal trunk: attention over patches, then over the volumes of a window.

Takes windows (batch, w, V) of any w; returns tokens (batch, w, patches, width). Structure and
parameter names as published (Chen et al., MinD-Video, NeurIPS 2023, section 3), so that masked
autoencoders and published checkpoints fit.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn
from torch.nn import functional

from boldreel.models.layers import (
    LAYER_NORM_EPS,
    Attention,
    Mlp,
    PatchEmbed,
    sincos_positions,
    through,
)


class SpatioTemporalBlock(nn.Module):
    """Spatial attention, window attention, MLP; each pre-norm and residual.

    With `lag_positions` a fixed sine-cosine code of the volume's place in the window goes into the
    window attention, and nowhere else; without, the block does not know the order of volumes.
    Without `window_attention` volumes exchange nothing here.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        mlp_ratio: float,
        lag_positions: bool = True,
        window_attention: bool = True,
    ):
        super().__init__()
        self.lag_positions = lag_positions
        self.window_attention = window_attention
        self.norm1 = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.attn = Attention(width, heads)
        if window_attention:
            self.norm_temp = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
            self.attn_temp = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.mlp = Mlp(width, int(width * mlp_ratio))

    def forward(self, x: torch.Tensor, keys: torch.Tensor | None = None) -> torch.Tensor:
        """x (batch, w, patches, width); keys: bool (batch, patches) of patches that hold voxels."""
        x = self.spatial(x, keys)
        if self.window_attention:
            seen = self.attn_temp(self.window_input(x))
            x = x + seen.unflatten(0, (len(x), -1)).transpose(1, 2)
        return x + self.mlp(self.norm2(x))

    def spatial(self, x: torch.Tensor, keys: torch.Tensor | None) -> torch.Tensor:
        """Tokens after the attention over patches."""
        seen = self.attn(self.norm1(x).flatten(0, 1), _repeat(keys, x.shape[1]))
        return x + seen.view_as(x)

    def window_input(self, x: torch.Tensor) -> torch.Tensor:
        """What the window attention sees (batch * patches, w, width): normalised tokens, with the
        code of the lag."""
        normed = self.norm_temp(x)
        if self.lag_positions:
            code = sincos_positions(x.shape[3], x.shape[1])[1:].to(normed)
            normed = normed + code[None, :, None]
        return normed.transpose(1, 2).flatten(0, 1)


def _repeat(keys: torch.Tensor | None, window: int) -> torch.Tensor | None:
    return None if keys is None else keys.repeat_interleave(window, dim=0)


class Trunk(nn.Module):
    """Patch embedding, blocks and the final norm."""

    def __init__(
        self,
        n_patches: int,
        patch_size: int,
        width: int,
        depth: int,
        heads: int,
        mlp_ratio: float,
        lag_positions: bool = True,
        window_attention: bool = True,
    ):
        nn.Module.__init__(self)  # the published encoder has another base next to this one
        self.patch_size = patch_size
        self.gradient_checkpointing = False
        self.patch_embed = PatchEmbed(patch_size, width)
        self.register_buffer("pos_embed", sincos_positions(width, n_patches)[None])
        self.pos_embed: torch.Tensor
        self.blocks = nn.ModuleList(
            SpatioTemporalBlock(width, heads, mlp_ratio, lag_positions, window_attention)
            for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width, eps=LAYER_NORM_EPS)

    def states(
        self, x: torch.Tensor, present: torch.Tensor | None = None
    ) -> Iterator[torch.Tensor]:
        """Tokens (batch, w, patches, width) after every block and, last, after the final norm.

        present : bool (V,) or (batch, V); what is absent has no influence. None: all are there.
        """
        keys = None
        if present is not None:
            present = present.expand(len(x), -1)
            x = torch.where(present[:, None], x, 0.0)
            in_patch = present.unflatten(1, (-1, self.patch_size)).any(2)
            # complete subjects need no mask and run on the fast kernel
            keys = None if bool(in_patch.all()) else in_patch
        tokens = self.patch_embed(x.flatten(0, 1)) + self.pos_embed[:, 1:]
        tokens = tokens.unflatten(0, x.shape[:2])
        for block in self.blocks:
            tokens = through(block, tokens, keys, self.gradient_checkpointing)
            yield tokens
        tokens = self.norm(tokens)
        yield tokens if keys is None else tokens * keys[:, None, :, None]

    def tokens(self, x: torch.Tensor, present: torch.Tensor | None = None) -> torch.Tensor:
        """Final tokens (batch, w, patches, width); those of patches without voxels are 0."""
        *_, last = self.states(x, present)
        return last


class TokenMixer(nn.Module):
    """Tokens of all volumes in window order to `out` tokens, linear over the token axis.

    `weight` (out, window * patches) as published. A window of another length uses the weights of
    the volume in the same place (of the last one beyond), scaled to the length trained on.
    """

    def __init__(self, window: int, n_patches: int, out: int):
        super().__init__()
        self.window = window
        self.weight = nn.Parameter(torch.empty(out, window * n_patches))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """(batch, w, patches, width) to (batch, out, width)."""
        window = tokens.shape[1]
        weight = self.weight
        if window != self.window:
            place = torch.arange(window, device=tokens.device).clamp(max=self.window - 1)
            weight = weight.unflatten(1, (self.window, -1))[:, place].flatten(1)
            weight = weight * (self.window / window)
        return weight @ tokens.flatten(1, 2)


class ConditionHead(nn.Module):
    """Tokens to condition tokens (batch, T, W): mix, p = project, p + fc(GELU(p)); no biases."""

    def __init__(self, window: int, n_patches: int, width: int, tokens: int, token_width: int):
        super().__init__()
        self.channel_mapper = TokenMixer(window, n_patches, tokens)
        self.projection = nn.Linear(width, token_width, bias=False)
        self.fc = nn.Linear(token_width, token_width, bias=False)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        p = self.projection(self.channel_mapper(tokens))
        return p + self.fc(functional.gelu(p))
