"""Decoders fitted on trials: the encoder on its linear path, and the ridge next to it.

Takes the trials of one subject, or of several pooled; returns both decoders, the history of the training
and what was chosen. Epochs are judged on the validation segments, and the start, which equals the linear
path, counts as one: a later epoch is taken only if it is better by more than the standard error over shots,
so that the encoder does not end below its start by luck. At the end the linear path is fitted again on
training and validation segments together (`refit`), everything else fixed. An encoder of other subjects may
be the start: its transformer goes on from there, and a ridge adds to its linear path what that leaves of
this subject's responses.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from boldreel.align.data import Trials, training_and_validation
from boldreel.align.inversion import Inversion
from boldreel.align.linear import LinearPath
from boldreel.align.objective import Objective, best_scale, decoded, judge
from boldreel.align.ridge import Ridge
from boldreel.align.settings import AlignSettings
from boldreel.align.whitening import candidates
from boldreel.data.cohort_noise import CohortNoise
from boldreel.data.left_out import LeftOut
from boldreel.models.autoencoder import MaskedAutoencoder
from boldreel.models.decoder import Decoder, Deviations, LinearDecoder, LinearReadout
from boldreel.models.encoder import SpatioTemporalEncoder, encoder_config
from boldreel.models.memory import StepMemory
from boldreel.training import loop
from boldreel.training.optimizer import adamw, cosine
from boldreel.training.share import Share


@dataclass(frozen=True)
class Material:
    """What the decoders of a subject, or of several pooled, are fitted on.

    everything : all trials; training, validation : its two parts, split by clip.
    used : bool (V,), the positions that are read; xyz : (V, 3) mm.
    noise : the cohort's noise model, if there is one.
    """

    everything: Trials
    training: Trials
    validation: Trials
    used: np.ndarray
    xyz: np.ndarray
    settings: AlignSettings
    device: torch.device
    noise: CohortNoise | None = None

    @classmethod
    def of(
        cls,
        everything: Trials,
        validation_clips: set[str],
        used: np.ndarray,
        xyz: np.ndarray,
        settings: AlignSettings,
        device: torch.device,
        noise: CohortNoise | None = None,
    ) -> Material:
        """Split the trials, see `training_and_validation`."""
        training, validation = training_and_validation(everything, validation_clips)
        return cls(everything, training, validation, used, xyz, settings, device, noise)


@dataclass(frozen=True)
class Fitted:
    """encoder and ridge; history, one row an epoch; loaded: names of tensors from pretraining;
    chosen: what was chosen for the linear path. left_out: what the encoder makes of each clip that it was
    fitted on, with a linear path that did not see the clip's segment; None without one, or where nobody
    asked for it."""

    encoder: SpatioTemporalEncoder
    ridge: LinearDecoder
    history: list[dict[str, float]]
    loaded: list[str]
    chosen: dict[str, object]
    left_out: LeftOut | None = None

    @property
    def best(self) -> dict[str, float]:
        """The row of the history whose weights were kept."""
        return min(self.history, key=lambda row: row["val_bound"])


def fit(
    material: Material,
    pretrained: Path,
    state: Path,
    start: SpatioTemporalEncoder | None = None,
    keep_left_out: bool = False,
) -> Fitted | None:
    """Fit on training segments, choose on validation segments.

    start : an encoder of other subjects, which then replaces the pretrained one.
    keep_left_out : whether `Fitted.left_out` is wanted.

    None is returned to all but the first of processes that train together.
    """
    training, validation, settings = material.training, material.validation, material.settings
    readout = None if start is None else start.readout
    path = linear_path(material, readout)
    linear = path.decoder(training).to(material.device)
    loaded: list[str] = []
    if start is None:
        encoder, loaded = build(linear, pretrained, settings)
    else:
        encoder = start.on(linear)
    encoder = encoder.to(material.device)
    left_out = None
    if encoder.readout is not None:
        left_out = path.left_out(training)
        start_temperature(encoder, training, left_out)
    history = train(encoder, linear, material, left_out, state)
    if Share.current().rank:
        return None  # the first process goes on alone
    measure_floors(encoder, validation)
    measure_floors(linear, validation)
    if settings.refit:
        linear = refit(linear, path, material.everything)
        encoder = encoder.on(linear)
    plain = isinstance(path, Ridge) and readout is None
    averaged = None
    if left_out is not None and keep_left_out:
        fitted = material.everything if settings.refit else training
        single = path.left_out(fitted) if settings.refit else left_out
        clips = fitted.features.clips
        averaged = LeftOut.of(unseen(encoder, fitted, single), single, fitted.rows_of, clips)
    ridge = linear if plain else own_ridge(material)
    return Fitted(encoder, ridge, history, loaded, path.chosen, averaged)


def linear_path(material: Material, readout: LinearReadout | None = None) -> LinearPath:
    """The linear path as the settings say, chosen on training segments.

    readout : that of an encoder of other subjects; a ridge then adds what it leaves, see `tuned_path`.
    """
    training, used, settings = material.training, material.used, material.settings
    if readout is None:
        path = choose_path(training, used, material.xyz, settings, material.noise)
    else:
        path = tuned_path(training, used, material.xyz, settings, material.noise, readout)
    print(path.told())
    return path


def choose_path(
    training: Trials,
    used: np.ndarray,
    xyz: np.ndarray,
    settings: AlignSettings,
    noise: CohortNoise | None,
    like: LinearPath | None = None,
) -> LinearPath:
    """The linear path of these trials and positions; without one in the settings, a ridge.

    like : a path of the same subject from other positions, whose time to peak and noise model are taken
    """
    if settings.linear_path != "inversion":
        return Ridge.choose(training, used, settings)
    found = candidates(training, used, xyz, noise)
    whole = like if isinstance(like, Inversion) else None
    return Inversion.choose(training, used, settings, found, whole)


def tuned_path(
    training: Trials,
    used: np.ndarray,
    xyz: np.ndarray,
    settings: AlignSettings,
    noise: CohortNoise | None,
    readout: LinearReadout | None,
) -> Ridge:
    """A ridge on whitened windows that adds to other subjects' read-out what it leaves; a plain ridge where
    they have none."""
    return Ridge.choose(training, used, settings, readout, candidates(training, used, xyz, noise))


def own_ridge(material: Material) -> LinearDecoder:
    """The ridge decoder of a subject that knows of no other: the baseline next to a pooled encoder; of
    several subjects, from one row for each clip that one of them saw, see `pool.pooled_trials`."""
    settings = material.settings
    several = material.training.present is not None
    parts = material.training, material.everything
    training, everything = (part.by_clip() for part in parts) if several else parts
    linear, ridge = fit_ridge(training, material.used, settings, material.device)
    measure_floors(linear, material.validation)
    return refit(linear, ridge, everything) if settings.refit else linear


def fit_ridge(
    training: Trials,
    used: np.ndarray,
    settings: AlignSettings,
    device: torch.device,
) -> tuple[LinearDecoder, Ridge]:
    """The ridge decoder of training trials, and how it was fitted: penalties are chosen across segments."""
    ridge = Ridge.choose(training, used, settings)
    return ridge.decoder(training).to(device), ridge


def refit(linear: LinearDecoder, path: LinearPath, everything: Trials) -> LinearDecoder:
    """The same linear path on more trials; floors, measured on trials that it had not seen, stay."""
    again = path.decoder(everything).to(linear.present.device)
    again.calibration.floors.copy_(linear.calibration.floors)
    return again


def build(
    linear: LinearDecoder, pretrained: Path, settings: AlignSettings
) -> tuple[SpatioTemporalEncoder, list[str]]:
    """The encoder at its start, and the names of the tensors that came from pretraining.

    Width and heads are the pretrained model's in any case; `pretraining: false` takes nothing else.
    """
    source = MaskedAutoencoder.from_pretrained(pretrained)
    torch.manual_seed(settings.seed)
    sizes = {
        "patch_size": source.config.patch_size,
        "embed_dim": source.config.embed_dim,
        "depth": source.config.depth if settings.depth is None else settings.depth,
        "num_heads": source.config.num_heads,
        "mlp_ratio": source.config.mlp_ratio,
        "window_attention": settings.window_attention,
    }
    encoder = SpatioTemporalEncoder(
        encoder_config(linear.config, linear_path=settings.linear_path, **sizes)
    )
    return encoder, encoder.start_from(source if settings.pretraining else None, linear)


@torch.no_grad()
def unseen(encoder: SpatioTemporalEncoder, trials: Trials, left_out: np.ndarray) -> np.ndarray:
    """Outputs of the encoder for averaged responses, float32 (clips, K), columns as of the read-out.

    left_out : (rows, K), outputs of the linear path by fits that did not see the row
    """
    parts = []
    rows_of = trials.rows_of
    for low in range(0, len(rows_of), 64):
        rows = rows_of[low : low + 64]
        linear = np.stack([left_out[own].mean(0) for own in rows])
        x = np.stack([trials.x[own].mean(0) for own in rows])
        where = encoder.present.device
        encoding = encoder(torch.from_numpy(x).to(where), linear=torch.from_numpy(linear).to(where))
        parts.append(columns(encoder, encoding.deviations).cpu().numpy())
    return np.concatenate(parts)


def columns(decoder: Decoder, deviations: Deviations) -> torch.Tensor:
    """Deviations as the columns of a read-out, (batch, K): the condition along its basis."""
    assert isinstance(decoder, LinearDecoder | SpatioTemporalEncoder)
    assert decoder.readout is not None
    along = deviations.condition.flatten(1) @ decoder.readout.basis.T
    return torch.cat([deviations.image, deviations.text, along, deviations.motion], dim=1)


def start_temperature(
    encoder: SpatioTemporalEncoder, training: Trials, left_out: np.ndarray
) -> None:
    """Start the learned temperature where the linear path's own predictions of unseen rows contrast best.

    1 / 0.07, where CLIP's starts, is far too sure of predictions from noisy data.
    """
    assert encoder.readout is not None
    averaged = np.stack([left_out[rows].mean(0) for rows in training.rows_of])
    outputs = torch.from_numpy(averaged).to(encoder.present.device)
    text = encoder.readout.expand(outputs).text
    scale = best_scale(training.features, text, encoder.calibration)
    encoder.logit_scale.data.fill_(float(np.log(scale)))
    print(f"temperature starts at 1/{scale:g}")


def measure_floors(decoder: Decoder, validation: Trials) -> None:
    """Set the size below which deviations are no longer scaled up, from averaged validation responses."""
    with torch.no_grad():
        own = [encoding.deviations for encoding in decoded(decoder, validation)]
    parts = [torch.cat(values) for values in zip(*own, strict=True)]
    decoder.calibration.measure_floors(Deviations(*parts))


def at_a_time(encoder: SpatioTemporalEncoder, batch: int, settings: AlignSettings) -> int:
    """How many clips of a process's batch go through the transformer at a time."""
    device = encoder.present.device
    if settings.at_a_time is not None or device.type != "cuda":
        return min(batch, settings.at_a_time or batch)
    torch.cuda.empty_cache()
    free, _ = torch.cuda.mem_get_info(device)
    counts = [0, 0]
    for parameter in encoder.parameters():
        counts[parameter.requires_grad] += parameter.numel()
    frozen, trained = counts
    free += 4 * (trained + frozen)  # the weights are there already, and are counted
    compute = 4 if settings.mixed_precision == "no" else 2
    needs = StepMemory(encoder.config, compute, settings.gradient_checkpointing)
    found = needs.fitting(batch, free, trained, frozen)
    total = needs.total(batch, found, trained, frozen) / 1e9
    print(
        f"{found} of {batch} clips at a time: about {total:.1f} GB of {free / 1e9:.1f}", flush=True
    )
    return found


