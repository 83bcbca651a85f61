"""Seconds for each clip: boldreel's sampling beside the published loop, on a network of the same size.

*published* is a plain implementation: 200 steps of PNDM, two passes a step, one clip at a time, keys and
values of self-attention computed anew for each frame that reads them and those of the condition for each
frame at each step. Then what each change saves: the same loop and steps in boldreel; a multistep solver
at 25 steps; boldreel's defaults (single frames at high noise, guidance in the first 60 % of the steps).
Before anything is timed, the plain loop and boldreel's must give the same latents. Each row runs in a
process of its own, whose peak of memory is told.

    OMP_NUM_THREADS=2 .venv/bin/python benchmarks/sampling.py
    .venv/bin/python benchmarks/sampling.py --size sd15 --batch 1 4 8    # on a GPU: bf16, random weights
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

BASE = Path(__file__).parents[1] / "resources" / "insilico" / "diffusion"
VARIANTS = ("published", "published, in boldreel", "25 steps", "default")
FRAMES, GUIDANCE, PUBLISHED_STEPS, STEPS = 6, 12.5, 200, 25
PUBLISHED_SCHEDULER = {"skip_prk_steps": True, "steps_offset": 1}


class PlainSelf:
    """Each frame's queries, with keys and values computed of the frames that it reads."""

    def __call__(self, attn: Any, hidden_states: Tensor, **_: Any) -> Tensor:
        clip = hidden_states.unflatten(0, (-1, FRAMES))
        outputs = []
        for i in range(FRAMES):
            read = torch.cat((clip[:, max(i - 2, 0)], clip[:, max(i - 1, 0)]), dim=1)
            parts = attn.to_q(clip[:, i]), attn.to_k(read), attn.to_v(read)
            heads = [part.unflatten(-1, (attn.heads, -1)).transpose(1, 2) for part in parts]
            seen = F.scaled_dot_product_attention(*heads)
            outputs.append(seen.transpose(1, 2).flatten(2))
        return attn.to_out[1](attn.to_out[0](torch.stack(outputs, 1).flatten(0, 1)))


class PlainCross:
    """The condition once for each frame."""

    def __call__(
        self, attn: Any, hidden_states: Tensor, encoder_hidden_states: Tensor, **_: Any
    ) -> Tensor:
        repeated = encoder_hidden_states.repeat_interleave(FRAMES, 0)
        parts = attn.to_q(hidden_states), attn.to_k(repeated), attn.to_v(repeated)
        heads = [part.unflatten(-1, (attn.heads, -1)).transpose(1, 2) for part in parts]
        seen = F.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2)
        return attn.to_out[1](attn.to_out[0](seen))


def network(size: str, variant: str, device: torch.device) -> Any:
    """An inflated network of this size."""
    from diffusers import UNet2DConditionModel

    from boldreel.base_models import diffusion
    from boldreel.models import published_video_unet as published
    from boldreel.models.video_unet import Inflation, VideoUNet

    torch.manual_seed(0)
    unet = diffusion.load_unet(BASE) if size == "demo" else UNet2DConditionModel(**published.SIZES)
    default = Inflation(noise_correlation=1.0, image_above=400)
    made = VideoUNet(unet, default if variant == "default" else Inflation.published()).eval()
    if variant == "published":
        for block in made.blocks:
            block.attn1.set_processor(PlainSelf())
            block.attn2.set_processor(PlainCross())
    return made.to(device, torch.bfloat16 if device.type == "cuda" else torch.float32)


def material(
    size: str, unet: Any, clips: int, device: torch.device
) -> tuple[Tensor, Tensor, tuple]:
    """Conditions (clips, length, width), the negative (length, width), and the latents' side."""
    torch.manual_seed(1)
    length, side = (77, 32) if size == "sd15" else (16, unet.config.sample_size)
    conditions = torch.randn(clips + 1, length, unet.config.cross_attention_dim, device=device)
    return conditions[1:], conditions[0], (side, side)


