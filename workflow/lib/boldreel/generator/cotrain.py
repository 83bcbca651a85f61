"""Step: tune a subject's encoder and the generator together, end to end.

Reads the aligned encoder, the tuned generator, windows and series, latents and features; writes
`encoder/`, `generator/` (only what differs from the base, with the subject's negative condition),
`history.tsv` and `strips/`, held-out clips at each validation. Windows of the validation split choose
the state to keep, and the state before the first step is among the choices; windows of the test split
are never read.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from boldreel import step
from boldreel.base_models import diffusion, video
from boldreel.data import atomic, provenance
from boldreel.data.features import load_features
from boldreel.data.responses import Responses, load_responses, series_files
from boldreel.errors import UserError
from boldreel.generator import backbones, batch_size, sample_strip, saving, tuning
from boldreel.generator.clip_latents import ClipMaterial, load_material
from boldreel.generator.cotrain_losses import JointBatch, JointModel, held_out_losses, joint_losses
from boldreel.generator.losses import Part
from boldreel.generator.packed import cotrain as packed_cotrain
from boldreel.generator.settings import CotrainSettings
from boldreel.models.encoder import SpatioTemporalEncoder
from boldreel.settings import read
from boldreel.training.device import lease
from boldreel.training.fingerprint import state_folder
from boldreel.training.loop import fit, set_threads
from boldreel.training.optimizer import adamw
from boldreel.training.share import Share
from boldreel.training.state import discard

# Passes over the held-out windows, each with other noise: the choice must not hang on a draw.
VALIDATION_DRAWS = 2
_CLIPS = 4096  # whose features are read at a time


def mean_window(responses: Responses) -> torch.Tensor:
    """Mean window (1, volumes, positions): the average fMRI that the negative condition encodes."""
    return torch.from_numpy(responses.x.mean(axis=0, keepdims=True, dtype=np.float64)).float()


@torch.inference_mode()
def negative_condition(encoder: Any, mean: torch.Tensor) -> np.ndarray:
    """Condition (length, width) of the average training fMRI (MinD-Video, adversarial guidance)."""
    device = next(encoder.parameters()).device
    return encoder(mean.to(device)).condition[0].float().cpu().numpy()


@dataclass(frozen=True)
class Targets:
    """What the clips of `material` are, besides latents and conditions: image and text (clips, D), unit
    vectors from the training mean to their embeddings."""

    material: ClipMaterial
    image: torch.Tensor
    text: torch.Tensor

    def batch(self, responses: Responses, row_of: list[int], rows: list[int]) -> JointBatch:
        """The responses' rows with what belongs to their clips."""
        clips = [row_of[i] for i in rows]
        latents, condition = self.material.draw(clips)
        x = torch.from_numpy(responses.x[rows])
        return JointBatch(x, latents, condition, self.image[clips], self.text[clips])


def load_targets(
    material: ClipMaterial, clips: Path, features: list[Path], encoder: SpatioTemporalEncoder
) -> Targets:
    """Targets of all clips of the material, centred as the encoder's were."""
    image, text = [], []
    for low in range(0, len(material), _CLIPS):  # with each come its conditions, which are large
        known = load_features(clips, features, material.clips[low : low + _CLIPS])
        image.append(known.image)
        text.append(known.text)
    calibration = encoder.calibration
    return Targets(
        material,
        calibration.centred_image(torch.from_numpy(np.concatenate(image))),
        calibration.centred_text(torch.from_numpy(np.concatenate(text))),
    )


def train(
    model: JointModel,
    targets: Targets,
    *,
    training: Responses,
    held_out: Responses,
    scheduler: Any,
    settings: CotrainSettings,
    state: Path,
    device: torch.device,
    strip: sample_strip.SampleStrip,
) -> list[dict[str, float]]:
    """Tunes the model in place to the best held-out noise loss; returns the history."""
    share, material = Share.current(), targets.material
    mean = mean_window(training)[0]
    variance = material.condition_variance()
    of_training = material.rows_of(training.clips)
    of_held = material.rows_of(held_out.clips)
    held = tuning.spread_rows(range(len(of_held)), settings.validation_clips)
    kept = [
        targets.batch(held_out, of_held, held[i : i + settings.batch_size])
        for i in range(0, len(held), settings.batch_size)
    ]
    inflation = model.generator.inflation

    def loss(
        module: Any, rows: list[int], generator: torch.Generator
    ) -> tuple[torch.Tensor, dict[str, float]]:
        part = Part(len(rows), share.rows(len(rows), "cotrain.batch_size"))
        batch = targets.batch(training, of_training, rows[part.rows])
        x = tuning.dropped(batch.x, mean, settings.condition_dropout, generator, part)
        present = (x == batch.x).flatten(1).all(1).to(device)
        losses = joint_losses(
            module,
            replace(batch, x=x).to(device),
            scheduler,
            inflation,
            generator,
            variance,
            settings.loss,
            part,
        )
        # A window that was replaced is no one's: what it encodes is compared with nothing.
        parts = {
            name: share.mean((getattr(losses, name) * present).sum(), present.float().sum())
            for name in ("alignment", "image", "text")
        }
        total = losses.noise.mean() + sum(
            weight * parts[name]
            for name, weight in (
                ("alignment", settings.alignment),
                ("image", settings.image_weight),
                ("text", settings.text_weight),
            )
        )
        numbers = {name: float(value.detach()) for name, value in parts.items()}
        return total, {"noise": float(losses.noise.detach().mean()), **numbers}

    def attempt(batch: int) -> list[dict[str, float]]:
        groups = tuning.network_groups(model.generator, settings)
        groups.append((list(model.encoder.parameters()), settings.encoder_learning_rate))
        return fit(
            model,
            loss,
            lambda epoch, generator: tuning.endless_rows(range(len(of_training)), batch, generator),
            epochs=settings.epochs,
            steps_per_epoch=settings.steps_per_epoch,
            optimizer=adamw(groups, settings.weight_decay),
            schedule=tuning.schedule_of(settings),
            seed=settings.seed,
            state_dir=state,
            validate=lambda _: held_out_losses(
                model, kept, scheduler, variance, device, VALIDATION_DRAWS, settings.loss
            ),
            show=lambda _, epoch: strip.save(epoch, device),
            clip_norm=settings.clip_norm,
            ema=settings.ema,
            mixed_precision=settings.mixed_precision,
            what="co-training",
        )

    return batch_size.with_smaller_batches(attempt, settings.batch_size, "co-training")


