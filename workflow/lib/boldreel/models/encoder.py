"""The spatiotemporal encoder of one subject.

Takes windows of BOLD (batch, w, V); returns condition tokens and CLIP embeddings. Departures from
the publication (Chen et al., MinD-Video, NeurIPS 2023): window attention starts at zero output and
knows the lag, any w can be given, absent positions have no influence, and the transformer may stand
on a linear path (`linear_path: inversion` or `ridge`), to which it adds a residual that starts at zero.
The publication has no linear path; with hours, not days, of noisy data per subject a transformer alone
stays below ridge regression.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from boldreel.errors import UserError
from boldreel.models.autoencoder import MaskedAutoencoder
from boldreel.models.decoder import (
    Decoder,
    DecoderConfig,
    Deviations,
    Encoding,
    LinearDecoder,
    LinearReadout,
)
from boldreel.models.layers import initialise
from boldreel.models.trunk import ConditionHead, TokenMixer, Trunk

LINEAR_PATHS = ("inversion", "ridge", "none")


@dataclass(frozen=True)
class SpatioTemporalEncoderConfig(DecoderConfig):
    """Sizes of the encoder; `pooled` tokens are read for the embeddings."""

    patch_size: int = 16
    embed_dim: int = 1024
    depth: int = 24
    num_heads: int = 16
    mlp_ratio: float = 1.0
    pooled: int = 8
    linear_path: str = "inversion"
    window_attention: bool = True

    def __post_init__(self) -> None:
        if self.linear_path not in LINEAR_PATHS:
            raise UserError(
                f"align.linear_path is {self.linear_path!r}; it must be one of "
                f"{', '.join(LINEAR_PATHS)}"
            )


class EmbeddingHead(nn.Module):
    """Tokens to one embedding: mix to a few tokens, join them, project."""

    def __init__(self, window: int, n_patches: int, width: int, pooled: int, dim: int):
        super().__init__()
        self.channel_mapper = TokenMixer(window, n_patches, pooled)
        self.projection = nn.Linear(pooled * width, dim, bias=False)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.projection(self.channel_mapper(tokens).flatten(1))


class SpatioTemporalEncoder(Decoder):
    """Trunk, heads, and the linear path; `logit_scale` is the contrast's learned temperature."""

    config_class = SpatioTemporalEncoderConfig
    config: SpatioTemporalEncoderConfig

    def __init__(self, config: SpatioTemporalEncoderConfig):
        super().__init__(config)
        # Clips that go through the transformer at a time in training; None is the whole batch.
        self.at_a_time: int | None = None
        n_patches, width, window = (
            config.num_voxels // config.patch_size,
            config.embed_dim,
            config.window,
        )
        self.trunk = Trunk(
            n_patches,
            config.patch_size,
            width,
            config.depth,
            config.num_heads,
            config.mlp_ratio,
            window_attention=config.window_attention,
        )
        self.condition_head = ConditionHead(
            window, n_patches, width, config.tokens, config.token_width
        )
        self.image_head = EmbeddingHead(window, n_patches, width, config.pooled, config.image_dim)
        self.text_head = EmbeddingHead(window, n_patches, width, config.pooled, config.text_dim)
        self.logit_scale = nn.Parameter(torch.tensor(1 / 0.07).log())
        self.apply(initialise)
        for name, parameter in self.trunk.named_parameters():
            if name.endswith("attn_temp.proj.weight"):
                nn.init.zeros_(parameter)
        self.readout: LinearReadout | None = None
        if config.linear_path != "none":
            self.readout = LinearReadout(config.num_voxels, window, config.targets, config.rank)
            # a residual: nothing is added to the linear path at first
            for head in (self.condition_head, self.image_head, self.text_head):
                nn.init.zeros_(head.projection.weight)

    def deviations(self, x: torch.Tensor, present: torch.Tensor) -> Deviations:
        linear = None if self.readout is None else self.readout.outputs(x)
        return self._add(linear, self.residual(x, present))

    def residual(self, x: torch.Tensor, present: torch.Tensor) -> Deviations:
        """What the transformer alone predicts; all there is without a linear path.

        Where training left it as it began, adding nothing, it is not run: but for gradients, which it needs
        in order to ever add something.
        """
        sizes = self.config.targets
        # the motion code is the linear path's alone
        still = x.new_zeros(len(x), sizes.motion_dim)
        if not torch.is_grad_enabled() and self.adds_nothing():
            shapes = (sizes.image_dim,), (sizes.text_dim,), (sizes.tokens, sizes.token_width)
            image, text, condition = (x.new_zeros(len(x), *shape) for shape in shapes)
            return Deviations(image, text, condition, still)
        size = self.at_a_time or len(x)
        if size >= len(x) or not torch.is_grad_enabled():
            image, text, condition = self._heads(x, present)
            return Deviations(image, text, condition, still)
        # Only what each part predicts is kept, and the loss sees it of the whole batch. Then each part is
        # computed again for its gradient (Gao et al. 2021, arXiv 2101.06983): that of the whole batch.
        parts = [
            checkpoint(self._heads, *part, use_reentrant=False)
            for part in zip(x.split(size), present.split(size), strict=True)
        ]
        image, text, condition = (torch.cat(values) for values in zip(*parts, strict=True))
        return Deviations(image, text, condition, still)

    def _heads(
        self, x: torch.Tensor, present: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Image, text and condition as the transformer predicts them."""
        tokens = self.trunk.tokens(x, present)
        return self.image_head(tokens), self.text_head(tokens), self.condition_head(tokens)

    def adds_nothing(self) -> bool:
        """Whether training left the transformer as it began, next to a linear path."""
        heads = (self.image_head, self.text_head, self.condition_head)
        return not any(bool(head.projection.weight.any()) for head in heads)

    def _add(self, linear: torch.Tensor | None, own: Deviations) -> Deviations:
        if linear is None or self.readout is None:
            return own
        parts = zip(self.readout.expand(linear), own, strict=True)
        return Deviations(*(a + b for a, b in parts))

    def forward(
        self,
        x: torch.Tensor,
        present: torch.Tensor | None = None,
        linear: torch.Tensor | None = None,
    ) -> Encoding:
        """Decode windows x (batch, w, V) in z units, any w.

        present : bool (V,) or (batch, V), for subjects other than the one trained on
        linear : (batch, K) outputs that stand in for those of the linear path. Training gives it
            predictions by linear fits that did not see the row: on rows that were fitted the linear
            path is too good to leave the transformer anything that holds elsewhere.
        """
        if linear is None:
            return super().forward(x, present)
        present = (self.present if present is None else present).expand(len(x), -1)
        x = torch.where(present[:, None], x, 0.0)
        return self.calibration(self._add(linear, self.residual(x, present)))

    @torch.no_grad()
    def start_from(self, pretrained: MaskedAutoencoder | None, linear: LinearDecoder) -> list[str]:
        """Take over the pretrained trunk and the linear path; return the names of tensors that
        were loaded from `pretrained`.

        Only tensors whose name and shape agree are taken: with fewer blocks than were pretrained,
        the first ones. Calibration, `present` and `mean_window` come from `linear` in any case.
        """
        loaded = []
        if pretrained is not None:
            source = pretrained.state_dict()
            for name, tensor in self.trunk.state_dict().items():
                if name in source and source[name].shape == tensor.shape:
                    tensor.copy_(source[name])
                    loaded.append(name)
        self._stand_on(linear)
        return loaded

    def on(self, linear: LinearDecoder) -> SpatioTemporalEncoder:
        """A new encoder: this transformer on another linear path, with the other's calibration
        but for the floors, which are sizes of this encoder's own predictions."""
        shared = {field.name: getattr(linear.config, field.name) for field in fields(DecoderConfig)}
        moved = SpatioTemporalEncoder(replace(self.config, **shared)).to(self.present.device)
        own = {
            name: tensor
            for name, tensor in self.state_dict().items()
            if not name.startswith(("readout.", "calibration.", "present", "mean_window"))
        }
        moved.load_state_dict(own, strict=False)
        with torch.no_grad():
            moved._stand_on(linear)
            moved.calibration.floors.copy_(self.calibration.floors)
        return moved.eval()

    def _stand_on(self, linear: LinearDecoder) -> None:
        self.calibration.load_state_dict(linear.calibration.state_dict())
        self.present.copy_(linear.present)
        self.mean_window.copy_(linear.mean_window)
        if self.readout is not None:
            self.readout.load_state_dict(linear.readout.state_dict())


def encoder_config(linear: DecoderConfig, **sizes: object) -> SpatioTemporalEncoderConfig:
    """The encoder's config next to a linear decoder's: same targets, window and positions."""
    shared = {field.name: getattr(linear, field.name) for field in fields(DecoderConfig)}
    return SpatioTemporalEncoderConfig(**shared, **sizes)  # type: ignore[arg-type]
