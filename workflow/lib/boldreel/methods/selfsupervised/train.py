"""Step: train the encoder and then the decoder of one subject.

Reads windows, series, clips, decoded movies, an image classifier and, if there are any, clips from elsewhere;
writes a folder with `model/` (ridge regression and decoder), `encoder/` and both histories. Epochs are judged
on validation segments; test runs are not read.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import nn

from boldreel.data import atomic, provenance, tables
from boldreel.errors import UserError
from boldreel.methods import latent_codes, material
from boldreel.methods.network import Network
from boldreel.methods.selfsupervised import unpaired
from boldreel.methods.selfsupervised.loss import Cycle, bold
from boldreel.methods.selfsupervised.model import Reader, VideoEncoder
from boldreel.methods.selfsupervised.perceptual import Perceptual
from boldreel.methods.selfsupervised.settings import Settings
from boldreel.methods.video_decoder import (
    Generator,
    Shape,
    VideoDecoder,
    draw,
    scaled,
    squares,
    two_way,
)
from boldreel.settings import read
from boldreel.stats import correlation
from boldreel.step import parser, run
from boldreel.training import loop
from boldreel.training.device import lease
from boldreel.training.fingerprint import state_folder
from boldreel.training.state import discard

_BATCH = 64  # clips at a time where no gradient is needed


def train_encoder(
    encoder: VideoEncoder,
    clips: np.ndarray,
    *,
    measured: np.ndarray,
    code: np.ndarray,
    reader: Reader,
    validation: np.ndarray,
    settings: Settings,
    state: Path,
    device: torch.device,
) -> list[dict[str, float]]:
    """Train in place and return the history.

    Parameters
    ----------
    clips : uint8 (n, F, side, side, 3). measured : (n, outputs), z units. validation : bool (n,).
    code : (n, code), what the regression made of the measured BOLD when it had not seen its segment. Errors
        count in BOLD and in what is read from it, which is what the decoder will get.
    """
    rows = np.flatnonzero(~validation)
    steps = max(1, len(rows) // settings.batch_size)

    def batches(epoch: int, generator: torch.Generator) -> Iterator[tuple[torch.Tensor, ...]]:
        order = rows[torch.randperm(len(rows), generator=generator).numpy()]
        for k in range(steps):
            at = order[k * settings.batch_size : (k + 1) * settings.batch_size]
            true, told = (torch.from_numpy(values[at]).to(device) for values in (measured, code))
            yield scaled(clips[at]).to(device), true, told

    def loss(module, batch, generator):  # type: ignore[no-untyped-def]
        shown, true, true_code = batch
        predicted = module(shown)
        in_bold, in_code = bold(predicted, true), bold(reader(predicted), true_code)
        logged = {"bold": float(in_bold.detach()), "code": float(in_code.detach())}
        return in_bold + in_code, logged

    def validate(module):  # type: ignore[no-untyped-def]
        predicted = encode(module, clips[validation], device).to(device)
        true, true_code = (
            torch.from_numpy(values[validation]).to(device) for values in (measured, code)
        )
        found = reader(predicted)
        return {
            "val_loss": float(bold(predicted, true) + bold(found, true_code)),
            "val_correlation": alike(predicted, true),
            "val_code_correlation": alike(found, true_code),
        }

    return loop.fit(
        encoder,
        loss,
        batches,
        epochs=settings.encoder_epochs,
        steps_per_epoch=steps,
        optimizer=torch.optim.AdamW(encoder.parameters(), settings.encoder_rate, weight_decay=0.01),
        schedule=lambda step: 1.0,
        seed=settings.seed,
        state_dir=state,
        validate=validate,
        ema=settings.average,
        mixed_precision=settings.mixed_precision,
        what="video encoder",
    )


def train_decoder(
    decoder: Generator,
    cycle: Cycle,
    *,
    paired: tuple[np.ndarray, np.ndarray],
    held_out: tuple[np.ndarray, np.ndarray],
    videos: unpaired.Clips,
    runs: unpaired.Windows,
    settings: Settings,
    state: Path,
    device: torch.device,
) -> list[dict[str, float]]:
    """Train in place and return the history.

    Parameters
    ----------
    paired, held_out : codes (n, code) and uint8 clips (n, F, side, side, 3), of training and of validation.
    """
    code, clips = paired
    steps = max(1, len(code) // settings.batch_size)
    further = round(settings.unpaired_video * settings.batch_size)
    windows = settings.batch_size if settings.unpaired_bold else 0

    def batches(epoch: int, generator: torch.Generator) -> Iterator[tuple[torch.Tensor, ...]]:
        order = torch.randperm(len(code), generator=generator).numpy()
        for k in range(steps):
            at = order[k * settings.batch_size : (k + 1) * settings.batch_size]
            some = torch.randint(len(videos), (further,), generator=generator).numpy()
            times = torch.randint(len(runs), (windows,), generator=generator).numpy()
            yield (
                torch.from_numpy(code[at]).to(device),
                scaled(clips[at]).to(device),
                scaled(videos.take(some)).to(device),
                torch.from_numpy(runs.take(times)).to(device) if windows else torch.empty(0),
            )

    def loss(module, batch, generator):  # type: ignore[no-untyped-def]
        given, true, video, measured = batch
        return cycle.loss(module, (given, true), video, measured, generator)

    def validate(module):  # type: ignore[no-untyped-def]
        made = draw(module, held_out[0], device)
        apart = np.abs(made.astype(np.float32) - held_out[1]).mean() / 255
        return {"val_loss": 1 - two_way(made, held_out[1]), "val_pixels": float(apart)}

    return loop.fit(
        decoder,
        loss,
        batches,
        epochs=settings.epochs,
        steps_per_epoch=steps,
        optimizer=torch.optim.Adam(decoder.parameters(), settings.rate, betas=(0.5, 0.99)),
        schedule=lambda step: 1.0,
        seed=settings.seed,
        state_dir=state,
        validate=validate,
        ema=settings.average,
        mixed_precision=settings.mixed_precision,
        what="video decoder",
    )


@torch.inference_mode()
def encode(encoder: nn.Module, clips: np.ndarray, device: torch.device) -> torch.Tensor:
    """Predicted BOLD (n, outputs) of uint8 clips, on the CPU."""
    parts = [
        encoder(scaled(clips[k : k + _BATCH]).to(device)).float().cpu()
        for k in range(0, len(clips), _BATCH)
    ]
    return torch.cat(parts)


def alike(predicted: torch.Tensor, true: torch.Tensor) -> float:
    """Mean over outputs of the correlation over clips; 0 for a constant one."""
    first, second = (x.detach().double().cpu().numpy() for x in (predicted, true))
    return float(correlation.of_columns(first, second).mean())


def load_network(source: str, device: torch.device) -> Perceptual:
    """The classifier `models.image_classifier`; UserError if it cannot be loaded."""
    network = Network(source, device)
    return Perceptual(network.model, network.processor.image_mean, network.processor.image_std)


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    arguments = parser(__doc__)
    arguments.add_argument("--windows", type=Path, required=True)
    arguments.add_argument("--series-dir", type=Path, required=True)
    arguments.add_argument("--clips", type=Path, required=True)
    arguments.add_argument("--stimuli", type=Path, required=True, help="folder of decoded movies")
    arguments.add_argument("--image-classifier", required=True, help="folder or hub id")
    arguments.add_argument("--videos", type=Path, help="folder that the step videos left")
    arguments.add_argument("--output", type=Path, required=True)
    arguments.add_argument(
        "--state", type=Path, required=True, help="where the trainings keep their state"
    )
    args = arguments.parse_args(argv)
    started = time.time()
    settings = read(Settings, args.config, "method_options.selfsupervised")
    loop.set_threads()

    import pandas as pd

    where = (args.windows, args.series_dir, args.clips, args.stimuli)
    inputs = [*material.training_files(*where), *([args.videos] if args.videos else [])]

    def state(part: str, ignore: tuple[str, ...]) -> Path:
        """Folder of a training's state; the decoder's depends on how long its encoder was trained."""
        base = args.state / part
        module = "boldreel.methods.selfsupervised.train"
        return state_folder(
            base, module=module, config=asdict(settings), inputs=inputs, ignore=ignore
        )

    states = state("encoder", ("epochs", "encoder_epochs")), state("decoder", ("epochs",))
    pairs = material.training_pairs(*where)
    validation = pairs.validation
    if not validation.any() or validation.all():
        raise UserError(
            f"{args.windows}: the method needs clips for training and for validation; set segments.train "
            "and segments.validation"
        )
    small = squares(pairs.frames, settings.thumbnail)
    clips = squares(pairs.frames, settings.size)
    description = small.reshape(len(small), -1).astype(np.float32)
    fitted = latent_codes.fit(pairs, description, settings.code, settings.seed)
    length = clips.shape[1]
    shape = Shape(fitted.left_out.shape[1], length, settings.size, settings.latent, settings.width)
    videos = unpaired.every_frame(args.windows, args.clips, args.stimuli, length, settings.size)
    if args.videos:
        videos = unpaired.more(videos, args.videos)
    runs = unpaired.every_volume(args.windows, args.series_dir, pairs.used)
    print(
        f"{len(clips)} pairs, {len(videos)} clips and {len(runs)} windows of BOLD without their pair"
    )
    torch.manual_seed(settings.seed)
    rows = pairs.rows
    encoder, decoder = VideoEncoder(shape, rows.shape[1]), Generator(shape)
    with lease() as device:
        scale = torch.from_numpy(fitted.encoder.scale)
        weight = torch.from_numpy(fitted.encoder.weight) * scale
        reader = Reader(
            weight.to(device), (torch.from_numpy(fitted.encoder.bias) * scale).to(device)
        )
        encoding = train_encoder(
            encoder,
            clips,
            measured=rows,
            code=fitted.left_out,
            reader=reader,
            validation=validation,
            settings=settings,
            state=states[0],
            device=device,
        )
        encoder.eval().requires_grad_(False)
        guessed = reader(encode(encoder, clips[validation], device).to(device)).cpu()
        noise = torch.from_numpy(fitted.left_out[validation]) - guessed
        cycle = Cycle(
            encoder,
            reader,
            noise.to(device),
            load_network(args.image_classifier, device),
            settings.reconstruction,
            settings.perceptual,
            settings.temporal,
            settings.unpaired_bold,
        )
        decoding = train_decoder(
            decoder,
            cycle,
            paired=(fitted.left_out[~validation], clips[~validation]),
            held_out=(fitted.left_out[validation], clips[validation]),
            videos=videos,
            runs=runs,
            settings=settings,
            state=states[1],
            device=device,
        )
    with atomic.folder(args.output) as aside:
        VideoDecoder(
            fitted.encoder, decoder.cpu(), pairs.frames.shape[2:4], pairs.frame_rate
        ).save_pretrained(aside / "model")
        save_encoder(encoder.cpu(), shape, aside / "encoder")
        tables.write(aside / "encoder_history.tsv", pd.DataFrame(encoding), "history")
        tables.write(aside / "history.tsv", pd.DataFrame(decoding), "history")
        provenance.record(
            aside, inputs=inputs, config=asdict(settings), seed=settings.seed, started=started
        )
    for folder in states:
        discard(folder)


def save_encoder(encoder: VideoEncoder, shape: Shape, folder: Path) -> None:
    """`model.safetensors` and `config.json`."""
    from safetensors.torch import save_file

    with atomic.folder(folder) as aside:
        save_file(
            {k: v.contiguous() for k, v in encoder.state_dict().items()},
            aside / "model.safetensors",
        )
        about = {**asdict(shape), "outputs": encoder.outputs.out_features}
        atomic.write_text(aside / "config.json", json.dumps(about, indent=1) + "\n")


if __name__ == "__main__":
    run(main)
