"""Masked brain modelling: a 1-D masked autoencoder over anatomical patches.

Takes volumes (batch, V) of the positions in their fixed order; returns the values of the patches
that were hidden. 1-D ViT-MAE (He et al. 2022) as in MinD-Vis (Chen et al., CVPR 2023), except that
positions that a subject does not have are neither seen nor predicted, that a patch without any voxel is
always hidden and never a target, and that the network may predict what another predictor leaves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn

from boldreel.models.checkpoint import Pretrained
from boldreel.models.layers import (
    LAYER_NORM_EPS,
    Block,
    PatchEmbed,
    initialise,
    sincos_positions,
    through,
)

# (x (batch, V), visible bool (batch, V)) -> what is expected of all positions (batch, V) given the visible.
Expected = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class MaskedAutoencoderConfig:
    """Sizes of the model; `num_voxels` counts positions, padding included."""

    num_voxels: int
    patch_size: int = 16
    embed_dim: int = 1024
    depth: int = 24
    num_heads: int = 16
    decoder_embed_dim: int = 512
    decoder_depth: int = 8
    decoder_num_heads: int = 16
    mlp_ratio: float = 1.0
    mask_ratio: float = 0.75

    def __post_init__(self) -> None:
        if self.num_voxels % self.patch_size:
            raise ValueError(f"{self.num_voxels} positions are no multiple of {self.patch_size}")
        if not 0 < self.mask_ratio < 1:
            raise ValueError(f"mask_ratio is {self.mask_ratio}; it must lie between 0 and 1")

    @property
    def n_patches(self) -> int:
        return self.num_voxels // self.patch_size


class Shuffle(NamedTuple):
    """ids (batch, patches), patches in the order in which they stay visible; rank (batch, patches), of each
    patch in it; visible, bool (batch, kept), False where a sample has fewer visible patches than the batch's
    largest; mask (batch, patches), 1 = hidden."""

    ids: torch.Tensor
    rank: torch.Tensor
    visible: torch.Tensor
    mask: torch.Tensor


class Encoded(NamedTuple):
    """latent (batch, 1 + kept, width), class token first; visible: bool (batch, kept), False where
    a sample has fewer visible patches than the batch's largest; mask (batch, patches), 1 = hidden;
    ids_restore (batch, patches), the rank of each patch in the shuffle."""

    latent: torch.Tensor
    visible: torch.Tensor
    mask: torch.Tensor
    ids_restore: torch.Tensor


class Masked(NamedTuple):
    """prediction (batch, patches, patch_size); mask (batch, patches), 1 = hidden; of each volume (batch,)
    error, the sum over hidden patches of their mean squared errors, start, the same for a network that adds
    nothing, and targets, the number of hidden patches."""

    prediction: torch.Tensor
    mask: torch.Tensor
    error: torch.Tensor
    start: torch.Tensor
    targets: torch.Tensor

    @property
    def loss(self) -> torch.Tensor:
        """The mean over hidden patches."""
        return self.error.sum() / self.targets.sum().clamp(min=1)


class MaskedAutoencoder(Pretrained):
    """The MBM model. `blocks`, `norm` and `patch_embed` are what the alignment starts from."""

    config_class = MaskedAutoencoderConfig
    config: MaskedAutoencoderConfig

    def __init__(self, config: MaskedAutoencoderConfig):
        super().__init__(config)
        self.gradient_checkpointing = False
        width, decoder_width = config.embed_dim, config.decoder_embed_dim
        self.patch_embed = PatchEmbed(config.patch_size, width)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.blocks = nn.ModuleList(
            Block(width, config.num_heads, config.mlp_ratio) for _ in range(config.depth)
        )
        self.norm = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.decoder_embed = nn.Linear(width, decoder_width)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, decoder_width))
        self.decoder_blocks = nn.ModuleList(
            Block(decoder_width, config.decoder_num_heads, config.mlp_ratio)
            for _ in range(config.decoder_depth)
        )
        self.decoder_norm = nn.LayerNorm(decoder_width, eps=LAYER_NORM_EPS)
        self.decoder_pred = nn.Linear(decoder_width, config.patch_size)
        self.register_buffer("pos_embed", sincos_positions(width, config.n_patches)[None])
        self.register_buffer(
            "decoder_pos_embed", sincos_positions(decoder_width, config.n_patches)[None]
        )
        self.pos_embed: torch.Tensor
        self.decoder_pos_embed: torch.Tensor
        self.apply(initialise)
        nn.init.normal_(self.cls_token, std=0.02)
        nn.init.normal_(self.mask_token, std=0.02)
        # predictions start at zero, the mean of z-scored data, and not at noise to be unlearned
        nn.init.zeros_(self.decoder_pred.weight)

    def _presence(self, x: torch.Tensor, present: torch.Tensor | None) -> torch.Tensor:
        if present is None:
            return torch.ones_like(x, dtype=torch.bool)
        return present.to(x.device).expand_as(x)

    def shuffle(self, present: torch.Tensor, noise: torch.Tensor | None = None) -> Shuffle:
        """Which patches stay visible; present bool (batch, V), noise as in `encode`.

        Of n patches that hold voxels, int(n (1 - mask_ratio)) do.
        """
        usable = present.unflatten(1, (-1, self.config.patch_size)).any(2)
        if noise is None:
            noise = torch.rand(usable.shape, device=present.device)
        ids = noise.masked_fill(~usable, float("inf")).argsort(dim=1)
        rank = ids.argsort(dim=1)
        keep = (usable.sum(1) * (1 - self.config.mask_ratio)).long()
        visible = torch.arange(int(keep.max()), device=present.device) < keep[:, None]
        return Shuffle(ids, rank, visible, (rank >= keep[:, None]).to(torch.float32))

    def encode(
        self,
        x: torch.Tensor,
        present: torch.Tensor | None = None,
        noise: torch.Tensor | None = None,
    ) -> Encoded:
        """Hide patches and encode the visible ones.

        Parameters
        ----------
        x : (batch, V), z units
        present : bool (V,) or (batch, V); None: all positions are there
        noise : (batch, patches) uniform; its order is the shuffle, the first ones stay visible.
            None draws it.
        """
        present = self._presence(x, present)
        shuffle = self.shuffle(present, noise)
        visible = shuffle.visible
        tokens = self.patch_embed(torch.where(present, x, 0.0)) + self.pos_embed[:, 1:]
        chosen = shuffle.ids[:, : visible.shape[1], None].expand(-1, -1, tokens.shape[2])
        tokens = tokens.gather(1, chosen)
        tokens = torch.cat([self.cls_token.expand(len(x), -1, -1), tokens], dim=1)
        # equal numbers of patches, the common case, need no mask and run on the fast kernel
        keys = None if bool(visible.all()) else nn.functional.pad(visible, (1, 0), value=True)
        for block in self.blocks:
            tokens = through(block, tokens, keys, self.gradient_checkpointing)
        return Encoded(self.norm(tokens), visible, shuffle.mask, shuffle.rank)

    def decode(self, encoded: Encoded) -> torch.Tensor:
        """Values of all patches (batch, patches, patch_size) from the visible ones."""
        tokens = self.decoder_embed(encoded.latent)
        seen = torch.where(encoded.visible[..., None], tokens[:, 1:], self.mask_token)
        hidden = encoded.mask.shape[1] - seen.shape[1]
        seen = torch.cat([seen, self.mask_token.expand(len(seen), hidden, -1)], dim=1)
        order = encoded.ids_restore[..., None].expand(-1, -1, seen.shape[2])
        tokens = torch.cat([tokens[:, :1], seen.gather(1, order)], dim=1) + self.decoder_pos_embed
        for block in self.decoder_blocks:
            tokens = through(block, tokens, None, self.gradient_checkpointing)
        return self.decoder_pred(self.decoder_norm(tokens))[:, 1:]

    def forward(
        self,
        x: torch.Tensor,
        present: torch.Tensor | None = None,
        noise: torch.Tensor | None = None,
        expected: Expected | None = None,
    ) -> Masked:
        """Hide, encode, decode; see `encode` for the parameters.

        expected : what the network's output is added to, in place of zero. It then learns what this
            leaves, and starts at its prediction.

        The loss is the mean over hidden patches of the mean squared error over the voxels that are
        present in the patch.
        """
        encoded = self.encode(x, present, noise)
        size = self.config.patch_size
        here = self._presence(x, present)
        start = x.new_zeros(encoded.mask.shape[0], encoded.mask.shape[1], size)
        if expected is not None:
            seen = (encoded.mask == 0).repeat_interleave(size, dim=1) & here
            start = expected(x, seen).to(x.dtype).unflatten(1, (-1, size))
        prediction = start + self.decode(encoded)
        weight = here.unflatten(1, (-1, size)).to(x.dtype)
        target = torch.where(weight > 0, x.unflatten(1, (-1, size)), 0.0)
        targets = encoded.mask * weight.amax(2)

        def error(values: torch.Tensor) -> torch.Tensor:
            by_patch = ((values - target) ** 2 * weight).sum(2) / weight.sum(2).clamp(min=1)
            return (by_patch * targets).sum(1)

        return Masked(prediction, encoded.mask, error(prediction), error(start), targets.sum(1))
