"""Step: reconstruct the video of test clips.

Reads a generator folder and either a subject's encoder with windows and series, or the features of the
test movies (--true-features, the upper bound); writes `frames.npy` (clips, frames, height, width, 3) and
`video/{clip}.mp4` for one shard of the clips; with several samples of each clip also `samples.npy` (clips,
samples, frames, height, width, 3) and `video/{clip}_sample-{k}.mp4`, with continuous movies
`movie/{first clip}.mp4` and `movie/cuts.tsv`. With --controls it leaves such a folder for each thing that
stands in for the responses. A clip's frames depend on (seed, clip, condition) alone, and where clips go on
from each other on the clips before it. Finished clips are kept in --state until all is complete, so a stopped
job goes on.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch

from boldreel import step
from boldreel.base_models import diffusion
from boldreel.data import arrays, atomic, provenance, video
from boldreel.errors import UserError
from boldreel.generator import sampling, saving
from boldreel.reconstruct import continuous, plan, shards
from boldreel.reconstruct.partial import PartialClips
from boldreel.reconstruct.settings import FOLDER, ReconstructSettings
from boldreel.reconstruct.wanted import wanted
from boldreel.settings import read
from boldreel.training import precision
from boldreel.training.device import lease
from boldreel.training.loop import set_threads
from boldreel.training.state import State

# Keys on which no clip depends.
LAYOUT = ("batch", "shards", "controls", "control_clips", "seeds")


def sampler(
    generator: Path, folder: Path, settings: ReconstructSettings, device: torch.device
) -> plan.Draw:
    """A function that draws units."""
    kind = precision.dtype(settings.mixed_precision, device)
    network = saving.from_pretrained(generator, folder).to(device, kind)
    network.unet.to(memory_format=torch.channels_last)
    vae = diffusion.load_vae(folder).to(device, kind, memory_format=torch.channels_last)
    negative = torch.from_numpy(saving.load_negative(generator)).to(device)
    shape = saving.load_shape(generator)
    scheduler = diffusion.load_scheduler(
        folder, settings.scheduler, settings.scheduler_options, network.inflation.prediction_type
    )
    strength = settings.continuous.strength if settings.continuous else 1.0
    sampling.refuse_unfit(scheduler, network.inflation.noise_correlation, strength)
    keep = settings.continuous.frames if settings.continuous else 0
    if keep > shape.frames:
        raise UserError(
            f"reconstruct.continuous.frames is {keep}, but a clip has {shape.frames} frames; lower it"
        )

    def draw(units: Sequence[plan.Unit], tails: np.ndarray | None) -> list[plan.Drawn]:
        condition = torch.from_numpy(np.stack([unit.condition for unit in units])).to(device)
        if condition.shape[1:] != negative.shape:
            raise UserError(
                f"conditions of shape {tuple(condition.shape[1:])}, but {generator} takes "
                f"{tuple(negative.shape)}; use features or an encoder of the same diffusion model"
            )
        before = None
        if tails is not None and settings.continuous is not None:
            ends = torch.from_numpy(tails).to(device)
            before = sampling.Continuation(ends, settings.continuous.strength)
        latents = sampling.sample(
            network,
            scheduler,
            condition,
            negative,
            [sampling.clip_generator(settings.seed, unit.clip, unit.sample) for unit in units],
            frames=shape.frames,
            size=(shape.height, shape.width),
            steps=settings.steps,
            guidance=settings.guidance,
            guided_share=settings.guided_share,
            before=before,
        )
        if not torch.isfinite(latents).all():
            raise UserError(
                f"samples of clip {units[0].clip} and others are not finite; lower "
                "reconstruct.guidance or take more steps"
            )
        kept = latents[:, shape.frames - keep :].float().cpu().numpy()
        return [
            plan.Drawn(*pair) for pair in zip(sampling.to_pixels(vae, latents), kept, strict=True)
        ]

    return draw


def write_shard(
    output: Path,
    chains: Sequence[shards.Chain],
    drawn: dict[plan.Unit, plan.Drawn],
    frame_rate: float,
    settings: ReconstructSettings,
    inputs: list[Path],
    started: float,
    sample: int = 0,
) -> None:
    """Writes the shard's folder in one step; `sample` is the number of the first of each clip."""
    clips = [clip for chain in chains for clip in chain]
    frames = {(unit.clip, unit.sample - sample): result.frames for unit, result in drawn.items()}
    meta = {
        "clips": clips,
        "frame_rate": frame_rate,
        "seed": settings.seed,
        "steps": settings.steps,
        "guidance": settings.guidance,
        "scheduler": settings.scheduler,
    }
    with atomic.folder(output) as aside:
        first = np.stack([frames[clip, 0] for clip in clips])
        arrays.save(aside / "frames.npy", first, kind="reconstruction", **meta)
        if settings.samples > 1:
            every = np.stack(
                [[frames[clip, sample] for sample in range(settings.samples)] for clip in clips]
            )
            arrays.save(aside / "samples.npy", every, kind="samples", **meta)
        for (clip, sample), pictures in frames.items():
            name = clip if sample == 0 else f"{clip}_sample-{sample}"
            video.write_mp4(aside / "video" / f"{name}.mp4", pictures, frame_rate)
        if settings.continuous is not None:
            of_first = {clip: frames[clip, 0] for clip in clips}
            said = continuous.write_movies(aside / "movie", chains, of_first, frame_rate)
            print(said, file=sys.stderr)
        provenance.record(
            aside, inputs=inputs, config=asdict(settings), seed=settings.seed, started=started
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
    parser.add_argument(
        "--other-windows", type=Path, help="of the other subject, for control-other"
    )
    parser.add_argument("--other-series", type=Path, help="of the other subject, for control-other")
    parser.add_argument(
        "--training-features", type=Path, nargs="*", help="folders, for control-caption"
    )
    parser.add_argument("--shard", type=int, default=0)
    parser.add_argument("--shards", type=int, default=1)
    parser.add_argument("--output", type=Path, help="folder to leave")
    parser.add_argument(
        "--controls",
        type=Path,
        nargs="+",
        help=f"folders to leave in its place, {FOLDER}NAME: what stands in for the test responses",
    )
    parser.add_argument("--state", type=Path, help="finished clips; default: next to the output")
    args = parser.parse_args(argv)
    started = time.time()
    set_threads()
    settings = read(ReconstructSettings, args.config, "reconstruct")
    if args.controls:
        # a control is for comparison: as many clips as a comparison needs, one sample, each alone
        settings = replace(settings, samples=1, continuous=None)
    folder = diffusion.find_base(args.diffusion_model)
    every = wanted(args, settings)
    networks = [args.generator, *diffusion.files(folder)]
    # Clips that an interrupted run has drawn are taken over only if everything they came from is the same.
    shared = {k: v for k, v in vars(settings).items() if k not in LAYOUT}
    beside = args.output or args.controls[0]
    state = args.state or beside.with_name(f".{beside.name}.partial")
    with State(state), lease() as device:
        draw = sampler(args.generator, folder, settings, device)
        for each in every:
            clips = list(each.known)
            whole = shards.chains(args.clips, clips) if settings.continuous else shards.alone(clips)
            chains = shards.part(whole, args.shard, args.shards)
            inputs = [*each.inputs, *networks]
            shared["inputs"] = [provenance.digest(path) for path in inputs]
            units = plan.units(chains, each.known, settings.samples, each.sample)
            kept = PartialClips(state / each.folder.name, shared)
            drawn = plan.draw_all(units, draw, kept, settings.batch_size)
            rate = saving.load_shape(args.generator).frame_rate
            write_shard(each.folder, chains, drawn, rate, settings, inputs, started, each.sample)
            started = time.time()
        shutil.rmtree(state, ignore_errors=True)


if __name__ == "__main__":
    step.run(main)