def main(argv: list[str] | None = None) -> None:
    """Command line of the step."""
    parser = step.parser(__doc__)
    parser.add_argument("--generator", type=Path, required=True)
    parser.add_argument("--encoder", type=Path, required=True)
    parser.add_argument("--left-out", type=Path, help="the encoder's, for the packed backbone")
    parser.add_argument("--sketch", type=Path, help="decoder of sketches, for the packed backbone")
    parser.add_argument("--sketch-left-out", type=Path, help="of that decoder")
    parser.add_argument("--windows", type=Path, required=True)
    parser.add_argument("--series-dir", type=Path, required=True)
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--features", type=Path, nargs="+", required=True)
    parser.add_argument("--latents", type=Path, nargs="+", required=True)
    parser.add_argument("--diffusion-model", required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--state", type=Path, required=True)
    args = parser.parse_args(argv)
    started = time.time()
    set_threads()
    settings = read(CotrainSettings, args.config, "cotrain")
    if backbones.architecture(args.generator) == video.ARCHITECTURE:
        if not (args.left_out and args.sketch and args.sketch_left_out):
            raise UserError(
                f"{args.generator}: a packed video network; give --left-out, --sketch and --sketch-left-out"
            )
        packed_cotrain.run(args, settings, started)
        return
    folder = diffusion.find_base(args.diffusion_model)
    training = load_responses(args.windows, args.series_dir, "train", settings.repeats)
    held_out = load_responses(args.windows, args.series_dir, "validation")
    material = load_material(args.clips, args.latents, args.features)
    encoder = SpatioTemporalEncoder.from_pretrained(args.encoder)
    encoder.logit_scale.requires_grad_(False)  # the contrast's temperature: nothing here contrasts
    targets = load_targets(material, args.clips, args.features, encoder)
    network = saving.from_pretrained(args.generator, folder)
    if settings.gradient_checkpointing:
        network.enable_gradient_checkpointing()
        encoder.trunk.gradient_checkpointing = True
    print(network.describe_trainable(network.train_only(list(settings.train))), file=sys.stderr)
    inputs = [*diffusion.files(folder), args.encoder, args.generator, args.windows, args.clips]
    inputs += [*args.latents, *args.features]
    inputs += series_files(args.windows, args.series_dir, ("train", "validation"))
    state = state_folder(
        args.state,
        module="boldreel.generator.cotrain",
        config=args.config,
        inputs=inputs,
    )
    model = JointModel(encoder, network)
    shown = tuning.spread_rows(range(len(held_out.clips)), settings.strip.clips)

    def conditions() -> tuple[torch.Tensor, torch.Tensor]:
        where = next(encoder.parameters()).device
        x = torch.cat((torch.from_numpy(held_out.x[shown]), mean_window(training)))
        encoded = encoder(x.to(where)).condition
        return encoded[:-1], encoded[-1]

    shape = saving.load_shape(args.generator)
    negative = saving.load_negative(args.generator)
    backbone = backbones.Inflated(network, negative, shape)
    strip = sample_strip.SampleStrip(
        folder,
        backbone,
        settings.strip,
        settings.seed,
        material,
        material.rows_of([held_out.clips[i] for i in shown]),
        conditions,
        state / "strips",
    )
    scheduler = backbone.scheduler(folder)
    with lease() as device:
        history = train(
            model,
            targets,
            training=training,
            held_out=held_out,
            scheduler=scheduler,
            settings=settings,
            state=state,
            device=device,
            strip=strip,
        )
        if Share.current().rank:
            return  # the first process writes
        model.to(device).eval()
        negative = negative_condition(encoder, mean_window(training))
    with atomic.folder(args.output) as aside:
        encoder.save_pretrained(aside / "encoder")
        saving.save_pretrained(model.generator, aside / "generator", folder, negative, shape)
        tuning.write_history(aside / "history.tsv", history)
        strip.export(aside / "strips", settings.epochs)
        provenance.record(
            aside, inputs=inputs, config=args.config, seed=settings.seed, started=started
        )
    discard(state)


if __name__ == "__main__":
    step.run(main)
