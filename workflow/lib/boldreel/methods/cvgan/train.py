"""Step: fit the encoder and train the video GAN of one subject.

Reads windows, series, clips and decoded movies; writes a folder with `model/` (the encoder's ridge
regression, the generator) and `history.tsv` (every loss by epoch). Epochs are judged on validation segments;
test runs are not read.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from boldreel.data import atomic, provenance, tables
from boldreel.methods import latent_codes, material
from boldreel.methods.cvgan.loss import both
from boldreel.methods.cvgan.model import VideoGan
from boldreel.methods.cvgan.settings import Settings
from boldreel.methods.video_decoder import Shape, VideoDecoder, draw, scaled, squares, two_way
from boldreel.settings import read
from boldreel.step import parser, run
from boldreel.training import loop
from boldreel.training.device import lease
from boldreel.training.fingerprint import state_folder
from boldreel.training.state import discard


def train(
    model: VideoGan,
    code: np.ndarray,
    frames: np.ndarray,
    held_out: tuple[np.ndarray, np.ndarray],
    settings: Settings,
    state: Path,
    device: torch.device,
) -> list[dict[str, float]]:
    """Train in place and return the history.

    Parameters
    ----------
    code : (n, code), predictions for clips whose segment the regression had not seen.
    frames : uint8 (n, F, side, side, 3). held_out : code and frames of validation segments.
    """
    steps = max(1, len(code) // settings.batch_size)

    def batches(
        epoch: int, generator: torch.Generator
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        order = torch.randperm(len(code), generator=generator).numpy()
        for k in range(steps):
            rows = order[k * settings.batch_size : (k + 1) * settings.batch_size]
            yield torch.from_numpy(code[rows]).to(device), scaled(frames[rows]).to(device)

    def loss(module, batch, generator):  # type: ignore[no-untyped-def]
        given, real = batch
        return both(
            module, given, real, settings.adversarial, settings.reconstruction, settings.temporal
        )

    def validate(module):  # type: ignore[no-untyped-def]
        made = draw(module.generator, held_out[0], device)
        error = 1 - two_way(made, held_out[1])
        apart = np.abs(made.astype(np.float32) - held_out[1]).mean() / 255
        return {"val_loss": error, "val_pixels": float(apart)}

    groups = [
        {"params": list(model.generator.parameters()), "lr": settings.generator_rate},
        {
            "params": [p for judge in model.discriminators for p in judge.parameters()],
            "lr": settings.discriminator_rate,
        },
    ]
    return loop.fit(
        model,
        loss,
        batches,
        epochs=settings.epochs,
        steps_per_epoch=steps,
        optimizer=torch.optim.Adam(groups, betas=(0.0, 0.9)),
        schedule=lambda step: 1.0,
        seed=settings.seed,
        state_dir=state,
        validate=validate,
        ema=settings.average,
        mixed_precision=settings.mixed_precision,
        what="video GAN",
    )


def main(argv: list[str] | None = None) -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--windows", type=Path, required=True)
    arguments.add_argument("--series-dir", type=Path, required=True)
    arguments.add_argument("--clips", type=Path, required=True)
    arguments.add_argument("--stimuli", type=Path, required=True, help="folder of decoded movies")
    arguments.add_argument("--output", type=Path, required=True)
    arguments.add_argument(
        "--state", type=Path, required=True, help="where the training keeps its state"
    )
    args = arguments.parse_args(argv)
    started = time.time()
    settings = read(Settings, args.config, "method_options.cvgan")
    loop.set_threads()

    import pandas as pd

    where = (args.windows, args.series_dir, args.clips, args.stimuli)
    inputs = material.training_files(*where)
    state = state_folder(
        args.state,
        module="boldreel.methods.cvgan.train",
        config=asdict(settings),
        inputs=inputs,
    )
    pairs = material.training_pairs(*where)
    small = squares(pairs.frames, settings.thumbnail)
    clips = squares(pairs.frames, settings.size)
    description = small.reshape(len(small), -1).astype(np.float32)
    fitted = latent_codes.fit(pairs, description, settings.code, settings.seed)
    length = clips.shape[1]
    shape = Shape(fitted.left_out.shape[1], length, settings.size, settings.latent, settings.width)
    torch.manual_seed(settings.seed)
    model = VideoGan(shape)
    training, validation = ~pairs.validation, pairs.validation
    with lease() as device:
        history = train(
            model,
            fitted.left_out[training],
            clips[training],
            (fitted.left_out[validation], clips[validation]),
            settings,
            state,
            device,
        )
    with atomic.folder(args.output) as aside:
        VideoDecoder(
            fitted.encoder, model.generator.cpu(), pairs.frames.shape[2:4], pairs.frame_rate
        ).save_pretrained(aside / "model")
        tables.write(aside / "history.tsv", pd.DataFrame(history), "history")
        provenance.record(
            aside, inputs=inputs, config=asdict(settings), seed=settings.seed, started=started
        )
    discard(state)


if __name__ == "__main__":
    run(main)
