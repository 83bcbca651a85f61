"""Step: code the frames of movies once.

Reads `frames.npy` of each movie or batch of movies and a Stable Diffusion folder; writes for each float16
latents (frames, c, h, w): the mean of the autoencoder's posterior times its scaling factor, the units the
UNet works in.
"""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from boldreel import step
from boldreel.base_models import diffusion
from boldreel.data import arrays, provenance
from boldreel.errors import UserError
from boldreel.generator import batch_size
from boldreel.generator.settings import LatentsSettings
from boldreel.settings import read
from boldreel.training.device import lease
from boldreel.training.progress import Progress


def code_frames(vae: Any, frames: np.ndarray, batch: int, device: torch.device) -> np.ndarray:
    """float16 latents (n, c, h, w) of uint8 frames (n, height, width, 3).

    Raises
    ------
    UserError : the frames' sides are no multiple of the autoencoder's factor.
    """
    factor = 2 ** (len(vae.config.block_out_channels) - 1)
    if frames.shape[1] % factor or frames.shape[2] % factor:
        raise UserError(
            f"frames of {frames.shape[2]} x {frames.shape[1]} pixels: the autoencoder needs "
            f"multiples of {factor} (stimuli.size)"
        )
    vae = vae.to(device, memory_format=torch.channels_last)
    progress = Progress(len(frames), "latents", unit="frames")
    parts = []
    with torch.inference_mode():
        for start in range(0, len(frames), batch):
            part = torch.from_numpy(np.array(frames[start : start + batch])).to(device)
            pictures = part.permute(0, 3, 1, 2).float() / 127.5 - 1
            parts.append(diffusion.encode(vae, pictures).half().cpu().numpy())
            progress.update(len(part))
    return np.concatenate(parts)


def main(argv: list[str] | None = None) -> None:
    """Command line of the step."""
    parser = step.parser(__doc__)
    parser.add_argument("--frames", type=Path, nargs="+", required=True)
    parser.add_argument("--diffusion-model", required=True)
    parser.add_argument(
        "--output", type=Path, nargs="+", required=True, help="one for each --frames"
    )
    args = parser.parse_args(argv)
    if len(args.output) != len(args.frames):
        raise UserError(f"--output: {len(args.output)} files for {len(args.frames)} of --frames")
    started = time.time()
    settings = read(LatentsSettings, args.config, "generator")
    folder = diffusion.find_base(args.diffusion_model)
    vae = diffusion.load_vae(folder)
    with lease() as device:
        for source, target in zip(args.frames, args.output, strict=True):
            frames, meta = arrays.load(source, kind="frames")
            attempt = partial(code_frames, vae, frames, device=device)
            latents = batch_size.with_smaller_batches(attempt, settings.latents_batch, "latents")
            arrays.save(
                target,
                latents,
                kind="latents",
                units="scaled latents",
                frame_rate=meta["frame_rate"],
                sources=[str(source)],
                **{key: meta[key] for key in ("movies",) if key in meta},
            )
            inputs = [source, folder / "vae"]
            provenance.record(target, inputs=inputs, config=args.config, started=started)


if __name__ == "__main__":
    step.run(main)
