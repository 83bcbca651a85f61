"""The prior of clips: a packed video network (`models.packed_video`) trained on the embedded world.

Takes clips of the world's shots, the autoencoder, CLIP and the image denoiser, from which it starts; returns
a `PackedVideo`. What it is told of a clip is incomplete in training, as what is read from a brain is: its
estimates of meaning, motion and sketch have random reliabilities, and errors to match.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from boldreel.data import atomic
from boldreel.insilico.base_models import unet as image_denoiser
from boldreel.insilico.base_models import vae as autoencoder
from boldreel.insilico.base_models.clip import tokenize
from boldreel.insilico.base_models.corpus import CLIP_FPS, Corpus, to_tensor
from boldreel.insilico.base_models.fit import Schedule, fit
from boldreel.models import motion, sketch
from boldreel.training.progress import Progress

if TYPE_CHECKING:
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPModel, CLIPTokenizer

    from boldreel.models.packed_video import PackedVideo

BATCH = 32
# Clips of the corpus are parts of shots of up to so many clips, as the movies of the embedded data set are.
LONGEST_SHOT = 4


@dataclass(frozen=True)
class Described:
    """What the network learns from, of each clip of a corpus.

    latents : float16 (n, F, c, h, w). meaning : parts that `models.packed_video.join_meaning` joins:
    tokens float16 (n, L, W), image and text float32 (n, D). motion (n, 6); sketch (n, 4, 8, 8).
    """

    latents: np.ndarray
    tokens: np.ndarray
    image: np.ndarray
    text: np.ndarray
    motion: np.ndarray
    sketch: np.ndarray

    def __len__(self) -> int:
        return len(self.latents)


def describe(
    corpus: Corpus, vae: AutoencoderKL, clip: CLIPModel, tokenizer: CLIPTokenizer, folder: Path
) -> Described:
    """Describe a corpus, or map what an earlier run left in ``folder``."""
    if not folder.exists():
        with atomic.folder(folder) as aside:
            aside.mkdir(parents=True, exist_ok=True)
            found = _describe(corpus, vae, clip, tokenizer)
            for field in fields(found):
                np.save(aside / f"{field.name}.npy", getattr(found, field.name))
    names = [field.name for field in fields(Described)]
    return Described(*(np.load(folder / f"{name}.npy", mmap_mode="r") for name in names))


@torch.no_grad()
def _describe(
    corpus: Corpus, vae: AutoencoderKL, clip: CLIPModel, tokenizer: CLIPTokenizer
) -> Described:
    captions = corpus.captions()
    parts: dict[str, list[np.ndarray]] = {field.name: [] for field in fields(Described)}
    progress = Progress(len(corpus), "description of clips", unit="clips")
    for low in range(0, len(corpus), 40):
        clips = np.asarray(corpus.frames[low : low + 40])
        flat = clips.reshape(-1, *clips.shape[2:])
        shape = clips.shape[:2]
        coded = autoencoder.encode(vae, flat).half().numpy()
        parts["latents"].append(coded.reshape(*shape, *coded.shape[1:]))
        image = clip.get_image_features(pixel_values=to_tensor(flat)).pooler_output
        parts["image"].append(_unit(_unit(image.numpy()).reshape(*shape, -1).mean(1)))
        words = captions[low : low + 40]
        text = clip.get_text_features(input_ids=tokenize(tokenizer, words)).pooler_output
        parts["text"].append(_unit(text.numpy()))
        states = image_denoiser.text_states(clip.text_model, tokenizer, words)
        parts["tokens"].append(states.half().numpy())
        flows = [motion.flow_of(one) for one in clips]
        pairs = list(zip(clips, flows, strict=True))
        parts["motion"].append(np.stack([motion.motion_code(*p, CLIP_FPS) for p in pairs]))
        parts["sketch"].append(np.stack([sketch.sketch(*p) for p in pairs]))
        progress.update(len(clips))
    return Described(**{name: np.concatenate(values) for name, values in parts.items()})


def _unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def create(described: Described, image: UNet2DConditionModel) -> PackedVideo:
    """The network before its training, with packing and codes of these clips."""
    from boldreel.models.packed_video import PackedVideo

    torch.manual_seed(0)
    return PackedVideo.widen(
        image,
        described.latents,
        (described.tokens.astype(np.float32), described.image, described.text),
        described.motion,
        described.sketch,
    )


def train(
    described: Described, image: UNet2DConditionModel, steps: int, work: Path, seed: int
) -> PackedVideo:
    """Train on described clips; ``work`` holds the state."""
    from boldreel.models.estimates import doubted
    from boldreel.models.packed_loss import Batch, packed_loss

    model = create(described, image)
    signal = image_denoiser.create_scheduler().alphas_cumprod
    scores = all_scores(model, described)

    def loss(rng: np.random.Generator) -> torch.Tensor:
        pick = np.sort(rng.integers(len(described), size=BATCH))
        rows = torch.from_numpy(pick)
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        known = doubted([kind[rows] for kind in scores], generator)
        known[torch.rand(BATCH, generator=generator) < image_denoiser.EMPTY] = 0
        latents = torch.from_numpy(described.latents[pick].astype(np.float32))
        batch = Batch.of(latents, known, torch.from_numpy(described.sketch[pick]))
        return packed_loss(model, model.packing, signal, batch, generator).mean()

    schedule = Schedule(steps, lr=1e-3, weight_decay=0.01, average=0.998, seed=seed)
    fit(model, loss, schedule, work / "video.state", "video")
    return model.eval()


@torch.no_grad()
def all_scores(model: PackedVideo, described: Described) -> list[torch.Tensor]:
    """True scores (n, K) of each kind, of all clips."""
    from boldreel.models.packed_video import join_meaning

    parts = []
    for low in range(0, len(described), 500):
        rows = slice(low, low + 500)
        meaning = join_meaning(
            described.tokens[rows].astype(np.float32), described.image[rows], described.text[rows]
        )
        values = (meaning, described.motion[rows], described.sketch[rows])
        parts.append(model.scores(*(torch.from_numpy(np.array(v)) for v in values)))
    return [torch.cat(kind) for kind in zip(*parts, strict=True)]
