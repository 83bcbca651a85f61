"""The text-conditional denoiser of single frames, in the latents of the autoencoder.

Takes the frame corpus, the autoencoder and CLIP's text tower; returns an ordinary diffusers
``UNet2DConditionModel`` that predicts velocity. Captions are given whole, with attributes left out,
or empty (unconditional).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from boldreel.data import atomic
from boldreel.insilico.base_models import vae as autoencoder
from boldreel.insilico.base_models.clip import draw_named, phrase, tokenize
from boldreel.insilico.base_models.corpus import Corpus
from boldreel.insilico.base_models.fit import Schedule, fit
from boldreel.training.progress import Progress

if TYPE_CHECKING:
    from diffusers import AutoencoderKL, DPMSolverMultistepScheduler, UNet2DConditionModel
    from transformers import CLIPModel, CLIPTextModel, CLIPTokenizer

LATENT_SIZE, LATENT_CHANNELS = 8, 8
BATCH = 64
# Shares of captions: empty, and with some attributes left out. The rest is whole.
EMPTY, PARTIAL = 0.1, 0.1
# Weight of a latent cell of the object; one of the background has 1.
OBJECT_WEIGHT = 5.0
# Cap of the signal-to-noise weighting (min-SNR, Hang et al. 2023, here for velocity): nearly clean
# latents teach texture only.
MAX_SNR = 5.0


def create_scheduler() -> DPMSolverMultistepScheduler:
    """DPM-Solver++ with the noise levels of training (linear betas: terminal SNR is 4e-5)."""
    from diffusers import DPMSolverMultistepScheduler

    return DPMSolverMultistepScheduler(
        num_train_timesteps=1000,
        beta_start=1e-4,
        beta_end=0.02,
        beta_schedule="linear",
        prediction_type="v_prediction",
        timestep_spacing="trailing",
        steps_offset=1,  # what Stable Diffusion pipelines expect; trailing times do not use it
        algorithm_type="dpmsolver++",
        solver_order=2,
    )


def create(text_width: int) -> UNet2DConditionModel:
    """The untrained denoiser."""
    from diffusers import UNet2DConditionModel

    torch.manual_seed(0)
    model = UNet2DConditionModel(
        sample_size=LATENT_SIZE,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        block_out_channels=(64, 128),
        layers_per_block=1,
        cross_attention_dim=text_width,
        attention_head_dim=4,  # diffusers reads this as the number of heads
        norm_num_groups=16,
    )
    return model.to(memory_format=torch.channels_last)


@torch.no_grad()
def latents_of(vae: AutoencoderKL, corpus: Corpus, path: Path) -> torch.Tensor:
    """Scaled latents (n, 8, 8, 8) of each item's first frame; kept in ``path``."""
    if not path.exists():
        progress = Progress(len(corpus), "latents", unit="frames")
        parts = []
        for start in range(0, len(corpus), 256):
            parts.append(autoencoder.encode(vae, corpus.frames[start : start + 256, 0]).numpy())
            progress.update(len(parts[-1]))
        with atomic.file(path) as aside:
            np.save(aside, np.concatenate(parts))
    return torch.from_numpy(np.load(path))


@torch.no_grad()
def text_states(
    text_model: CLIPTextModel, tokenizer: CLIPTokenizer, captions: list[str]
) -> torch.Tensor:
    """What the denoiser attends to: last hidden states (n, 16, text width)."""
    return text_model(input_ids=tokenize(tokenizer, captions)).last_hidden_state


def draw_captions(corpus: Corpus, pick: np.ndarray, rng: np.random.Generator) -> list[str]:
    """Captions of the items ``pick``, whole, partial or empty."""
    named = draw_named(rng, len(pick), whole=1 - PARTIAL)
    captions = [phrase(corpus.labels[i], shown) for i, shown in zip(pick, named, strict=True)]
    return ["" if rng.random() < EMPTY else caption for caption in captions]


def train(
    corpus: Corpus,
    vae: AutoencoderKL,
    clip: CLIPModel,
    tokenizer: CLIPTokenizer,
    steps: int,
    work: Path,
    seed: int,
    snapshot: Callable[[torch.nn.Module], None] | None = None,
) -> UNet2DConditionModel:
    """Train the denoiser; ``work`` holds the latents of the corpus and the state."""
    latents = latents_of(vae, corpus, work / "latents.npy")
    text_model = clip.text_model
    model = create(text_model.config.hidden_size)
    signal = create_scheduler().alphas_cumprod

    def loss(rng: np.random.Generator) -> torch.Tensor:
        pick = np.sort(rng.integers(len(corpus), size=BATCH))
        states = text_states(text_model, tokenizer, draw_captions(corpus, pick, rng))
        clean = latents[torch.from_numpy(pick)]
        # One time per stratum: fewer batches without any of the times that decide the shape.
        times = torch.from_numpy((np.arange(BATCH) + rng.random(BATCH)) / BATCH * 1000).long()
        times = times[torch.randperm(BATCH)]
        level = signal[times].view(-1, 1, 1, 1)
        noise = torch.randn_like(clean)
        noisy = level.sqrt() * clean + (1 - level).sqrt() * noise
        velocity = level.sqrt() * noise - (1 - level).sqrt() * clean
        predicted = model(
            noisy.contiguous(memory_format=torch.channels_last), times, states
        ).sample.float()
        snr = level / (1 - level)
        weight = ((MAX_SNR + 1) / (snr + 1)).clamp(max=1.0)
        weight = weight * (1 + OBJECT_WEIGHT * _object_cells(corpus.masks[pick, 0]))
        return (weight * (predicted - velocity) ** 2).mean()

    schedule = Schedule(steps, lr=1e-3, weight_decay=0.01, average=0.998, seed=seed)
    fit(model, loss, schedule, work / "unet.state", "unet", snapshot)
    return model.eval()


def _object_cells(masks: np.ndarray) -> torch.Tensor:
    """uint8 (n, 64, 64) to float (n, 1, 8, 8): latent cells that the object or its edge touches."""
    cover = torch.from_numpy(np.array(masks))[:, None].float() / 255
    return (torch.nn.functional.max_pool2d(cover, 8) > 0.1).float()


@torch.no_grad()
def sample(
    model: torch.nn.Module,
    text_model: CLIPTextModel,
    tokenizer: CLIPTokenizer,
    captions: list[str],
    steps: int = 25,
    guidance: float = 3.0,
    seed: int = 0,
) -> torch.Tensor:
    """Latents (n, 8, 8, 8) for captions, by classifier-free guidance and DPM-Solver++."""
    scheduler = create_scheduler()
    scheduler.set_timesteps(steps)
    generator = torch.Generator().manual_seed(seed)
    shape = (len(captions), LATENT_CHANNELS, LATENT_SIZE, LATENT_SIZE)
    latents = torch.randn(shape, generator=generator)
    states = torch.cat(
        [
            text_states(text_model, tokenizer, [""] * len(captions)),
            text_states(text_model, tokenizer, captions),
        ]
    )
    for time in scheduler.timesteps:
        double = torch.cat([latents, latents]).contiguous(memory_format=torch.channels_last)
        empty, full = model(double, time, states).sample.chunk(2)
        latents = scheduler.step(empty + guidance * (full - empty), time, latents).prev_sample
    return latents
