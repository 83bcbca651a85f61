"""How a packed video network is tuned: on true scores with random doubt, or on what was read of a subject.

Takes material and what is known of its clips; tunes the network in place to the best held-out loss, the state
before the first step among the choices, so that tuning cannot lose what the prior knew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from boldreel.generator import batch_size, sample_strip, tuning
from boldreel.generator.losses import Part
from boldreel.generator.packed.material import PackedMaterial
from boldreel.generator.settings import CotrainSettings, GeneratorSettings
from boldreel.models.estimates import doubted
from boldreel.models.packed_loss import Batch, packed_loss
from boldreel.models.packed_video import PackedVideo
from boldreel.training.loop import fit
from boldreel.training.optimizer import adamw
from boldreel.training.share import Share

# What is known of these rows (n, 2, K), drawn by a generator.
Known = Callable[[Sequence[int], torch.Generator], Tensor]
# Passes over the held-out clips, each with other noise: the choice must not hang on a draw.
VALIDATION_DRAWS = 4
# The parts that the image network does not have.
NEW = ("unet.conv_in.", "unet.conv_out.", "unet.class_embedding.", "tokens.")


def in_doubt(material: PackedMaterial) -> Known:
    """True scores with random reliabilities and errors."""
    return lambda rows, generator: doubted(
        [kind[list(rows)] for kind in material.scores], generator
    )


def as_read(known: Tensor) -> Known:
    """What was read of a subject, (n, 2, K) for all rows."""
    return lambda rows, generator: known[list(rows)]


@dataclass(frozen=True)
class Rows:
    """training, held_out : row numbers of the material."""

    training: Sequence[int]
    held_out: Sequence[int]


def train(
    network: PackedVideo,
    material: PackedMaterial,
    rows: Rows,
    known: Known,
    *,
    scheduler: Any,
    settings: GeneratorSettings | CotrainSettings,
    state: Path,
    device: torch.device,
    strip: sample_strip.SampleStrip,
    what: str,
) -> list[dict[str, float]]:
    """Tunes the network in place; returns the history."""
    share, signal = Share.current(), scheduler.alphas_cumprod
    section = "cotrain" if isinstance(settings, CotrainSettings) else "generator"
    held = tuning.spread_rows(rows.held_out, settings.validation_clips)

    def batch_of(chosen: Sequence[int], told: Tensor) -> Batch:
        sketch = material.sketches[list(chosen)]
        parts = (material.latents(chosen), told, sketch)
        return Batch.of(*(part.to(device) for part in parts))

    def loss(
        module: Any, drawn: list[int], generator: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        part = Part(len(drawn), share.rows(len(drawn), f"{section}.batch_size"))
        told = known(drawn, generator)
        nothing = torch.zeros_like(told[0])
        told = tuning.dropped(told, nothing, settings.condition_dropout, generator)
        batch = batch_of(drawn[part.rows], told[part.rows])
        found = packed_loss(
            module,
            network.packing,
            signal,
            batch,
            generator,
            settings.min_snr,
            part.rows,
            part.of,
        )
        return found.mean(), {}

    @torch.no_grad()
    def validate(module: Any) -> dict[str, float]:
        total = 0.0
        for draw in range(VALIDATION_DRAWS):
            for low in range(0, len(held), settings.batch_size):
                chosen = held[low : low + settings.batch_size]
                generator = torch.Generator().manual_seed(1000 * draw + low)
                batch = batch_of(chosen, known(chosen, generator))
                found = packed_loss(
                    module, network.packing, signal, batch, generator, settings.min_snr
                )
                total += float(found.sum())
        return {"val_loss": total / (VALIDATION_DRAWS * len(held))}

    def attempt(batch: int) -> list[dict[str, float]]:
        new: list[torch.nn.Parameter] = []
        old: list[torch.nn.Parameter] = []
        for name, parameter in network.named_parameters():
            (new if name.startswith(NEW) else old).append(parameter)
        rates = (settings.temporal_learning_rate, settings.learning_rate)
        return fit(
            network,
            loss,
            lambda epoch, generator: tuning.endless_rows(rows.training, batch, generator),
            epochs=settings.epochs,
            steps_per_epoch=settings.steps_per_epoch,
            optimizer=adamw(zip((new, old), rates, strict=True), settings.weight_decay),
            schedule=tuning.schedule_of(settings),
            seed=settings.seed,
            state_dir=state,
            validate=validate,
            show=lambda _, epoch: strip.save(epoch, device),
            clip_norm=settings.clip_norm,
            ema=settings.ema,
            mixed_precision=settings.mixed_precision,
            what=what,
        )

    return batch_size.with_smaller_batches(attempt, settings.batch_size, section)
