"""Step: tune a subject's encoder and the generator together, end to end.

Takes the aligned encoder, the tuned generator, windows and series, latents and features; leaves
`encoder/`, `generator/` (only what differs from the base, with the subject's negative condition) and
`history.tsv`. Windows of the validation split choose the state to keep, and the state before the first
step is among the choices; windows of the test split are never read.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from boldreel import section, step
from boldreel.align.encoder import SpatioTemporalEncoder
from boldreel.data import atomic, provenance
from boldreel.data.responses import Responses, load_responses, series_files
from boldreel.generator import base, memory, saving, settings, tuning
from boldreel.generator.joint import JointBatch, JointModel, held_out_losses, joint_losses
from boldreel.generator.material import ClipMaterial, load_material
from boldreel.training.device import lease
from boldreel.training.fingerprint import state_folder
from boldreel.training.loop import fit, set_threads
from boldreel.training.optimizer import adamw

# Passes over the held-out windows, each with other noise: the choice must not hang on a draw.
VALIDATION_DRAWS = 2


def mean_window(responses: Responses) -> torch.Tensor:
    """Mean window (1, volumes, positions): the average fMRI that the negative condition encodes."""
    return torch.from_numpy(responses.x.mean(axis=0, keepdims=True, dtype=np.float64)).float()


@torch.inference_mode()
def negative_condition(encoder: Any, mean: torch.Tensor) -> np.ndarray:
    """Condition (length, width) of the average training fMRI (MinD-Video, adversarial guidance)."""
    device = next(encoder.parameters()).device
    return encoder(mean.to(device)).condition[0].float().cpu().numpy()


def joint_batch(
    responses: Responses, material: ClipMaterial, row_of: list[int], rows: list[int]
) -> JointBatch:
    """The responses' rows with the latents and text conditions of their clips."""
    latents, text = material.draw([row_of[i] for i in rows])
    return JointBatch(torch.from_numpy(responses.x[rows]), latents, text)


def train(
    model: JointModel,
    material: ClipMaterial,
    training: Responses,
    held_out: Responses,
    scheduler: Any,
    chosen: settings.CotrainSettings,
    state: Path,
    device: torch.device,
) -> list[dict[str, float]]:
    """Tunes the model in place to the best held-out noise loss; returns the history."""
    mean = mean_window(training)[0]
    variance = float(material.condition.var(axis=0).mean())
    of_training = material.rows_of(training.clips)
    of_held = material.rows_of(held_out.clips)
    held = tuning.spread_rows(range(len(of_held)), chosen.validation_clips)
    kept = [
        joint_batch(held_out, material, of_held, held[i : i + chosen.batch])
        for i in range(0, len(held), chosen.batch)
    ]
    inflation = model.generator.inflation

    def loss(
        module: Any, rows: list[int], generator: torch.Generator
    ) -> tuple[torch.Tensor, dict[str, float]]:
        batch = joint_batch(training, material, of_training, rows)
        x = tuning.dropped(batch.x, mean, chosen.condition_dropout, generator)
        present = (x == batch.x).flatten(1).all(1).to(device)
        batch = JointBatch(x, batch.latents, batch.text).to(device)
        noise, distance = joint_losses(
            module,
            batch,
            scheduler,
            inflation,
            generator,
            variance,
            chosen.loss,
        )
        distance = (distance * present).sum() / present.sum().clamp(min=1)
        total = noise.mean() + chosen.alignment * distance
        return total, {"noise": noise.detach().mean().item(), "alignment": distance.item()}

    def attempt(batch: int) -> list[dict[str, float]]:
        groups = tuning.network_groups(model.generator, chosen)
        groups.append((list(model.encoder.parameters()), chosen.encoder_learning_rate))
        return fit(
            model,
            loss,
            lambda epoch, generator: tuning.endless_rows(range(len(of_training)), batch, generator),
            epochs=chosen.epochs,
            steps_per_epoch=chosen.steps_per_epoch,
            optimizer=adamw(groups, chosen.weight_decay),
            schedule=tuning.schedule_of(chosen),
            seed=chosen.seed,
            state_dir=state,
            validate=lambda _: held_out_losses(
                model, kept, scheduler, variance, device, VALIDATION_DRAWS, chosen.loss
            ),
            clip_norm=chosen.clip_norm,
            ema=chosen.ema,
            mixed_precision=chosen.mixed_precision,
            what="co-training",
        )

    return memory.halving(attempt, chosen.batch, "co-training")


def main(argv: list[str] | None = None) -> None:
    """Command line of the step."""
    parser = step.parser(__doc__)
    parser.add_argument("--generator", type=Path, required=True)
    parser.add_argument("--encoder", type=Path, required=True)
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
    chosen = section.read(settings.CotrainSettings, args.config, "cotrain")
    folder = base.find_base(args.diffusion_model)
    training = load_responses(args.windows, args.series_dir, "train", chosen.repeats)
    held_out = load_responses(args.windows, args.series_dir, "validation")
    material = load_material(args.clips, args.latents, args.features)
    encoder = SpatioTemporalEncoder.from_pretrained(args.encoder)
    network = saving.from_pretrained(args.generator, folder)
    print(network.describe_trainable(network.train_only(list(chosen.train))), file=sys.stderr)
    inputs = [*base.parts(folder), args.encoder, args.generator, args.windows, args.clips]
    inputs += [*args.latents, *args.features]
    inputs += series_files(args.windows, args.series_dir, ("train", "validation"))
    state = state_folder(
        args.state,
        module="boldreel.generator.cotrain",
        config=args.config,
        inputs=inputs,
    )
    model = JointModel(encoder, network)
    with lease() as device:
        history = train(
            model,
            material,
            training,
            held_out,
            base.load_scheduler(folder),
            chosen,
            state,
            device,
        )
        model.to(device).eval()
        negative = negative_condition(encoder, mean_window(training))
    shape = saving.load_shape(args.generator)
    with atomic.folder(args.output) as aside:
        encoder.save_pretrained(aside / "encoder")
        saving.save_pretrained(model.generator, aside / "generator", folder, negative, shape)
        tuning.write_history(aside / "history.tsv", history)
        provenance.record(
            aside, inputs=inputs, config=args.config, seed=chosen.seed, started=started
        )


if __name__ == "__main__":
    step.run(main)
