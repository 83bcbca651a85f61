"""The packed network: packing, what each task sees, and drawing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from diffusers import DPMSolverMultistepScheduler, UNet2DConditionModel

from boldreel.base_models import video
from boldreel.errors import UserError
from boldreel.models.packed_loss import Batch, draw, packed_loss
from boldreel.models.packed_video import PackedVideo, Packing, balance

FRAMES, CHANNELS, SIDE, TOKENS, WIDTH = 4, 3, 4, 2, 8


def image_network() -> UNet2DConditionModel:
    torch.manual_seed(0)
    return UNet2DConditionModel(
        sample_size=SIDE,
        in_channels=CHANNELS,
        out_channels=CHANNELS,
        down_block_types=("CrossAttnDownBlock2D",),
        up_block_types=("CrossAttnUpBlock2D",),
        mid_block_type=None,
        block_out_channels=(8,),
        layers_per_block=1,
        cross_attention_dim=WIDTH,
        attention_head_dim=2,
        norm_num_groups=4,
    )


@pytest.fixture
def made() -> tuple[PackedVideo, torch.Tensor, torch.Tensor]:
    """(network, latents of clips, their sketches)."""
    rng = np.random.default_rng(0)
    n = 30
    latents = rng.normal(size=(n, FRAMES, CHANNELS, SIDE, SIDE)).astype(np.float32)
    meaning = tuple(
        rng.normal(size=shape).astype(np.float32) for shape in ((n, TOKENS, WIDTH), (n, 5), (n, 5))
    )
    motion = rng.normal(size=(n, 6)).astype(np.float32)
    sketch = rng.random((n, 4, 8, 8)).astype(np.float32)
    network = PackedVideo.widen(image_network(), latents, meaning, motion, sketch, 4)
    return network.eval(), torch.from_numpy(latents), torch.from_numpy(sketch)


def scheduler() -> DPMSolverMultistepScheduler:
    return DPMSolverMultistepScheduler(prediction_type="v_prediction", timestep_spacing="trailing")


def test_packing_is_undone_where_components_suffice() -> None:
    rng = np.random.default_rng(0)
    clips = rng.normal(size=(20, FRAMES, CHANNELS, SIDE, SIDE)).astype(np.float32)
    full = Packing.of(clips, CHANNELS * (FRAMES - 1), 1.0)
    packed = full.pack(torch.from_numpy(clips))
    assert packed.shape == (20, CHANNELS * FRAMES, SIDE, SIDE)
    np.testing.assert_allclose(full.unpack(packed).numpy(), clips, atol=1e-4)
    motion = packed[:, CHANNELS:].permute(0, 2, 3, 1).flatten(0, 2)
    np.testing.assert_allclose(np.cov(motion.numpy().T, ddof=0), np.eye(9), atol=1e-3)
    few = Packing.of(clips, 2)
    kept = few.unpack(few.pack(torch.from_numpy(clips)))
    assert torch.equal(kept[:, FRAMES // 2], torch.from_numpy(clips[:, FRAMES // 2]))


def test_parts_are_balanced() -> None:
    values = np.random.default_rng(0).normal(size=(2_000, 5)) * [9, 9, 9, 1, 1]
    units = balance((3, 2), values)
    assert (values / units)[:, :3].var(0).sum() == pytest.approx(1)
    assert (values / units)[:, 3:].var(0).sum() == pytest.approx(1)


def test_content_is_drawn_without_a_look_at_motion_and_motion_with_one_at_content(made) -> None:  # type: ignore[no-untyped-def]
    network, latents, _ = made
    with torch.no_grad():
        for parameter in network.unet.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
        packed = network.packing.pack(latents[:2])
        known = torch.zeros(2, 2, sum(network.config.components))
        other = packed.clone()
        other[:, CHANNELS:] += 1
        flags = torch.zeros(2, dtype=torch.bool)
        assert torch.equal(network(packed, flags, 10, known), network(other, flags, 10, known))
        moving = ~flags
        assert not torch.allclose(
            network(packed, moving, 10, known), network(other, moving, 10, known)
        )
        told = known.clone()
        told[:, :, network.known[1]] = 1  # what is known of motion alone changes what is predicted
        assert not torch.allclose(
            network(packed, moving, 10, known), network(packed, moving, 10, told)
        )


def test_gradients_reach_everything_that_is_added(made) -> None:  # type: ignore[no-untyped-def]
    network, latents, sketch = made
    with torch.no_grad():
        for parameter in network.unet.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    known = torch.rand(8, 2, sum(network.config.components))
    signal = scheduler().alphas_cumprod
    batch = Batch.of(latents[:8], known, sketch[:8])
    loss = packed_loss(network, network.packing, signal, batch, torch.Generator().manual_seed(0))
    assert loss.shape == (8,) and torch.isfinite(loss).all()
    loss.mean().backward()
    added = dict(network.named_parameters())
    for name in ("unet.conv_in.weight", "unet.class_embedding.weight", "tokens.motion.0.weight"):
        assert added[name].grad.abs().sum() > 0, name


def test_rows_of_a_batch_are_those_of_the_whole(made) -> None:  # type: ignore[no-untyped-def]
    network, latents, sketch = made
    known = torch.rand(8, 2, sum(network.config.components))
    signal = scheduler().alphas_cumprod

    def loss(rows: slice) -> torch.Tensor:
        part = Batch.of(latents[:8][rows], known[rows], sketch[:8][rows])
        generator = torch.Generator().manual_seed(3)
        return packed_loss(network, network.packing, signal, part, generator, 5.0, rows, 8)

    with torch.no_grad():
        together = torch.cat([loss(slice(0, 4)), loss(slice(4, 8))])
        torch.testing.assert_close(together, loss(slice(0, 8)), rtol=1e-4, atol=1e-5)


def test_a_clip_comes_out_the_same_in_any_batch(made) -> None:  # type: ignore[no-untyped-def]
    network, *_ = made
    known = torch.rand(3, 2, sum(network.config.components))

    def drawn(rows: list[int]) -> torch.Tensor:
        generators = [torch.Generator().manual_seed(k) for k in rows]
        how = {"steps": 3, "guidance": 2.0, "guided_share": 0.6}
        return draw(network, scheduler(), known[rows], generators, size=(SIDE, SIDE), **how)

    whole = drawn([0, 1, 2])
    assert whole.shape == (3, FRAMES, CHANNELS, SIDE, SIDE)
    torch.testing.assert_close(drawn([1]), whole[1:2], rtol=1e-3, atol=1e-4)


def test_a_folder_holds_the_network(made, tmp_path) -> None:  # type: ignore[no-untyped-def]
    network, latents, _ = made
    video.save(network, tmp_path / "prior", {})
    again = video.read(tmp_path / "prior")
    known = torch.rand(2, 2, sum(network.config.components))
    packed = network.packing.pack(latents[:2])
    flags = torch.tensor([True, False])
    with torch.no_grad():
        found = (one(packed, flags, 5, known) for one in (again, network))
        torch.testing.assert_close(*found, rtol=1e-4, atol=1e-5)
    assert video.find_prior(tmp_path / "prior") == tmp_path / "prior"
    (tmp_path / "prior" / video.TENSORS).write_bytes(b"none")
    with pytest.raises(UserError, match="unreadable weights"):
        video.read(tmp_path / "prior")


def test_drawing_in_bfloat16_is_near_float32(made) -> None:  # type: ignore[no-untyped-def]
    """The network rounds its input; what is known and the packing stay in float32."""
    from boldreel.generator.backbones import Packed, Sampling
    from boldreel.generator.saving import ClipShape

    network, *_ = made
    known = torch.rand(2, 2, sum(network.config.components))
    backbone = Packed(network, ClipShape(FRAMES, 3.0, SIDE, SIDE))
    drawn = []
    for kind in (torch.float32, torch.bfloat16):
        backbone.place(torch.device("cpu"), kind)
        generators = [torch.Generator().manual_seed(k) for k in range(2)]
        drawn.append(backbone.draw(scheduler(), known, generators, Sampling(2, 2.0, 0.5)))
    assert drawn[1].dtype == torch.float32
    assert float((drawn[0] - drawn[1]).abs().mean()) < 0.1 * float(drawn[0].std())


def test_a_scheduler_that_adds_noise_draws_it_from_the_clips_generator(made) -> None:  # type: ignore[no-untyped-def]
    from diffusers import EulerAncestralDiscreteScheduler

    network, *_ = made
    known = torch.rand(2, 2, sum(network.config.components))
    euler = EulerAncestralDiscreteScheduler(prediction_type="v_prediction")

    def once() -> torch.Tensor:
        generators = [torch.Generator().manual_seed(k) for k in range(2)]
        return draw(network, euler, known, generators, size=(SIDE, SIDE), steps=3)

    assert torch.equal(once(), once())
