"""Step: code the frames of a movie once.

Takes `frames.npy` of a movie and a Stable Diffusion folder; leaves float16 latents (frames, c, h, w):
the mean of the autoencoder's posterior times its scaling factor, the units the UNet works in.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from boldreel import step
from boldreel.data import arrays, provenance
from boldreel.errors import UserError
from boldreel.generator import base, memory, settings
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
            parts.append(base.encode(vae, pictures).half().cpu().numpy())
            progress.update(len(part))
    return np.concatenate(parts)


def main(argv: list[str] | None = None) -> None:
    """Command line of the step."""
    parser = step.parser(__doc__)
    parser.add_argument("--frames", type=Path, required=True)
    parser.add_argument("--diffusion-model", required=True)
    parser.add_argument("--output", type=Path, required=True)
    args = parser.parse_args(argv)
    started = time.time()
    chosen = settings.read(settings.GeneratorSettings, args.config, "generator")
    folder = base.find_base(args.diffusion_model)
    frames, meta = arrays.load(args.frames, kind="frames")
    vae = base.load_vae(folder)
    with lease() as device:
        latents = memory.halving(
            lambda batch: code_frames(vae, frames, batch, device), chosen.latents_batch, "latents"
        )
    arrays.save(
        args.output,
        latents,
        kind="latents",
        units="scaled latents",
        frame_rate=meta["frame_rate"],
        sources=[str(args.frames)],
    )
    inputs = [args.frames, folder / "vae"]
    provenance.record(args.output, inputs=inputs, config=args.config, started=started)


if __name__ == "__main__":
    step.run(main)
