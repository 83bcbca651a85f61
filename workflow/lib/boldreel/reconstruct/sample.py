"""Step: reconstruct the video of test clips.

Takes a generator folder and either a subject's encoder with windows and series, or the features of the
test movies (--true-features, the upper bound); leaves `frames.npy` (clips, frames, height, width, 3)
and `video/{clip}.mp4` for one shard of the clips. A clip's frames depend on (seed, clip, condition)
alone. Finished clips are kept in --state until the shard is complete, so a stopped job goes on.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from boldreel import step
from boldreel.data import arrays, atomic, provenance, video
from boldreel.data.responses import series_files
from boldreel.errors import UserError
from boldreel.generator import base, memory, sampling, saving
from boldreel.reconstruct import conditions
from boldreel.reconstruct.partial import PartialClips
from boldreel.reconstruct.settings import ReconstructSettings
from boldreel.section import read
from boldreel.training import precision
from boldreel.training.device import lease
from boldreel.training.loop import set_threads
from boldreel.training.progress import Progress
from boldreel.training.state import State

Draw = Callable[[list[str], np.ndarray], np.ndarray]


def sampler(
    generator: Path, folder: Path, chosen: ReconstructSettings, device: torch.device
) -> Draw:
    """A function from clip names and conditions (n, length, width) to uint8 frames (n, F, h, w, 3)."""
    kind = precision.dtype(chosen.mixed_precision, device)
    network = saving.from_pretrained(generator, folder).to(device, kind)
    network.unet.to(memory_format=torch.channels_last)
    vae = base.load_vae(folder).to(device, kind, memory_format=torch.channels_last)
    negative = torch.from_numpy(saving.load_negative(generator)).to(device)
    shape = saving.load_shape(generator)
    scheduler = base.load_scheduler(folder, chosen.scheduler, chosen.scheduler_options)

    def draw(clips: list[str], condition: np.ndarray) -> np.ndarray:
        if condition.shape[1:] != tuple(negative.shape):
            raise UserError(
                f"conditions of shape {condition.shape[1:]}, but {generator} takes "
                f"{tuple(negative.shape)}; use features or an encoder of the same diffusion model"
            )
        latents = sampling.sample(
            network,
            scheduler,
            torch.from_numpy(condition).to(device),
            negative,
            [sampling.clip_generator(chosen.seed, clip) for clip in clips],
            frames=shape.frames,
            size=(shape.height, shape.width),
            steps=chosen.steps,
            guidance=chosen.guidance,
            guided_share=chosen.guided_share,
        )
        if not torch.isfinite(latents).all():
            raise UserError(
                f"samples of clip {clips[0]} and others are not finite; lower reconstruct.guidance "
                "or take more steps"
            )
        return sampling.to_pixels(vae, latents)

    return draw


def draw_all(
    clips: list[str], condition: np.ndarray, draw: Draw, kept: PartialClips, batch: int
) -> np.ndarray:
    """uint8 frames (clips, F, h, w, 3) of all clips; those that are kept are not drawn again."""
    done: dict[int, np.ndarray] = {}
    for i, clip in enumerate(clips):
        frames = kept.get(clip, condition[i])
        if frames is not None:
            done[i] = frames
    progress = Progress(len(clips), "reconstruction", unit="clips", done=len(done))
    waiting = [i for i in range(len(clips)) if i not in done]

    def attempt(size: int) -> tuple[list[int], np.ndarray]:
        rows = waiting[:size]
        return rows, draw([clips[i] for i in rows], condition[rows])

    while waiting:
        rows, drawn = memory.halving(attempt, min(batch, len(waiting)), "reconstruction")
        batch = len(rows)
        for i, frames in zip(rows, drawn, strict=True):
            kept.put(clips[i], condition[i], frames)
            done[i] = frames
        del waiting[:batch]
        progress.update(batch)
    return np.stack([done[i] for i in range(len(clips))])


def write_shard(
    output: Path,
    clips: list[str],
    frames: np.ndarray,
    frame_rate: float,
    chosen: ReconstructSettings,
    inputs: list[Path],
    started: float,
) -> None:
    """Writes the shard's folder in one step."""
    with atomic.folder(output) as aside:
        arrays.save(
            aside / "frames.npy",
            frames,
            kind="reconstruction",
            clips=clips,
            frame_rate=frame_rate,
            seed=chosen.seed,
            steps=chosen.steps,
            guidance=chosen.guidance,
            scheduler=chosen.scheduler,
        )
        for clip, pictures in zip(clips, frames, strict=True):
            video.write_mp4(aside / "video" / f"{clip}.mp4", pictures, frame_rate)
        provenance.record(
            aside, inputs=inputs, config=vars(chosen), seed=chosen.seed, started=started
        )


def main(argv: list[str] | None = None) -> None:
    """Command line of the step."""
    parser = step.parser(__doc__)
    parser.add_argument("--generator", type=Path, required=True)
    parser.add_argument("--diffusion-model", required=True)
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--encoder", type=Path)
    parser.add_argument("--windows", type=Path)
    parser.add_argument("--series-dir", type=Path)
    parser.add_argument("--true-features", type=Path, nargs="+")
    parser.add_argument("--shard", type=int, default=0)
    parser.add_argument("--shards", type=int, default=1)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--state", type=Path, help="finished clips; default: beside the output")
    args = parser.parse_args(argv)
    started = time.time()
    set_threads()
    chosen = read(ReconstructSettings, args.config, "reconstruct")
    folder = base.find_base(args.diffusion_model)
    shard = (args.shard, args.shards)
    brain = [args.encoder, args.windows, args.series_dir]
    if args.true_features and not any(brain):
        clips, condition = conditions.from_captions(args.clips, args.true_features, *shard)
        inputs = [args.clips, *args.true_features]
    elif all(brain) and not args.true_features:
        clips, condition = conditions.from_brain(
            args.encoder, args.windows, args.series_dir, chosen.repeats, *shard
        )
        inputs = [args.encoder, args.windows]
        inputs += series_files(args.windows, args.series_dir, "test")
    else:
        raise UserError(
            "give either --true-features, or all of --encoder, --windows and --series-dir"
        )
    networks = [args.generator, *base.parts(folder)]
    inputs += networks
    # Clips that an interrupted run has drawn are taken over only if everything they came from is the same.
    shared = {k: v for k, v in vars(chosen).items() if k not in ("batch", "shards")}
    shared["inputs"] = [provenance.digest(path) for path in inputs]
    state = args.state or args.output.with_name(f".{args.output.name}.partial")
    with State(state), lease() as device:
        draw = sampler(args.generator, folder, chosen, device)
        kept = PartialClips(state, shared)
        frames = draw_all(clips, condition, draw, kept, chosen.batch)
        rate = saving.load_shape(args.generator).frame_rate
        write_shard(args.output, clips, frames, rate, chosen, inputs, started)
        shutil.rmtree(state, ignore_errors=True)


if __name__ == "__main__":
    step.run(main)
