"""The alignment of one subject: ridge first, then the encoder that stands on it.

Takes the pretrained model, windows, series, voxels, clips and their features; leaves `model/` (a
SpatioTemporalEncoder), `ridge/` (a LinearDecoder, the baseline beside it) and `history.tsv`. Test
windows are never read. Epochs are judged on the validation segments, and the start, which equals
the ridge, counts as one: a later epoch is taken only if it is better by more than the standard
error over shots, so that the encoder does not end below the ridge by luck. At the end both ridges
are fitted again on training and validation segments together (`refit`), everything else fixed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from boldreel.data import provenance, tables
from boldreel.step import parser, run

if TYPE_CHECKING:
    import torch

    from boldreel.align.data import Trials
    from boldreel.align.decoder import LinearDecoder
    from boldreel.align.encoder import SpatioTemporalEncoder

DEFAULTS: dict[str, Any] = {
    "seed": 20230507,
    "pretraining": True,
    "depth": None,
    "linear_path": "ridge",
    "voxels": "present",
    "condition": "projected",
    "sharpness": 20.0,
    "bank": 512,
    "rank": 128,
    "variance": 0.999,
    "epochs": 4,
    "warmup_epochs": 1,
    "batch_size": 60,
    "learning_rate": 1e-4,
    "weight_decay": 0.05,
    "clip_norm": 1.0,
    "image_weight": 0.5,
    "text_weight": 0.5,
    "condition_weight": 1.0,
    "sparsify": 0.2,
    "averaged": 0.5,
    "refit": True,
    "mixed_precision": "no",
}


def train(
    encoder: SpatioTemporalEncoder,
    linear: LinearDecoder,
    training: Trials,
    validation: Trials,
    left_out: np.ndarray | None,
    config: dict[str, Any],
    state_dir: Path,
) -> list[dict[str, float]]:
    """Tune the transformer in place and return the history.

    left_out : outputs of the linear path for every training row by fits that did not see it; None
        without a linear path. The linear path itself is not tuned.
    """
    import torch

    from boldreel.align.objective import Objective, judge
    from boldreel.training import loop, schedule
    from boldreel.training.optimizer import adamw

    device = next(encoder.parameters()).device
    objective = Objective(training.features, encoder.calibration, config)
    rows_of = training.rows_of
    x = torch.from_numpy(training.x)
    substitute = None if left_out is None else torch.from_numpy(left_out)
    size = min(config["batch_size"], len(rows_of))
    steps = len(rows_of) // size

    def batches(epoch: int, generator: torch.Generator) -> Iterator[torch.Tensor]:
        order = torch.randperm(len(rows_of), generator=generator)
        for k in range(steps):
            yield order[k * size : (k + 1) * size]

    def showing(clip: int, generator: torch.Generator) -> np.ndarray:
        """The rows whose mean stands for a clip: all its showings, or one of them."""
        rows = rows_of[clip]
        if float(torch.rand((), generator=generator)) < config["averaged"]:
            return rows
        return rows[int(torch.randint(len(rows), (), generator=generator))][None]

    def loss_fn(
        module: torch.nn.Module, clips: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, dict[str, float]]:
        chosen = [showing(int(clip), generator) for clip in clips]
        window = torch.stack([x[rows].mean(0) for rows in chosen])
        kept = torch.rand(len(clips), 1, window.shape[2], generator=generator)
        window = window * (kept >= config["sparsify"])
        stand_in = None
        if substitute is not None:
            stand_in = torch.stack([substitute[rows].mean(0) for rows in chosen]).to(device)
        encoding = module(window.to(device), linear=stand_in)
        scale = encoder.logit_scale.exp().clamp(max=100)
        return objective(encoding, clips.numpy(), scale)

    # what the transformer must beat: the ridge, or itself at the start
    reference = linear if encoder.readout is not None else encoder
    baseline = judge(reference, validation, config)

    def validate(module: torch.nn.Module) -> dict[str, float]:
        return judge(module, validation, config).against(baseline)

    if encoder.readout is not None:
        encoder.readout.requires_grad_(False)
    optimizer = adamw([(encoder.parameters(), config["learning_rate"])], config["weight_decay"])
    history = loop.fit(
        encoder,
        loss_fn,
        batches,
        epochs=config["epochs"],
        steps_per_epoch=steps,
        optimizer=optimizer,
        schedule=schedule.cosine(config["epochs"] * steps, warmup=config["warmup_epochs"] * steps),
        seed=config["seed"],
        state_dir=state_dir,
        validate=validate,
        monitor="val_bound",
        clip_norm=config["clip_norm"],
        mixed_precision=config["mixed_precision"],
        what="alignment",
    )
    if encoder.readout is not None:
        encoder.readout.requires_grad_(True)
    return history


def main(argv: list[str] | None = None) -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--pretrained", type=Path, required=True)
    arguments.add_argument("--windows", type=Path, required=True)
    arguments.add_argument("--series-dir", type=Path, required=True)
    arguments.add_argument("--voxels", type=Path, required=True)
    arguments.add_argument("--clips", type=Path, required=True)
    arguments.add_argument("--features", type=Path, nargs="+", required=True)
    arguments.add_argument("--output", type=Path, required=True)
    arguments.add_argument("--state", type=Path, required=True)
    args = arguments.parse_args(argv)
    started = time.time()
    config = {**DEFAULTS, **{k: v for k, v in args.config.items() if k in DEFAULTS}}

    import pandas as pd

    from boldreel.align.assemble import build, fit_linear, measure_floors, start_temperature
    from boldreel.align.data import load_trials, training_and_validation, used_positions
    from boldreel.align.linear import LinearTargets, choose_alphas, left_out_outputs
    from boldreel.data.responses import series_files
    from boldreel.training import device, fingerprint, loop

    used = used_positions(args.voxels, config["voxels"])
    splits = tables.read(args.windows, "windows").groupby("segment")["split"].first()
    everything = load_trials(
        args.windows, args.series_dir, args.clips, args.features, ("train", "validation")
    )
    training, validation = training_and_validation(
        everything, set(splits[splits == "validation"].index)
    )
    inputs = [
        args.windows,
        args.clips,
        args.voxels,
        *series_files(args.windows, args.series_dir, ("train", "validation")),
        *args.features,
        args.pretrained,
    ]
    state = fingerprint.state_folder(
        args.state, module="boldreel.align.train", config=config, inputs=inputs
    )
    with device.lease() as where:
        loop.set_threads()
        targets = LinearTargets.of(training, config["rank"], config["variance"])
        chosen = choose_alphas(training, used, targets)
        alphas = {group: alpha for group, (alpha, _) in chosen.items()}
        for group, (alpha, score) in chosen.items():
            print(f"ridge, {group}: penalty {alpha:.3g}, left-out cosine {score:.3f}")
        linear = fit_linear(training, used, targets, alphas, config).to(where)
        encoder, loaded = build(linear, args.pretrained, config)
        encoder = encoder.to(where)
        left_out = None
        if encoder.readout is not None:
            left_out = left_out_outputs(training, used, targets, alphas)
            start_temperature(encoder, training, left_out)
        history = train(encoder, linear, training, validation, left_out, config, state)
        measure_floors(encoder, validation)
        measure_floors(linear, validation)
        if config["refit"]:
            floors = linear.calibration.floors
            linear = fit_linear(everything, used, targets, alphas, config).to(where)
            linear.calibration.floors.copy_(floors)
            encoder = encoder.on(linear)
    linear.save_pretrained(args.output / "ridge")
    encoder.save_pretrained(args.output / "model")
    tables.write(args.output / "history.tsv", pd.DataFrame(history), "history")
    best = min(history, key=lambda row: row["val_bound"])
    provenance.record(
        args.output / "model",
        inputs=inputs,
        config=config,
        seed=config["seed"],
        started=started,
        extra={
            "from_pretraining": loaded,
            "best_epoch": best["epoch"],
            "ridge": {group: list(pair) for group, pair in chosen.items()},
        },
    )
    print(
        f"{len(loaded)} tensors from pretraining; best epoch {best['epoch']} of {config['epochs']}; "
        f"validation top-1 {best['val_top1']:.3f}, two-way {best['val_two_way']:.3f}"
    )


if __name__ == "__main__":
    run(main)
