"""The autoencoder: 64 x 64 frames to 8 x 8 latents of 8 channels and back.

Takes the frame corpus; returns a diffusers ``AutoencoderKL`` whose ``scaling_factor`` brings latents
to unit standard deviation. Training starts on 32 x 32 crops around the object, four times as cheap,
and ends on whole frames.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from boldreel.data import atomic
from boldreel.insilico.base_models.corpus import Corpus, to_tensor, to_uint8
from boldreel.insilico.base_models.fit import Schedule, fit
from boldreel.insilico.world import FRAME_SIZE
from boldreel.training.progress import Progress

if TYPE_CHECKING:
    from diffusers import AutoencoderKL

CROP = 32  # pixels
# Weight of a pixel of the object; one of the background has 1: shapes matter more than
# leaves of grass, and cover a fifteenth of the frame.
OBJECT_WEIGHT = 4.0
KL_WEIGHT = 2e-4
LOCKED = "vae_encoder_locked.pt"


def create() -> AutoencoderKL:
    """The untrained autoencoder."""
    from diffusers import AutoencoderKL

    torch.manual_seed(0)
    model = AutoencoderKL(
        sample_size=FRAME_SIZE,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(8, 16, 48, 96),
        layers_per_block=1,
        latent_channels=8,
        norm_num_groups=8,
        mid_block_add_attention=False,
    )
    return model.to(memory_format=torch.channels_last)


def train(
    corpus: Corpus, crop_steps: int, frame_steps: int, decoder_steps: int, work: Path, seed: int
) -> AutoencoderKL:
    """Train on crops, then on whole frames, at last the decoder alone.

    Once the encoder is locked, the denoiser can be trained next to the rest: ``locked_encoder`` finds
    it in ``work``, where the state of all phases is.
    """
    model = create()
    crops = Schedule(crop_steps, lr=2e-3, average=0.995, seed=seed)
    frames = Schedule(frame_steps, lr=1e-3, warmup=50, average=0.995, seed=seed + 1)
    decoder = Schedule(decoder_steps, lr=5e-4, warmup=50, average=0.995, seed=seed + 2)
    locked = work / LOCKED
    if locked.exists():
        model.load_state_dict(torch.load(locked, weights_only=True))
    else:
        _fit_kept(model, corpus, crops, CROP, work / "vae_crops.pt", "vae, crops")
        _fit_kept(model, corpus, frames, FRAME_SIZE, locked, "vae, frames")
    set_scaling(model, corpus)
    model.encoder.requires_grad_(False)
    model.quant_conv.requires_grad_(False)
    fit(
        model,
        lambda rng: _loss(model, *_batch(corpus, rng, 16, FRAME_SIZE)),
        decoder,
        work / "vae_decoder.state",
        "vae, decoder",
        rounded=False,
    )
    return model.eval()


def locked_encoder(work: Path, corpus: Corpus) -> AutoencoderKL | None:
    """The autoencoder with its final encoder, if a training in ``work`` has come that far."""
    if not (work / LOCKED).exists():
        return None
    model = create()
    model.load_state_dict(torch.load(work / LOCKED, weights_only=True))
    set_scaling(model, corpus)
    return model.eval()


def _fit_kept(
    model: AutoencoderKL, corpus: Corpus, schedule: Schedule, side: int, done: Path, name: str
) -> None:
    """One phase of training on crops of ``side`` pixels; its end is kept in ``done``."""
    if done.exists():
        model.load_state_dict(torch.load(done, weights_only=True))
        return
    n = 32 if side < FRAME_SIZE else 16
    fit(
        model,
        lambda rng: _loss(model, *_batch(corpus, rng, n, side)),
        schedule,
        done.with_suffix(".state"),
        name,
        rounded=False,
    )
    with atomic.file(done) as aside:
        torch.save(model.state_dict(), aside)


def _batch(
    corpus: Corpus, rng: np.random.Generator, n: int, side: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """n square crops that touch the object: pixels (n, 3, side, side), masks (n, 1, side, side)."""
    frames = np.empty((n, side, side, 3), dtype=np.uint8)
    masks = np.empty((n, side, side), dtype=np.uint8)
    for i, index in enumerate(rng.integers(len(corpus), size=n)):
        frame = rng.integers(corpus.frames.shape[1])
        mask = corpus.masks[index, frame]
        rows, columns = np.nonzero(mask > 127)
        pick = rng.integers(len(rows))
        corner = np.array([rows[pick], columns[pick]]) - rng.integers(side, size=2)
        top, left = corner.clip(0, FRAME_SIZE - side)
        frames[i] = corpus.frames[index, frame, top : top + side, left : left + side]
        masks[i] = mask[top : top + side, left : left + side]
    return to_tensor(frames), torch.from_numpy(masks)[:, None].float() / 255


def _loss(model: AutoencoderKL, pixels: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    posterior = model.encode(pixels).latent_dist
    decoded = model.decode(posterior.sample()).sample
    # A pixel around the edge counts like the object.
    weight = 1 + OBJECT_WEIGHT * torch.nn.functional.max_pool2d(masks, 5, 1, 2)
    error = (decoded - pixels) ** 2 + 0.05 * (decoded - pixels).abs()
    divergence = 0.5 * (posterior.mean**2 + posterior.var - 1 - posterior.logvar)
    return (weight * error).mean() + KL_WEIGHT * divergence.mean()


@torch.no_grad()
def set_scaling(model: AutoencoderKL, corpus: Corpus) -> None:
    """Set ``scaling_factor`` so that scaled latents of the corpus have unit standard deviation."""
    frames = corpus.frames[: min(512, len(corpus)), 0]
    means = [model.encode(to_tensor(part)).latent_dist.mean for part in np.array_split(frames, 8)]
    model.register_to_config(scaling_factor=float(1 / torch.cat(means).std()))


@torch.no_grad()
def encode(model: AutoencoderKL, frames: np.ndarray) -> torch.Tensor:
    """uint8 (n, 64, 64, 3) to scaled latents (n, 8, 8, 8), the posterior's mean."""
    parts = [model.encode(to_tensor(part)).latent_dist.mean for part in _split(frames)]
    return torch.cat(parts) * model.config["scaling_factor"]


