"""Step: turn an image generator into a video generator, on training movies and their captions.

Reads a Stable Diffusion folder, latents and features of training movies; writes `model/` (only what
differs from the base), `history.tsv`, `strip.png` (held-out clips, truth over sample) and `strips/`, the
same at each validation. Only attention is trained. Movies of the validation split give the held-out
loss and the strips; a movie of neither split is refused.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

from boldreel import step
from boldreel.base_models import diffusion, video
from boldreel.data import atomic, batches, overlap_files, provenance, tables
from boldreel.data.features import load_features, load_sketches
from boldreel.errors import UserError
from boldreel.generator import batch_size, sample_strip, saving, tuning
from boldreel.generator.backbones import Backbone, Inflated, Packed
from boldreel.generator.clip_latents import ClipMaterial, load_material
from boldreel.generator.losses import Part, video_loss
from boldreel.generator.packed import training as packed_training
from boldreel.generator.packed.material import PackedMaterial, exactly
from boldreel.generator.settings import GeneratorSettings
from boldreel.models.packed_video import PackedVideo, join_meaning
from boldreel.models.video_unet import VideoUNet
from boldreel.settings import read
from boldreel.training.device import lease
from boldreel.training.fingerprint import state_folder
from boldreel.training.loop import fit, set_threads
from boldreel.training.optimizer import adamw
from boldreel.training.share import Share
from boldreel.training.state import discard

_SLACK = 0.1  # s by which a clip may reach into another stretch: clocks jitter
Places = Mapping[str, Sequence[Sequence[float]]]  # stretches of a movie (s) by split


def split_rows(
    material: ClipMaterial,
    validation: Sequence[str],
    several: Mapping[str, Places] = MappingProxyType({}),
    times: Mapping[str, tuple[float, float]] = MappingProxyType({}),
) -> tuple[list[int], list[int]]:
    """(training rows, held-out rows), by movie; UserError if either is empty.

    Parameters
    ----------
    validation : movies that are held out as a whole
    several : movies that several splits show, and which stretches of them. Their clips are of the one split
        that shows them; a clip of which the test shows anything is of none.
    times : begin and end of each clip in its movie, s
    """
    held, rest = [], []
    for i, (clip, movie) in enumerate(zip(material.clips, material.movies, strict=True)):
        split: str | None = "validation" if movie in validation else "train"
        if movie in several:
            split = _split_of(several[movie], *times[clip])
        if split == "validation":
            held.append(i)
        elif split == "train":
            rest.append(i)
    if not held or not rest:
        raise UserError(
            f"movies {', '.join(sorted(set(material.movies)))} with validation "
            f"{', '.join(validation) or 'none'}: no clip is left to "
            f"{'train on' if held else 'validate on'}; give latents of both (segments.validation)"
        )
    return rest, held


def check_splits(material: ClipMaterial, allowed: Collection[str]) -> None:
    """Refuse movies that no split shows on which the generator may be fitted, such as the test's.

    Parameters
    ----------
    allowed : movies of training and validation

    Raises
    ------
    UserError : a movie with latents is none of them.
    """
    others = sorted(set(material.movies) - set(allowed))
    if others:
        raise UserError(
            f"movie {others[0]}: neither in training nor in validation (--train, --validation), and the "
            "generator must not be tuned on it; leave its latents out"
        )


def _split_of(places: Places, begin: float, end: float) -> str | None:
    """The split of a clip of a movie that several splits show: the last of them to show any of it."""
    for split in ("test", "validation", "train"):
        if any(
            first < end - _SLACK and begin + _SLACK < last for first, last in places.get(split, ())
        ):
            return split
    return None


def mean_condition(material: ClipMaterial, rows: list[int]) -> np.ndarray:
    """Mean text condition (length, width) of the training rows, the negative of guidance."""
    return material.mean_condition(rows)


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
    strip: sample_strip.SampleStrip,
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
            show=lambda _, epoch: strip.save(epoch, device),
            clip_norm=settings.clip_norm,
            ema=settings.ema,
            mixed_precision=settings.mixed_precision,
            what="generator",
        )

    return batch_size.with_smaller_batches(attempt, settings.batch_size, "generator")


def packed_network(
    prior: Path | None,
    base: Path,
    material: ClipMaterial,
    rows: Sequence[int],
    args: Any,
) -> PackedVideo:
    """The prior of that folder, or the image network of the base, widened for these training clips.

    Raises
    ------
    UserError : the prior is for clips, latents or features of other sizes, or clips have one frame.
    """
    frames, channels = material.latents[0].shape[:2]
    if frames < 2:
        raise UserError(
            "clips of one frame do not move, and the packed backbone draws motion; raise "
            "stimuli.frame_rate, or set generator.backbone to inflated"
        )
    names = [material.clips[i] for i in rows]
    if prior is not None:
        network = video.read(prior)
        one = load_features(args.clips, args.features, names[:1])
        meaning = join_meaning(one.condition, one.image, one.text).shape[1]
        own = (frames, channels, *one.condition.shape[1:], meaning, one.motion.shape[1])
        config = network.config
        wanted = (
            *(config.frames, config.channels, config.tokens, config.token_width),
            *(config.meaning, config.motion_code),
        )
        if wanted != own:
            raise UserError(
                f"{prior}: made for (frames, channels, tokens, token width, meaning, motion) {wanted}, "
                f"but the movies' features are {own}; name another prior, or set models.video to null"
            )
        return network
    settings = read(GeneratorSettings, args.config, "generator")
    if diffusion.load_scheduler(base).config.prediction_type != "v_prediction":
        print(
            "warning: the image network does not predict velocities, as the packed one learns to: it "
            "begins far from what the image network knows",
            file=sys.stderr,
        )
    known = load_features(args.clips, args.features, names)
    return PackedVideo.widen(
        diffusion.load_unet(base),
        np.stack([material.latents[i] for i in rows]),
        (known.condition, known.image, known.text),
        known.motion,
        load_sketches(args.clips, args.features, names),
        settings.motion_channels,
    )


def main(argv: list[str] | None = None) -> None:
    """Command line of the step."""
    parser = step.parser(__doc__)
    parser.add_argument("--diffusion-model", required=True)
    parser.add_argument(
        "--video-model", help="prior of the packed backbone; default: image network"
    )
    parser.add_argument("--latents", type=Path, nargs="+", required=True)
    parser.add_argument("--features", type=Path, nargs="+", required=True)
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--train", nargs="+", required=True, help="training movies or batches")
    parser.add_argument("--validation", nargs="+", required=True, help="held-out movies or batches")
    parser.add_argument("--overlaps", type=Path, help="what several splits show, .json")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--state", type=Path, required=True)
    args = parser.parse_args(argv)
    started = time.time()
    set_threads()
    settings = read(GeneratorSettings, args.config, "generator")
    folder = diffusion.find_base(args.diffusion_model)
    material = load_material(args.clips, args.latents, args.features)
    clips = tables.read(args.clips, "clips")
    ends = clips["start"] + clips["duration"]
    times = dict(zip(clips["clip"], zip(clips["start"], ends, strict=True), strict=True))
    held = batches.movies_of(clips, args.validation)
    check_splits(material, held | batches.movies_of(clips, args.train))
    several = overlap_files.several(args.overlaps) if args.overlaps else {}
    rows = split_rows(material, sorted(held), several, times)
    frames, _, height, width = material.latents[0].shape
    shape = saving.ClipShape(frames, material.frame_rate, height, width)
    inputs = [*diffusion.files(folder), args.clips, *args.latents, *args.features]
    prior = None
    if args.video_model and settings.backbone == "packed":
        prior = video.find_prior(args.video_model)
        inputs += video.prior_files(prior)
    split = {"validation": args.validation, "several": several}
    config = args.config | split
    state = state_folder(args.state, module="boldreel.generator.tune", config=config, inputs=inputs)
    torch.manual_seed(settings.seed)
    shown = tuning.spread_rows(rows[1], settings.strip.clips)
    if settings.backbone == "packed":
        network = packed_network(prior, folder, material, rows[0], args)
        known = PackedMaterial.of(material, network, args.clips, args.features)
        backbone: Backbone = Packed(network, shape)
        told = exactly([kind[shown] for kind in known.scores])

        def conditions() -> tuple[torch.Tensor, torch.Tensor]:
            return told, torch.zeros_like(told[0])
    else:
        inflated = VideoUNet(diffusion.load_unet(folder), settings.inflation)
        negative = torch.from_numpy(mean_condition(material, rows[0]))
        backbone = Inflated(inflated, negative.numpy(), shape)

        def conditions() -> tuple[torch.Tensor, torch.Tensor]:
            return material.draw(shown)[1], negative

    if settings.gradient_checkpointing:
        backbone.network.enable_gradient_checkpointing()
    scheduler = backbone.scheduler(folder, None, None)
    strip = sample_strip.SampleStrip(
        folder,
        backbone,
        settings.strip,
        settings.seed,
        material,
        shown,
        conditions,
        state / "strips",
    )
    with lease() as device:
        if settings.backbone == "packed":
            history = packed_training.train(
                network,
                known,
                packed_training.Rows(*rows),
                packed_training.in_doubt(known),
                scheduler=scheduler,
                settings=settings,
                state=state,
                device=device,
                strip=strip,
                what="generator",
            )
        else:
            trained = inflated.train_only(list(settings.train))
            print(inflated.describe_trainable(trained), file=sys.stderr)
            history = train(
                inflated,
                material,
                rows,
                scheduler=scheduler,
                negative=negative,
                settings=settings,
                state=state,
                device=device,
                strip=strip,
            )
        if Share.current().rank:
            return  # the first process draws and writes
        backbone.network.to(device)
        truth, samples = strip.draw(device)
    change = sample_strip.frame_change(samples) / max(sample_strip.frame_change(truth), 1e-6)
    print(f"frame-to-frame change of samples: {change:.2f} of the truth's", file=sys.stderr)
    with atomic.folder(args.output / "model") as aside:
        backbone.save(aside, folder)
        provenance.record(
            aside,
            inputs=[*inputs, *([args.overlaps] if args.overlaps else [])],
            config=args.config,
            seed=settings.seed,
            started=started,
            extra={"frame_change_ratio": round(change, 3)},
        )
    tuning.write_history(args.output / "history.tsv", history)
    sample_strip.write_strip(args.output / "strip.png", truth, samples)
    strip.export(args.output / "strips", settings.epochs)
    discard(state)


if __name__ == "__main__":
    step.run(main)
