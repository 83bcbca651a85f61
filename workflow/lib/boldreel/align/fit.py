"""Decoders fitted on trials: the ridge, and the encoder that stands on it.

Takes the trials of one subject, or of several pooled; returns both decoders, the history of the training
and what was chosen. Epochs are judged on the validation segments, and the start, which equals the ridge,
counts as one: a later epoch is taken only if it is better by more than the standard error over shots, so
that the encoder does not end below the ridge by luck. At the end the ridge is fitted again on training and
validation segments together (`refit`), everything else fixed. An encoder of other subjects may be the
start: its transformer goes on from there, and the ridge adds to its linear path what that leaves of this
subject's responses.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from boldreel.align.assemble import build, fit_linear, measure_floors, start_temperature
from boldreel.align.data import Trials, training_and_validation
from boldreel.align.linear import LinearTargets, choose_alphas, left_out_outputs
from boldreel.align.objective import Objective, judge
from boldreel.align.settings import AlignSettings
from boldreel.models.decoder import LinearDecoder
from boldreel.models.encoder import SpatioTemporalEncoder
from boldreel.training import loop, schedule
from boldreel.training.optimizer import adamw
from boldreel.training.share import Share

Penalties = dict[str, tuple[float, float]]


@dataclass(frozen=True)
class Fitted:
    """encoder and ridge; history, one row an epoch; loaded: names of tensors from pretraining;
    penalties: {target: (alpha, left-out cosine)}."""

    encoder: SpatioTemporalEncoder
    ridge: LinearDecoder
    history: list[dict[str, float]]
    loaded: list[str]
    penalties: Penalties

    @property
    def best(self) -> dict[str, float]:
        """The row of the history whose weights were kept."""
        return min(self.history, key=lambda row: row["val_bound"])


def fit(
    everything: Trials,
    validation_clips: set[str],
    used: np.ndarray,
    pretrained: Path,
    settings: AlignSettings,
    state: Path,
    device: torch.device,
    start: SpatioTemporalEncoder | None = None,
) -> Fitted | None:
    """Fit on training segments, choose on validation segments.

    used : bool (V,), the positions that are read. start : an encoder of other subjects, which then
    replaces the pretrained one. None is returned to all but the first of processes that train together.
    """
    training, validation = training_and_validation(everything, validation_clips)
    readout = None if start is None else start.readout
    linear, targets, penalties = fit_ridge(training, used, settings, device, readout)
    beside = None
    if readout is not None:
        beside = own_ridge(everything, training, validation, used, settings, device)
    loaded: list[str] = []
    if start is None:
        encoder, loaded = build(linear, pretrained, settings)
    else:
        encoder = start.on(linear)
    encoder = encoder.to(device)
    left_out = None
    if encoder.readout is not None:
        left_out = left_out_outputs(training, used, targets, _alphas(penalties))
        start_temperature(encoder, training, left_out)
    history = train(encoder, linear, training, validation, left_out, settings, state)
    if Share.current().rank:
        return None  # the first process goes on alone
    measure_floors(encoder, validation)
    measure_floors(linear, validation)
    if settings.refit:
        linear = refit(linear, everything, used, targets, penalties, settings)
        encoder = encoder.on(linear)
    return Fitted(encoder, beside or linear, history, loaded, penalties)


def own_ridge(
    everything: Trials,
    training: Trials,
    validation: Trials,
    used: np.ndarray,
    settings: AlignSettings,
    device: torch.device,
) -> LinearDecoder:
    """The ridge decoder of a subject that knows of no other: the baseline next to a pooled encoder."""
    linear, targets, penalties = fit_ridge(training, used, settings, device)
    measure_floors(linear, validation)
    if settings.refit:
        linear = refit(linear, everything, used, targets, penalties, settings)
    return linear


def fit_ridge(
    training: Trials,
    used: np.ndarray,
    settings: AlignSettings,
    device: torch.device,
    readout: Any = None,
) -> tuple[LinearDecoder, LinearTargets, Penalties]:
    """The ridge decoder of training trials, its targets, and the penalties chosen across segments."""
    targets = LinearTargets.of(training, settings.rank, settings.variance, readout)
    penalties = choose_alphas(training, used, targets)
    for group, (alpha, score) in penalties.items():
        print(f"ridge, {group}: penalty {alpha:.3g}, left-out cosine {score:.3f}")
    linear = fit_linear(training, used, targets, _alphas(penalties), settings).to(device)
    return linear, targets, penalties


def refit(
    linear: LinearDecoder,
    everything: Trials,
    used: np.ndarray,
    targets: LinearTargets,
    penalties: Penalties,
    settings: AlignSettings,
) -> LinearDecoder:
    """The same ridge on more trials; floors, measured on trials that it had not seen, stay."""
    again = fit_linear(everything, used, targets, _alphas(penalties), settings)
    again = again.to(linear.present.device)
    again.calibration.floors.copy_(linear.calibration.floors)
    return again


def _alphas(penalties: Penalties) -> dict[str, float]:
    return {group: alpha for group, (alpha, _) in penalties.items()}


def train(
    encoder: SpatioTemporalEncoder,
    linear: LinearDecoder,
    training: Trials,
    validation: Trials,
    left_out: np.ndarray | None,
    settings: AlignSettings,
    state_dir: Path,
) -> list[dict[str, float]]:
    """Tune the transformer in place and return the history.

    left_out : outputs of the linear path for every training row by fits that did not see it; None
        without a linear path. The linear path itself is not tuned.
    """
    device = next(encoder.parameters()).device
    objective = Objective(training.features, encoder.calibration, settings)
    rows_of = training.rows_of
    x = torch.from_numpy(training.x)
    substitute = None if left_out is None else torch.from_numpy(left_out)
    size = min(settings.batch_size, len(rows_of))
    steps = len(rows_of) // size
    share = Share.current()
    mine = share.rows(size, "align.batch_size")

    def batches(epoch: int, generator: torch.Generator) -> Iterator[torch.Tensor]:
        order = torch.randperm(len(rows_of), generator=generator)
        for k in range(steps):
            yield order[k * size : (k + 1) * size]

    def showing(clip: int, generator: torch.Generator) -> np.ndarray:
        """The rows whose mean stands for a clip: all its showings, or one of them."""
        rows = rows_of[clip]
        if float(torch.rand((), generator=generator)) < settings.averaged:
            return rows
        return rows[int(torch.randint(len(rows), (), generator=generator))][None]

    def loss_fn(
        module: torch.nn.Module, clips: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, dict[str, float]]:
        chosen = [showing(int(clip), generator) for clip in clips][mine]
        window = torch.stack([x[rows].mean(0) for rows in chosen])
        kept = torch.rand(size, 1, window.shape[2], generator=generator)[mine]
        window = window * (kept >= settings.sparsify)
        stand_in = has = None
        if substitute is not None:
            stand_in = torch.stack([substitute[rows].mean(0) for rows in chosen]).to(device)
        if training.present is not None:
            has = torch.from_numpy(training.present[clips[mine]]).to(device)
        encoding = module(window.to(device), has, linear=stand_in)
        scale = encoder.logit_scale.exp().clamp(max=100)
        return objective(encoding, clips, scale, generator, share)

    # what the transformer must beat: the ridge, or itself at the start
    reference = linear if encoder.readout is not None else encoder
    baseline = judge(reference, validation, settings)

    def validate(module: torch.nn.Module) -> dict[str, float]:
        return judge(module, validation, settings).against(baseline)

    if encoder.readout is not None:
        encoder.readout.requires_grad_(False)
    encoder.trunk.gradient_checkpointing = settings.gradient_checkpointing
    optimizer = adamw([(encoder.parameters(), settings.learning_rate)], settings.weight_decay)
    history = loop.fit(
        encoder,
        loss_fn,
        batches,
        epochs=settings.epochs,
        steps_per_epoch=steps,
        optimizer=optimizer,
        schedule=schedule.cosine(settings.epochs * steps, warmup=settings.warmup_epochs * steps),
        seed=settings.seed,
        state_dir=state_dir,
        validate=validate,
        monitor="val_bound",
        clip_norm=settings.clip_norm,
        mixed_precision=settings.mixed_precision,
        what="alignment",
    )
    if encoder.readout is not None:
        encoder.readout.requires_grad_(True)
    return history
