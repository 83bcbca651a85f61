"""Layers that the masked autoencoder and the spatiotemporal encoder share.

Take and return tensors of tokens (batch, tokens, width). Parameter names and shapes are those of
1-D ViT-MAE (He et al. 2022; Chen et al., MinD-Vis, CVPR 2023), so that its checkpoints fit.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

LAYER_NORM_EPS = 1e-5


def sincos_positions(width: int, n_patches: int) -> torch.Tensor:
    """Fixed positions float32 (1 + n_patches, width): row 0, the class token's, is zero.

    [sin(p w_i) | cos(p w_i)] with w_i = 10000^(-i / (width / 2)) (Vaswani et al. 2017, 1-D). Rounded
    to float32 at each step, as in the published checkpoints: at p = 375 the angle differs by 3e-5.
    """
    if width % 2:
        raise ValueError(f"width is {width}; sine-cosine positions need an even one")
    power = torch.arange(width // 2, dtype=torch.float64) / (width / 2)
    omega = 1 / (10000.0**power).float()
    angle = torch.arange(n_patches, dtype=torch.float32)[:, None] * omega
    rows = torch.cat([angle.sin(), angle.cos()], dim=1)
    return torch.cat([torch.zeros(1, width), rows])


class PatchEmbed(nn.Module):
    """Values of positions (batch, V) to patch tokens (batch, V / patch_size, width)."""

    def __init__(self, patch_size: int, width: int):
        super().__init__()
        self.patch_size = patch_size
        self.proj = nn.Conv1d(1, width, kernel_size=patch_size, stride=patch_size)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        patches = x.unflatten(1, (-1, self.patch_size))
        # the convolution as a matrix product: stride equals kernel, and this is faster on a CPU
        return functional.linear(patches, self.proj.weight[:, 0], self.proj.bias)


class Attention(nn.Module):
    """Multi-head self-attention; rows of `qkv` are ordered q, k, v, head by head."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} is no multiple of {heads} heads")
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def _split(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        q, k, v = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return q, k, v

    def forward(self, x: torch.Tensor, keys: torch.Tensor | None = None) -> torch.Tensor:
        """`keys`: bool (batch, tokens), False for tokens that nobody may attend to."""
        mask = None if keys is None else keys[:, None, None, :]
        out = functional.scaled_dot_product_attention(*self._split(x), attn_mask=mask)
        return self.proj(out.transpose(1, 2).flatten(2))

    @torch.no_grad()
    def weights(self, x: torch.Tensor, keys: torch.Tensor | None = None) -> torch.Tensor:
        """Softmax attention (batch, heads, queries, keys), for maps; not used in training."""
        q, k, _ = self._split(x)
        scores = q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5
        if keys is not None:
            scores = scores.masked_fill(~keys[:, None, None, :], float("-inf"))
        return scores.softmax(-1)


class Mlp(nn.Module):
    """Two linear layers around an exact GELU."""

    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc2(functional.gelu(self.fc1(x)))


class Block(nn.Module):
    """Pre-norm transformer block: attention, then MLP, each residual."""

    def __init__(self, width: int, heads: int, mlp_ratio: float):
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.mlp = Mlp(width, int(width * mlp_ratio))

    def forward(self, x: torch.Tensor, keys: torch.Tensor | None = None) -> torch.Tensor:
        x = x + self.attn(self.norm1(x), keys)
        return x + self.mlp(self.norm2(x))


def through(
    block: nn.Module, tokens: torch.Tensor, keys: torch.Tensor | None, recompute: bool
) -> torch.Tensor:
    """Tokens after a block. With `recompute`, what it computed inside is not kept for the gradient but
    computed again (Chen et al. 2016): about a third more time, a fraction of the memory."""
    if recompute and torch.is_grad_enabled():
        return checkpoint(block, tokens, keys, use_reentrant=False)
    return block(tokens, keys)


def initialise(module: nn.Module) -> None:
    """Xavier-uniform linear and patch weights, zero biases (He et al. 2022); use with `apply`."""
    if isinstance(module, (nn.Linear, nn.Conv1d)):
        nn.init.xavier_uniform_(module.weight.view(module.weight.shape[0], -1))
        if module.bias is not None:
            nn.init.zeros_(module.bias)
