"""Training in bfloat16 where the processor has matrix units for it (AMX), in float32 elsewhere.

Takes a model and leaves it ready for ``arithmetic``: on such processors products of matrices and
convolutions run in bfloat16, weights and the optimiser stay in float32. Two layers would lose what
that gains, and are set right: the fused attention, whose backward pass is slow in bfloat16, and the
group norm, whose bfloat16 kernel is slower than the float32 one.
"""

from __future__ import annotations

import torch


class _GroupNorm(torch.nn.GroupNorm):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", enabled=False):
            return super().forward(x.float())


def prepare(model: torch.nn.Module) -> None:
    """Replace attention and group norms in all parts of ``model``, weights kept."""
    from diffusers import UNet2DConditionModel
    from diffusers.models.attention_processor import AttnProcessor
    from transformers import PreTrainedModel

    for part in model.modules():
        if type(part) is torch.nn.GroupNorm:
            part.__class__ = _GroupNorm
        elif isinstance(part, UNet2DConditionModel):
            part.set_attn_processor(AttnProcessor())
        elif isinstance(part, PreTrainedModel) and part._supports_sdpa:
            part.set_attn_implementation("eager")


def arithmetic(rounded: bool) -> torch.autocast:
    """The context in which a training step's forward pass runs: bfloat16 where ``rounded``."""
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=rounded)
