"""GPU memory of a training step at full size, by fake tensors: real modules and shapes, and no computation.

Takes nothing; prints a row for each training of the presets `mindvideo` and `base`: weights, AdamW and the
moving average, and the largest sum of living activations and gradients. Runs on any machine in a minute or
two. Attention is counted as the kernels that never hold their weights (Dao et al. 2022, arXiv 2205.14135);
layer and group norms in float32, as CUDA's autocast computes them. What the allocator and CUDA itself take
comes on top, about 1 GB.

    PYTHONPATH=workflow/lib python benchmarks/step_memory.py
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from boldreel import presets
from boldreel.generator.cotrain_losses import JointModel
from boldreel.models import published_video_unet as published
from boldreel.models.decoder import Deviations
from boldreel.models.encoder import SpatioTemporalEncoder, SpatioTemporalEncoderConfig
from boldreel.models.video_unet import VideoUNet

FRAMES, SIDE = 6, 32  # of a clip, and of its latents at 256 x 256 pixels
TOKENS, WIDTH = 77, 768  # of a condition
POSITIONS = {
    "mindvideo": 8256,
    "base": 16816,
}  # of cc2017, and of volumes at 3 mm (config/bids.yaml)


class Flash(torch.autograd.Function):
    """What such a kernel keeps: queries, keys, values, the result and a number for each row."""

    @staticmethod
    def forward(ctx: Any, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        out = torch.empty_like(q)
        rows = torch.empty(q.shape[:-1], dtype=torch.float32, device=q.device)
        ctx.save_for_backward(q, k, v, out, rows)
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(torch.empty_like(tensor) for tensor in ctx.saved_tensors[:3])


def attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, *_: Any, **__: Any) -> Any:
    """In place of scaled_dot_product_attention."""
    if torch.is_autocast_enabled("cpu"):
        q, k, v = (tensor.to(torch.bfloat16) for tensor in (q, k, v))
    return Flash.apply(q, k, v)


def in_float32(function: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """A norm as CUDA's autocast computes it; the CPU's leaves bfloat16 as it is."""
    return lambda x, *rest, **more: function(x.float(), *rest, **more)


class Living(TorchDispatchMode):
    """Bytes of tensors that are made while it is on and still live: now, and at most."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self.known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
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
        weakref.finalize(storage, self._gone, key, size)

    def _gone(self, key: int, size: int) -> None:
        self.known.discard(key)
        self.now -= size


def report(
    name: str, build: Callable[[], nn.Module], step: Callable[[Any], torch.Tensor], averaged: bool
) -> None:
    """Print a row of the table; `step` gives the loss of a module. averaged : with a moving average."""
    with FakeTensorMode(allow_non_fake_inputs=True):
        module = build().train()
        tensors = [*module.parameters(), *module.buffers()]
        weights = sum(tensor.nbytes for tensor in tensors)
        trained = sum(p.nbytes for p in module.parameters() if p.requires_grad)
        with Living() as living:
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = step(module)
            loss.backward()
    # AdamW keeps two numbers for each weight; validation holds the weights beside their average
    kept = 2 * trained + (2 * trained if averaged else 0)
    total = weights + kept + living.most
    cells = [weights, kept, living.most, total]
    print(f"| {name} | " + " | ".join(f"{value / 1e9:.1f}" for value in cells) + " |", flush=True)


def network() -> VideoUNet:
    """Stable Diffusion 1.5, inflated and checkpointed as `generator.tune` trains it."""
    found = VideoUNet(UNet2DConditionModel.from_config(dict(published.SIZES)))
    found.train_only(["self", "cross", "temporal"])
    found.enable_gradient_checkpointing()
    return found