def train(
    encoder: SpatioTemporalEncoder,
    linear: LinearDecoder,
    material: Material,
    left_out: np.ndarray | None,
    state_dir: Path,
) -> list[dict[str, float]]:
    """Tune the transformer in place and return the history.

    left_out : outputs of the linear path for every training row by fits that did not see it; None
        without a linear path. The linear path itself is not tuned.
    """
    training, validation, settings = material.training, material.validation, material.settings
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

    # what the transformer must beat: the linear path, or itself at the start
    reference = linear if encoder.readout is not None else encoder
    baseline = judge(reference, validation, settings)

    def validate(module: torch.nn.Module) -> dict[str, float]:
        return judge(module, validation, settings).against(baseline)

    if encoder.readout is not None:
        encoder.readout.requires_grad_(False)
    encoder.trunk.gradient_checkpointing = settings.gradient_checkpointing
    encoder.at_a_time = at_a_time(encoder, size // share.processes, settings)
    optimizer = adamw([(encoder.parameters(), settings.learning_rate)], settings.weight_decay)
    history = loop.fit(
        encoder,
        loss_fn,
        batches,
        epochs=settings.epochs,
        steps_per_epoch=steps,
        optimizer=optimizer,
        schedule=cosine(settings.epochs * steps, warmup=settings.warmup_epochs * steps),
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
