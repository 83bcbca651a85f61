"""Step: turn an image generator into a video generator, on training movies and their captions.

Reads a Stable Diffusion folder, latents and features of training movies; writes `model/` (only what
differs from the base), `history.tsv`, `strip.png` (held-out clips, truth over sample) and `strips/`, the
same at each validation. Only attention is trained. Movies of the validation split give the held-out
loss and the strips.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from boldreel import step
from boldreel.base_models import diffusion
from boldreel.data import atomic, provenance
from boldreel.data.splits import split_of
from boldreel.errors import UserError
from boldreel.generator import memory, saving, strip, tuning
from boldreel.generator.losses import Part, video_loss
from boldreel.generator.material import ClipMaterial, load_material
from boldreel.generator.settings import GeneratorSettings
from boldreel.models.video_unet import VideoUNet
from boldreel.settings import read
from boldreel.training.device import lease
from boldreel.training.fingerprint import state_folder
from boldreel.training.loop import fit, set_threads
from boldreel.training.optimizer import adamw
from boldreel.training.share import Share


def held_out_movies(movies: list[str], segments: dict[str, Any]) -> list[str]:
    """The movies that the validation patterns name; UserError for one that the test patterns name."""
    splits = {movie: split_of(movie, segments) for movie in movies}
    for movie, split in splits.items():
        if split == "test":
            raise UserError(
                f"movie {movie}: is of the test split, and the generator is tuned without"
            )
    return [movie for movie, split in splits.items() if split == "validation"]


def split_rows(material: ClipMaterial, validation: list[str]) -> tuple[list[int], list[int]]:
    """(training rows, held-out rows), by movie; UserError if either is empty."""
    held = [i for i, movie in enumerate(material.movies) if movie in validation]
    rest = [i for i, movie in enumerate(material.movies) if movie not in validation]
    if not held or not rest:
        raise UserError(
            f"movies {', '.join(sorted(set(material.movies)))} with validation "
            f"{', '.join(validation) or 'none'}: no clip is left to "
            f"{'train on' if held else 'validate on'}; give latents of both (segments.validation)"
        )
    return rest, held


def mean_condition(material: ClipMaterial, rows: list[int]) -> np.ndarray:
    """Mean text condition (length, width) of the training rows, the negative of guidance."""
    return material.condition[rows].mean(axis=0)


def train(
    network: VideoUNet,
    material: ClipMaterial,
    rows: tuple[list[int], list[int]],
    *,
    scheduler: Any,
    negative: torch.Tensor,
    settings: GeneratorSettings,
    state: Path,
    device: torch.device,
    artist: strip.Artist,
) -> list[dict[str, float]]:
    """Tunes the network in place to the best held-out loss; returns the history."""
    share = Share.current()
    held = tuning.spread_rows(rows[1], settings.validation_clips)
    kept = [
        material.draw(held[i : i + settings.batch_size])
        for i in range(0, len(held), settings.batch_size)
    ]

    def loss(
        module: Any, drawn: list[int], generator: torch.Generator
    ) -> tuple[torch.Tensor, dict[str, float]]:
        part = Part(len(drawn), share.rows(len(drawn), "generator.batch_size"))
        clean, condition = (x.to(device) for x in material.draw(drawn[part.rows]))
        condition = tuning.dropped(condition, negative, settings.condition_dropout, generator, part)
        losses = video_loss(
            lambda noisy, steps: module(noisy, steps, condition),
            scheduler,
            clean,
            network.inflation,
            generator,
            settings.loss,
            part,
        )
        return losses.mean(), {}

    def attempt(batch: int) -> list[dict[str, float]]:
        return fit(
            network,
            loss,
            lambda epoch, generator: tuning.endless_rows(rows[0], batch, generator),
            epochs=settings.epochs,
            steps_per_epoch=settings.steps_per_epoch,
            optimizer=adamw(tuning.network_groups(network, settings), settings.weight_decay),
            schedule=tuning.schedule_of(settings),
            seed=settings.seed,
            state_dir=state,
            validate=lambda _: {
                "val_loss": tuning.held_out_loss(network, scheduler, kept, device, settings.loss)
            },
            show=lambda _, epoch: artist.show(network, epoch, device),
            clip_norm=settings.clip_norm,
            ema=settings.ema,
            mixed_precision=settings.mixed_precision,
            what="generator",
        )

    return memory.halving(attempt, settings.batch_size, "generator")


def main(argv: list[str] | None = None) -> None:
    """Command line of the step."""
    parser = step.parser(__doc__)
    parser.add_argument("--diffusion-model", required=True)
    parser.add_argument("--latents", type=Path, nargs="+", required=True)
    parser.add_argument("--features", type=Path, nargs="+", required=True)
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--validation", nargs="+", help="held-out movies; default: segments")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--state", type=Path, required=True)
    args = parser.parse_args(argv)
    started = time.time()
    set_threads()
    settings = read(GeneratorSettings, args.config, "generator")
    folder = diffusion.find_base(args.diffusion_model)
    material = load_material(args.clips, args.latents, args.features)
    validation = args.validation or held_out_movies(sorted(set(material.movies)), settings.segments)
    rows = split_rows(material, validation)
    negative = torch.from_numpy(mean_condition(material, rows[0]))
    inputs = [*diffusion.files(folder), args.clips, *args.latents, *args.features]
    state = state_folder(
        args.state, module="boldreel.generator.tune", config=args.config, inputs=inputs
    )
    scheduler = diffusion.load_scheduler(folder, prediction_type=settings.inflation.prediction_type)
    torch.manual_seed(settings.seed)
    network = VideoUNet(diffusion.load_unet(folder), settings.inflation)
    if settings.gradient_checkpointing:
        network.enable_gradient_checkpointing()
    print(network.describe_trainable(network.train_only(list(settings.train))), file=sys.stderr)
    shown = tuning.spread_rows(rows[1], settings.strip.clips)
    artist = strip.Artist(
        folder,
        settings.strip,
        settings.seed,
        material,
        shown,
        lambda: (material.draw(shown)[1], negative),
        state / "strips",
    )
    with lease() as device:
        history = train(
            network,
            material,
            rows,
            scheduler=scheduler,
            negative=negative,
            settings=settings,
            state=state,
            device=device,
            artist=artist,
        )
        if Share.current().rank:
            return  # the first process draws and writes
        truth, samples = artist.draw(network.to(device), device)
    change = strip.frame_change(samples) / max(strip.frame_change(truth), 1e-6)
    print(f"frame-to-frame change of samples: {change:.2f} of the truth's", file=sys.stderr)
    frames, _, height, width = material.latents[0].shape
    shape = saving.ClipShape(frames, material.frame_rate, height, width)
    with atomic.folder(args.output / "model") as aside:
        saving.save_pretrained(network, aside, folder, negative.numpy(), shape)
        provenance.record(
            aside,
            inputs=inputs,
            config=args.config,
            seed=settings.seed,
            started=started,
            extra={"frame_change_ratio": round(change, 3)},
        )
    tuning.write_history(args.output / "history.tsv", history)
    strip.write_strip(args.output / "strip.png", truth, samples)
    artist.leave(args.output / "strips", settings.epochs)


if __name__ == "__main__":
    step.run(main)
