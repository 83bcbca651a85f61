"""What tuning and co-training share: parameter groups, batches, held-out loss, history on disk.

Takes settings, networks and clip material; returns what `boldreel.training.loop.fit` asks for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from boldreel.data import atomic
from boldreel.generator.losses import LossOptions, Part, video_loss
from boldreel.generator.settings import CotrainSettings, GeneratorSettings, Optimization
from boldreel.models.video_unet import GROUPS, VideoUNet
from boldreel.training.optimizer import cosine


def network_groups(
    network: VideoUNet, settings: GeneratorSettings | CotrainSettings
) -> list[tuple[list[torch.nn.Parameter], float]]:
    """Temporal layers and the other trained layers, with their learning rates."""
    temporal: list[torch.nn.Parameter] = []
    other: list[torch.nn.Parameter] = []
    for name, parameter in network.named_parameters():
        into = temporal if any(mark in name for mark in GROUPS["temporal"]) else other
        into.append(parameter)
    return [(temporal, settings.temporal_learning_rate), (other, settings.learning_rate)]


def schedule_of(settings: Optimization):  # type: ignore[no-untyped-def]
    """Warm-up and half a cosine to a tenth over all steps."""
    return cosine(settings.steps, settings.warmup_steps, final=0.1)


def endless_rows(
    rows: Sequence[int], batch: int, generator: torch.Generator
) -> Iterator[list[int]]:
    """Batches of rows, each row once before any comes again, without end."""
    waiting: list[int] = []
    while True:
        while len(waiting) < batch:
            order = torch.randperm(len(rows), generator=generator).tolist()
            waiting += [rows[i] for i in order]
        yield waiting[:batch]
        waiting = waiting[batch:]


def spread_rows(rows: Sequence[int], count: int) -> list[int]:
    """At most ``count`` of the rows, evenly spread."""
    if len(rows) <= count:
        return list(rows)
    return [rows[i] for i in np.linspace(0, len(rows) - 1, count).round().astype(int)]


def dropped(
    condition: Tensor,
    negative: Tensor,
    share: float,
    generator: torch.Generator,
    part: Part | None = None,
) -> Tensor:
    """Conditions (clips, ...) of which a random share is replaced by the negative (...).

    part : which rows of the batch these are.
    """
    part = part or Part(len(condition))
    drop = torch.rand(part.of, generator=generator)[part.rows] < share
    mask = drop.to(condition.device).reshape(-1, *[1] * (condition.ndim - 1))
    return torch.where(mask, negative.to(condition), condition)


def held_out_loss(
    network: VideoUNet,
    scheduler: Any,
    batches: Sequence[tuple[Tensor, Tensor]],
    device: torch.device,
    options: LossOptions,
) -> float:
    """Mean noise loss over held-out (latents, conditions), always with the same noise and timesteps."""
    sums, count = 0.0, 0
    for number, (clean, condition) in enumerate(batches):
        generator = torch.Generator().manual_seed(number)
        condition = condition.to(device)
        losses = video_loss(
            lambda noisy, steps, c=condition: network(noisy, steps, c),  # type: ignore[misc]
            scheduler,
            clean.to(device),
            network.inflation,
            generator,
            options,
        )
        sums, count = sums + float(losses.sum()), count + len(losses)
    return sums / max(count, 1)


def write_history(path: Path, history: list[dict[str, float]]) -> None:
    """history.tsv: a row for each epoch, n/a where a number was not measured."""
    import pandas as pd

    with atomic.file(path) as aside:
        pd.DataFrame(history).to_csv(aside, sep="\t", index=False, na_rep="n/a")