@torch.no_grad()
def decode(model: AutoencoderKL, latents: torch.Tensor) -> np.ndarray:
    """Scaled latents (n, 8, 8, 8) to uint8 (n, 64, 64, 3)."""
    latents = latents / model.config["scaling_factor"]
    return np.concatenate([to_uint8(model.decode(part).sample) for part in latents.split(64)])


def _split(frames: np.ndarray) -> list[np.ndarray]:
    return [frames[i : i + 64] for i in range(0, len(frames), 64)]


def psnr(frames: np.ndarray, coded: np.ndarray) -> np.ndarray:
    """Peak signal-to-noise ratio of each frame in dB; uint8 (n, height, width, 3) both."""
    error = (frames.astype(np.float64) - coded.astype(np.float64)) ** 2
    return 10 * np.log10(255**2 / error.mean(axis=(1, 2, 3)).clip(1e-9))


def code(vae: AutoencoderKL, frames: np.ndarray) -> np.ndarray:
    """Encode and decode uint8 (n, n_frames, 64, 64, 3); the same shape comes back."""
    flat = np.ascontiguousarray(frames).reshape(-1, *frames.shape[2:])
    return decode(vae, encode(vae, flat)).reshape(frames.shape)


def coded_corpus(vae: AutoencoderKL, corpus: Corpus, n_items: int, path: Path) -> Corpus:
    """The first ``n_items`` of a corpus after coding; the frames are kept in ``path``."""
    n_items = min(n_items, len(corpus))
    if not path.exists():
        progress = Progress(n_items, f"coding {path.stem}", unit="items")
        parts = []
        for start in range(0, n_items, 64):
            parts.append(code(vae, corpus.frames[start : min(start + 64, n_items)]))
            progress.update(len(parts[-1]))
        with atomic.file(path) as aside:
            np.save(aside, np.concatenate(parts))
    first = corpus.first(n_items)
    return Corpus(np.load(path, mmap_mode="r"), first.masks, first.labels)
