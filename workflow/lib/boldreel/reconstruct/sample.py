"""Step: reconstruct the video of test clips.

Reads a generator folder and either what a subject's encoder made of the test windows (`encode`), or the
features of the test movies (--true-features, the upper bound); writes `frames.npy` (clips, frames, height,
width, 3) and `video/{clip}.mp4` for one shard of the clips; with several samples of each clip also
`samples.npy` (clips, samples, frames, height, width, 3) and `video/{clip}_sample-{k}.mp4`, with continuous
movies `movie/{first clip}.mp4` and `movie/cuts.tsv`. With --controls it leaves such a folder for each thing
that stands in for the responses. A clip's frames depend on (seed, clip, condition) alone, and where clips go
on from each other on the clips before it. Finished clips are kept in --state until all is complete, so a
stopped job goes on.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from boldreel import step
from boldreel.base_models import diffusion
from boldreel.data import provenance, reconstruction_writer
from boldreel.errors import UserError
from boldreel.generator import backbones, sampling, saving
from boldreel.reconstruct import long_movies, plan
from boldreel.reconstruct.conditions import plan_jobs
from boldreel.reconstruct.settings import FOLDER, ReconstructSettings
from boldreel.settings import read
from boldreel.training import precision
from boldreel.training.device import lease
from boldreel.training.loop import set_threads
from boldreel.training.state import State

if TYPE_CHECKING:
    import pandas as pd

# Keys on which no clip depends.
LAYOUT = ("batch", "shards", "controls", "control_clips", "seeds")


def sampler(
    generator: Path, folder: Path, settings: ReconstructSettings, device: torch.device
) -> plan.Draw:
    """A function that draws units."""
    kind = precision.dtype(settings.mixed_precision, device)
    backbone = backbones.load(generator, folder)
    backbone.place(device, kind)
    vae = diffusion.load_vae(folder).to(device, kind, memory_format=torch.channels_last)
    shape = backbone.shape
    scheduler = backbone.scheduler(folder, settings.scheduler, settings.scheduler_options)
    strength = settings.continuous.strength if settings.continuous else 1.0
    backbone.refuse_unfit(scheduler, strength)
    keep = settings.continuous.frames if settings.continuous else 0
    if keep > shape.frames:
        raise UserError(
            f"reconstruct.continuous.frames is {keep}, but a clip has {shape.frames} frames; lower it"
        )
    if keep and not backbone.continues:
        raise UserError(
            "reconstruct.continuous: the packed backbone draws each clip alone; set it to null, or "
            "generator.backbone to inflated"
        )
    how = backbones.Sampling(settings.steps, settings.guidance, settings.guided_share)

    def draw(units: Sequence[plan.Unit], tails: np.ndarray | None) -> list[plan.Drawn]:
        condition = torch.from_numpy(np.stack([unit.condition for unit in units])).to(device)
        if condition.shape[1:] != backbone.negative.shape:
            raise UserError(
                f"conditions of shape {tuple(condition.shape[1:])}, but {generator} takes "
                f"{backbone.negative.shape}; use features or an encoder of the same diffusion model"
            )
        before = None
        if tails is not None and settings.continuous is not None:
            ends = torch.from_numpy(tails).to(device)
            before = sampling.Continuation(ends, settings.continuous.strength)
        names = [sampling.clip_generator(settings.seed, unit.clip, unit.sample) for unit in units]
        latents = backbone.draw(scheduler, condition, names, how, before)
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
    chains: Sequence[plan.Chain],
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
    first = {clip: frames[clip, 0] for clip in clips}
    samples: np.ndarray | None = None
    movies: Iterator[tuple[str, np.ndarray]] = iter(())
    cuts: dict[str, tuple[pd.DataFrame, str]] = {}
    if settings.samples > 1:
        samples = np.stack([[frames[clip, k] for k in range(settings.samples)] for clip in clips])
    if settings.continuous is not None:
        table = long_movies.cuts_of_all(chains, first, frame_rate)
        movies, cuts = long_movies.movies(chains, first), {"movie/cuts.tsv": (table, "movie_cuts")}
        print(long_movies.summary(chains, table), file=sys.stderr)
    reconstruction_writer.write(
        output,
        clips,
        np.stack(list(first.values())),
        frame_rate,
        inputs=inputs,
        config=asdict(settings),
        seed=settings.seed,
        started=started,
        sampling={
            "steps": settings.steps,
            "guidance": settings.guidance,
            "scheduler": settings.scheduler,
        },
        samples=samples,
        movies=movies,
        extra_tables=cuts,
    )


def main(argv: list[str] | None = None) -> None:
    """Command line of the step."""
    parser = step.parser(__doc__)
    parser.add_argument("--generator", type=Path, required=True)
    parser.add_argument("--diffusion-model", required=True)
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--conditions", type=Path, help="folder that the step encode left")
    parser.add_argument("--windows", type=Path)
    parser.add_argument("--encoder", type=Path, help="folder of the encoder, for control-other")
    parser.add_argument(
        "--other-windows", type=Path, help="of the other subject, for control-other"
    )
    parser.add_argument("--other-series", type=Path, help="of the other subject, for control-other")
    parser.add_argument("--true-features", type=Path, nargs="+")
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
    jobs = plan_jobs(args, settings)
    networks = [args.generator, *diffusion.files(folder)]
    # Clips that an interrupted run has drawn are taken over only if everything they came from is the same.
    shared = {k: v for k, v in vars(settings).items() if k not in LAYOUT}
    beside = args.output or args.controls[0]
    state = args.state or beside.with_name(f".{beside.name}.partial")
    with State(state), lease() as device:
        draw = sampler(args.generator, folder, settings, device)
        for job in jobs:
            clips = list(job.conditions)
            whole = plan.chains(args.clips, clips) if settings.continuous else plan.alone(clips)
            chains = plan.part(whole, args.shard, args.shards)
            inputs = [*job.inputs, *networks]
            shared["inputs"] = [provenance.digest(path) for path in inputs]
            units = plan.units(chains, job.conditions, settings.samples, job.sample)
            kept = plan.FinishedClips(state / job.folder.name, shared)
            drawn = plan.draw_all(units, draw, kept, settings.batch_size)
            rate = saving.load_shape(args.generator).frame_rate
            write_shard(job.folder, chains, drawn, rate, settings, inputs, started, job.sample)
            started = time.time()
        shutil.rmtree(state, ignore_errors=True)


if __name__ == "__main__":
    step.run(main)