def encoder(preset: str, window: int) -> SpatioTemporalEncoder:
    """The encoder of a preset, with gradient checkpointing."""
    sizes = presets.load(preset)["pretrain"]
    named = {key: sizes[key] for key in ("embed_dim", "depth", "num_heads")}
    shapes = {"tokens": TOKENS, "token_width": WIDTH, "image_dim": WIDTH, "text_dim": WIDTH}
    kept = {"num_voxels": POSITIONS[preset], "window": window, "bank": 512, "rank": 128}
    found = SpatioTemporalEncoder(
        SpatioTemporalEncoderConfig(**named, **shapes, **kept, sharpness=20.0)
    )
    found.trunk.gradient_checkpointing = True
    found.logit_scale.requires_grad_(False)
    return found


def noise_loss(predict: Callable[..., torch.Tensor], clips: int) -> torch.Tensor:
    """Clips of all frames, and their middle frames, as `generator.losses.video_loss` asks for them."""
    loss = torch.zeros(())
    for frames in (FRAMES, 1):
        latents = torch.empty(clips, frames, 4, SIDE, SIDE)
        error = predict(latents, torch.zeros(clips, dtype=torch.long)).float() - latents
        shared = error.mean(1, keepdim=True)
        loss = loss + shared.square().mean() + (error - shared).square().mean()
    return loss


def encode(module: SpatioTemporalEncoder, clips: int) -> Any:
    """Encode this many windows; without absent positions no mask is needed."""
    x = torch.empty(clips, module.config.window, module.config.num_voxels)
    tokens = module.trunk.tokens(x)
    heads = (module.image_head, module.text_head, module.condition_head)
    own = Deviations(*(head(tokens) for head in heads), x.new_zeros(clips, 0))
    assert module.readout is not None
    return module.calibration(module._add(module.readout.outputs(x), own))


def compared(encoding: Any) -> torch.Tensor:
    """A loss that needs the gradient of everything that is predicted."""
    return sum((part.float().mean() for part in encoding[:3]), torch.zeros(()))


def of_alignment(module: SpatioTemporalEncoder, clips: int) -> torch.Tensor:
    """A step of `align.train`, in which the linear path is not trained."""
    return compared(encode(module, clips))


def of_cotraining(module: JointModel, clips: int) -> torch.Tensor:
    """A step of `generator.cotrain`."""
    encoding = encode(module.encoder, clips)
    predict = lambda latents, steps: module.generator(latents, steps, encoding.condition)  # noqa: E731
    return noise_loss(predict, clips) + compared(encoding)


def aligning(preset: str, window: int) -> SpatioTemporalEncoder:
    """The encoder as alignment trains it."""
    found = encoder(preset, window)
    assert found.readout is not None
    found.readout.requires_grad_(False)
    return found


def joint(preset: str) -> JointModel:
    """Encoder and generator as co-training has them."""
    return JointModel(encoder(preset, 3), network())


def main() -> None:
    functional.scaled_dot_product_attention = attention
    functional.layer_norm = in_float32(functional.layer_norm)
    functional.group_norm = in_float32(functional.group_norm)
    print("| step | weights, GB | AdamW, average | activations, gradients | in all |")
    print("|---|---|---|---|---|")
    for preset in ("base", "mindvideo"):
        batch = presets.load(preset)
        for window in (2, 3):
            clips = batch["align"]["batch_size"]
            report(
                f"align, {preset}, window {window}, {clips} clips at a time",
                partial(aligning, preset, window),
                partial(of_alignment, clips=clips),
                False,
            )
        clips = batch["cotrain"]["batch_size"]
        report(
            f"co-training, {preset}, window 3, {clips} clips",
            partial(joint, preset),
            partial(of_cotraining, clips=clips),
            True,
        )
    clips = presets.load("base")["generator"]["batch_size"]
    condition = (clips, TOKENS, WIDTH)
    report(
        f"generator, {clips} clips",
        network,
        lambda module: noise_loss(lambda x, t: module(x, t, torch.empty(condition)), clips),
        True,
    )


if __name__ == "__main__":
    main()
