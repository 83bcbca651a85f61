"""Group norms over all frames of a clip."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from boldreel.models.group_norm import ClipGroupNorm, share_statistics
from boldreel.models.video_attention import FrameLayout


def _norm() -> nn.GroupNorm:
    torch.manual_seed(0)
    norm = nn.GroupNorm(4, 8, eps=1e-3)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    return norm


@torch.no_grad()
def test_equals_statistics_written_out() -> None:
    norm, x = _norm(), torch.randn(2 * 3, 8, 5, 4)
    expected = torch.empty_like(x)
    for clip in range(2):
        rows = slice(3 * clip, 3 * clip + 3)
        for group in range(4):
            part = slice(2 * group, 2 * group + 2)
            values = x[rows, part]
            expected[rows, part] = (values - values.mean()) / (
                values.var(unbiased=False) + 1e-3
            ).sqrt()
    expected = expected * norm.weight[:, None, None] + norm.bias[:, None, None]
    shared = ClipGroupNorm(norm, FrameLayout(3))
    assert torch.allclose(shared(x), expected, atol=1e-5)
    assert not torch.allclose(norm(x), expected, atol=1e-2)


@torch.no_grad()
def test_one_frame_is_the_plain_norm() -> None:
    norm, x = _norm(), torch.randn(3, 8, 5, 4)
    assert torch.allclose(ClipGroupNorm(norm, FrameLayout(1))(x), norm(x), atol=1e-6)


def test_names_and_tensors_stay(unet) -> None:  # type: ignore[no-untyped-def]
    before = {name: tensor.clone() for name, tensor in unet.state_dict().items()}
    share_statistics(unet, FrameLayout())
    after = unet.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], before[name]) for name in before)
    shared = {name for name, module in unet.named_modules() if isinstance(module, ClipGroupNorm)}
    assert "conv_norm_out" in shared and "mid_block.resnets.1.norm2" in shared
    assert not any(".attentions." in name for name in shared)


def test_a_copy_keeps_one_layout(unet) -> None:  # type: ignore[no-untyped-def]
    layout = FrameLayout()
    share_statistics(unet, layout)
    norms = [m for m in copy.deepcopy(unet).modules() if isinstance(m, ClipGroupNorm)]
    assert len({id(norm.layout) for norm in norms}) == 1
    assert norms[0].layout is not layout


def test_other_norms_are_refused(unet) -> None:  # type: ignore[no-untyped-def]
    unet.conv_norm_out = nn.LayerNorm(16)
    with pytest.raises(ValueError, match="LayerNorm"):
        share_statistics(unet, FrameLayout())
