"""Attention across frames against plain formulas and against reference arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.attention_processor import Attention

from boldreel.models.video_attention import (
    MODES,
    ClipCrossProcessor,
    FrameLayout,
    SparseCausalProcessor,
    add_temporal_layer,
    frame_positions,
    frames_read,
)

CONFORMANCE = Path(__file__).parents[4] / "shared" / "conformance"
needs_arrays = pytest.mark.skipif(
    not CONFORMANCE.is_dir(), reason="no folder of reference arrays next to the repository"
)


def _attention(**options) -> Attention:
    torch.manual_seed(1)
    return Attention(query_dim=32, heads=4, dim_head=8, **options)


def test_frames_read_as_published() -> None:
    assert frames_read("previous-two", 4).tolist() == [[0, 0], [0, 0], [0, 1], [1, 2]]
    assert frames_read("first-previous", 4).tolist() == [[0, 0], [0, 0], [0, 1], [0, 2]]
    assert frames_read("own-previous", 3).tolist() == [[0, 0], [0, 1], [1, 2]]
    assert frames_read("own", 3).tolist() == [[0], [1], [2]]
    assert frames_read("full", 2).tolist() == [[0, 1], [0, 1]]


@pytest.mark.parametrize("wrong", [("sideways", 3), ("own", 0)])
def test_frames_read_refuses(wrong: tuple[str, int]) -> None:
    with pytest.raises(ValueError, match=r"mode|frame"):
        frames_read(*wrong)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("frames", [1, 2, 5])
def test_equals_naive_attention(mode: str, frames: int) -> None:
    attn, layout = _attention(), FrameLayout(frames)
    attn.set_processor(SparseCausalProcessor(layout, mode))
    x = torch.randn(2 * frames, 9, 32)
    expected = torch.zeros_like(x)
    for clip in range(2):
        for i in range(frames):
            keys = torch.cat([x[clip * frames + j] for j in frames_read(mode, frames)[i]])
            row = clip * frames + i
            q, k, v = attn.to_q(x[row]), attn.to_k(keys), attn.to_v(keys)
            heads = []
            for h in range(4):
                part = slice(8 * h, 8 * h + 8)
                weights = (q[:, part] @ k[:, part].T / 8**0.5).softmax(-1)
                heads.append(weights @ v[:, part])
            expected[row] = attn.to_out[0](torch.cat(heads, dim=-1))
    assert torch.allclose(attn(x), expected, atol=1e-5)


@pytest.mark.parametrize("mode", MODES)
def test_reads_exactly_the_frames_it_names(mode: str) -> None:
    frames = 5
    attn = _attention()
    attn.set_processor(SparseCausalProcessor(FrameLayout(frames), mode))
    x = torch.randn(frames, 3, 32, requires_grad=True)
    named = frames_read(mode, frames)
    for i in range(frames):
        (gradient,) = torch.autograd.grad(attn(x)[i].square().sum(), x)
        touched = {j for j in range(frames) if gradient[j].abs().sum() > 0}
        # the query itself always comes from the own frame
        assert touched == {*named[i].tolist(), i}
        key_only = x.detach().clone()
        others = [j for j in range(frames) if j not in touched]
        key_only[others] += 1
        assert torch.equal(attn(key_only)[i], attn(x.detach())[i])


def test_cross_attention_equals_the_repeated_condition() -> None:
    torch.manual_seed(2)
    attn, layout = _attention(cross_attention_dim=12), FrameLayout(3)
    x, condition = torch.randn(6, 9, 32), torch.randn(2, 7, 12)
    expected = attn(x, encoder_hidden_states=condition.repeat_interleave(3, dim=0))
    attn.set_processor(ClipCrossProcessor(layout))
    assert torch.allclose(attn(x, encoder_hidden_states=condition), expected, atol=1e-6)
    layout.keep_condition = True
    attn(x, encoder_hidden_states=condition)
    kept = attn(x, encoder_hidden_states=torch.zeros_like(condition))
    assert torch.allclose(kept, expected, atol=1e-6)


@pytest.mark.parametrize("before", [0, 1, 3])
def test_frames_before_a_clip_leave_its_numbers_alone(before: int) -> None:
    assert torch.equal(frame_positions(before + 6, 8, before)[before:], frame_positions(6, 8))


def test_frame_positions_differ() -> None:
    code = frame_positions(16, 32)
    assert code.shape == (16, 32)
    assert torch.equal(code[8], frame_positions(1, 32)[0])
    assert torch.cdist(code, code).add(torch.eye(16) * 9).min() > 0.5


@needs_arrays
@pytest.mark.parametrize(
    ("mode", "output", "frames", "rows"),
    [
        ("previous-two", "out_mindvideo", 6, 12),
        ("first-previous", "out_tuneavideo", 6, 12),
        ("previous-two", "out_mindvideo_f2", 2, 4),
    ],
)
def test_b1_reference_arrays(mode: str, output: str, frames: int, rows: int) -> None:
    from safetensors.torch import load_file

    arrays = np.load(CONFORMANCE / "b1_sparse_causal_attention.npz")
    attn = _attention(bias=False)
    attn.load_state_dict(load_file(CONFORMANCE / "b1_sparse_causal_attention_weights.safetensors"))
    attn.set_processor(SparseCausalProcessor(FrameLayout(frames), mode))
    x = torch.from_numpy(arrays["hidden_states"][:rows])
    with torch.no_grad():
        assert np.abs(attn(x).numpy() - arrays[output]).max() < 2e-5


@needs_arrays
def test_b3_reference_arrays() -> None:
    from safetensors.torch import load_file

    arrays = np.load(CONFORMANCE / "b3_transformer_block.npz")
    layout = FrameLayout(6)
    block = BasicTransformerBlock(32, 4, 8, cross_attention_dim=12)
    block.attn1.set_processor(SparseCausalProcessor(layout, "previous-two"))
    add_temporal_layer(block, layout, "none")
    block.load_state_dict(load_file(CONFORMANCE / "b3_transformer_block_weights.safetensors"))
    x, condition = (
        torch.from_numpy(arrays[key]) for key in ("hidden_states", "encoder_hidden_states")
    )
    with torch.no_grad():
        out = block(x, encoder_hidden_states=condition).numpy()
    assert np.abs(out - arrays["out"]).max() < 2e-5
