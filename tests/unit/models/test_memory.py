"""Memory of a training step of the encoder: the formula against what living tensors take."""

from __future__ import annotations

import weakref
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from boldreel import presets
from boldreel.align.objective import contrast
from boldreel.models.encoder import SpatioTemporalEncoder, SpatioTemporalEncoderConfig
from boldreel.models.memory import StepMemory

SMALL: dict[str, Any] = {"num_voxels": 256, "window": 2, "tokens": 7, "token_width": 12}
SMALL |= {"image_dim": 10, "text_dim": 10, "bank": 3, "rank": 4, "patch_size": 4}
SMALL |= {"embed_dim": 32, "depth": 6, "num_heads": 2, "sharpness": 0.0}


class Peak(TorchDispatchMode):
    """Bytes of all tensors that are made while it is on and still live: now, and at most."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self.known: set[int] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, torch.Tensor):
                self._see(tensor.untyped_storage())
        return out

    def _see(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self.known:
            return
        self.known.add(key)
        self.now += size
        self.most = max(self.most, self.now)

        def gone() -> None:
            self.known.discard(key)
            self.now -= size

        weakref.finalize(storage, gone)


def _step(encoder: SpatioTemporalEncoder, x: torch.Tensor, half: bool) -> torch.Tensor:
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        own = encoder(x).deviations
    return sum((part.float().square().mean() for part in own[:3]), torch.zeros(()))


def _encoder(**more: Any) -> SpatioTemporalEncoder:
    torch.manual_seed(0)
    encoder = SpatioTemporalEncoder(SpatioTemporalEncoderConfig(**{**SMALL, **more}))
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    assert encoder.readout is not None
    encoder.readout.requires_grad_(False)
    return encoder.train()


def _peak(encoder: SpatioTemporalEncoder, clips: int, half: bool) -> int:
    x = torch.randn(clips, 2, 256)
    with Peak() as seen:
        loss = _step(encoder, x, half)
        loss.backward()
    return seen.most


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("at_a_time", [16, 4])
def test_formula(checkpointing: bool, at_a_time: int, half: bool) -> None:
    encoder = _encoder()
    encoder.trunk.gradient_checkpointing = checkpointing
    encoder.at_a_time = at_a_time
    needs = StepMemory(encoder.config, 2 if half else 4, checkpointing)
    grown = _peak(encoder, 16, half)
    trained = sum(p.numel() for p in encoder.parameters() if p.requires_grad)
    # of what stands, the step itself makes gradients and autocast's copies of the weights
    counted = needs.total(16, at_a_time, 0, 0) + trained * (4 + needs.compute * half)
    assert 0.7 < grown / counted < 1, (grown, counted)


def _needs(preset: str, voxels: int, window: int, checkpointing: bool) -> tuple[StepMemory, int]:
    """A preset's alignment of so many positions, and how many of its parameters are trained."""
    sizes = presets.load(preset)["pretrain"]
    named = {key: sizes[key] for key in ("embed_dim", "depth", "num_heads")}
    full = {"tokens": 77, "token_width": 768, "image_dim": 768, "text_dim": 768, "rank": 128}
    config = SpatioTemporalEncoderConfig(
        **{**SMALL, **named, "num_voxels": voxels, "window": window, "patch_size": 16, **full}
    )
    return StepMemory(config, 2, checkpointing)


@pytest.mark.parametrize(
    ("preset", "voxels", "window", "before"),
    [
        ("mindvideo", 8256, 2, 67),
        ("mindvideo", 8256, 3, 99),
        ("base", 16816, 2, None),
        ("base", 16816, 3, 31),
    ],
)
def test_the_whole_batch_fits_a_card_of_24_gb(
    preset: str, voxels: int, window: int, before: float | None
) -> None:
    """cc2017 (8,256 positions) and config/bids.yaml (16,816), with the batch of the preset.

    before : GB that fake tensors of the real sizes took, with all clips at a time and nothing recomputed
    """
    batch = presets.load(preset)["align"]["batch_size"]
    assert presets.load(preset)["align"]["gradient_checkpointing"]
    needs = _needs(preset, voxels, window, checkpointing=True)
    with torch.device("meta"):
        encoder = SpatioTemporalEncoder(needs.config)
    trained = sum(p.numel() for p in encoder.parameters())
    free = 23.5e9  # what a card of 24 GB has beside the driver's own
    found = needs.fitting(batch, free, trained, 0)
    assert needs.total(batch, found, trained, 0) < 0.9 * free
    assert found >= 4, "not so few that the card has nothing to do"
    plain = _needs(preset, voxels, window, checkpointing=False)
    if before is not None:
        assert plain.total(batch, batch, trained, 0) / 1e9 == pytest.approx(before, rel=0.15)
    assert needs.fitting(batch, 2 * needs.standing(trained, 0), trained, 0) <= found
    assert needs.fitting(batch, 0, trained, 0) == 1


@pytest.mark.parametrize("at_a_time", [1, 3])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_gradients_are_those_of_the_whole_batch(checkpointing: bool, at_a_time: int) -> None:
    """Of a contrast, in which every clip meets every other; one clip lacks some positions."""
    encoder, x = _encoder(), torch.randn(7, 2, 256)
    groups, target = torch.tensor([0, 1, 1, 2, 3, 4, 5]), torch.eye(10)[:7]
    present = torch.ones(7, 256, dtype=torch.bool)
    present[4, :128] = False
    seen: list[int] = []
    encoder.trunk.patch_embed.register_forward_hook(
        lambda _, given, out: seen.append(len(given[0]))
    )

    def gradients() -> dict[str, torch.Tensor]:
        encoder.zero_grad()
        own = encoder(x, present).deviations
        scale = encoder.logit_scale.exp()
        loss = contrast(torch.nn.functional.normalize(own.image, dim=1), target, scale, groups)
        (loss + own.condition.square().mean() + own.text.square().mean()).backward()
        return {n: p.grad.clone() for n, p in encoder.named_parameters() if p.grad is not None}

    whole = gradients()
    assert seen == [14], "7 clips of 2 volumes at once"
    seen.clear()
    encoder.at_a_time, encoder.trunk.gradient_checkpointing = at_a_time, checkpointing
    parts = gradients()
    assert max(seen) == 2 * at_a_time
    assert whole.keys() == parts.keys()
    for name, gradient in whole.items():
        assert gradient.abs().sum() > 0, name
        torch.testing.assert_close(parts[name], gradient, rtol=1e-4, atol=1e-6, msg=name)