@torch.inference_mode()
def plain(made: Any, scheduler: Any, noise: Tensor, condition: Tensor, negative: Tensor) -> Tensor:
    """The published loop for one clip: noise (1, frames, c, h, w), steps already set."""
    latents = noise * scheduler.init_noise_sigma
    for timestep in scheduler.timesteps:
        scaled = scheduler.scale_model_input(latents, timestep)
        without = made(scaled, timestep, negative)
        with_it = made(scaled, timestep, condition)
        guided = without + GUIDANCE * (with_it - without)
        latents = scheduler.step(guided, timestep, latents, return_dict=False)[0]
    return latents


def draw(variant: str, size: str, clips: int, batch: int, steps: int | None = None) -> list[Tensor]:
    """Latents of the clips, and the seconds that drawing them took as the last entry."""
    from boldreel.base_models import diffusion
    from boldreel.generator import sampling
    from boldreel.generator.noise import clip_noise

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    made = network(size, variant, device)
    conditions, negative, side = material(size, made.unet, clips, device)
    generators = [sampling.clip_generator(0, str(k)) for k in range(clips)]
    as_published = variant.startswith("published")
    name, options = ("PNDM", PUBLISHED_SCHEDULER) if as_published else ("DPMSolverMultistep", {})
    scheduler = diffusion.load_scheduler(BASE, name, options)
    steps = steps or (PUBLISHED_STEPS if as_published else STEPS)
    drawn = []
    started = time.perf_counter()
    for low in range(0, clips, 1 if variant == "published" else batch):
        if variant == "published":
            scheduler.set_timesteps(steps, device=device)
            shape = (FRAMES, made.unet.config.in_channels, *side)
            noise = clip_noise(shape, 0.0, generators[low])[None].to(device)
            drawn.append(plain(made, scheduler, noise, conditions[low : low + 1], negative[None]))
            continue
        drawn.append(
            sampling.sample(
                made,
                scheduler,
                conditions[low : low + batch],
                negative,
                generators[low : low + batch],
                frames=FRAMES,
                size=side,
                steps=steps,
                guidance=GUIDANCE,
                guided_share=0.6 if variant == "default" else 1.0,
            )
        )
    if device.type == "cuda":
        torch.cuda.synchronize()
    return [torch.cat(drawn).cpu(), torch.tensor(time.perf_counter() - started)]


def agree(size: str, batch: int) -> float:
    """Largest difference of the plain loop's and boldreel's latents after 5 steps, over their size."""
    first, second = (draw(variant, size, 2, batch, 5)[0] for variant in VARIANTS[:2])
    return float((first - second).abs().max() / first.abs().max())


def one(variant: str, size: str, clips: int, batch: int) -> None:
    """Times a row and prints it as JSON."""
    draw(variant, size, min(clips, batch), batch, 2)  # warm
    seconds = float(draw(variant, size, clips, batch)[1]) / clips
    if torch.cuda.is_available():
        peak = torch.cuda.max_memory_allocated() / 1e6
    else:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(json.dumps({"seconds": seconds, "peak_mb": peak}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=["demo", "sd15"], default="demo")
    parser.add_argument("--clips", type=int, default=8)
    parser.add_argument("--batch", type=int, nargs="+", default=[8])
    parser.add_argument("--only", choices=VARIANTS, help="one row, as JSON")
    args = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    if args.only:
        one(args.only, args.size, args.clips, args.batch[0])
        return
    apart = agree(args.size, args.batch[0])
    allowed = 0.05 if torch.cuda.is_available() else 1e-3
    if apart > allowed:
        sys.exit(f"the plain loop and boldreel's differ by {apart:.2g} of the latents' size")
    print("| | clips at once | s/clip | clips/min | times published | peak (MB) |")
    print("|---|---|---|---|---|---|")
    first = 0.0
    for variant in VARIANTS:
        for batch in [1] if variant == "published" else args.batch:
            command = [sys.executable, __file__, "--only", variant, "--size", args.size]
            command += ["--clips", str(max(args.clips, batch)), "--batch", str(batch)]
            answer = subprocess.run(command, capture_output=True, text=True, check=True)
            row = json.loads(answer.stdout.splitlines()[-1])
            first = first or row["seconds"]
            print(
                f"| {variant} | {batch} | {row['seconds']:.3f} | {60 / row['seconds']:.1f} "
                f"| {first / row['seconds']:.1f} | {row['peak_mb']:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
