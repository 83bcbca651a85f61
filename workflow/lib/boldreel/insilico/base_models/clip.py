"""A small CLIP of the embedded world: image tower, text tower and tokenizer.

Takes the frame corpus; returns a ``CLIPModel`` with its processors. Captions are given whole or with
attributes left out, and every caption of a batch that fits an image is a positive for it, so that "a
ball" is as much a caption as "a small red ball moving left over grass".
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from boldreel.data import atomic
from boldreel.insilico.base_models.corpus import FACTORS, Corpus, paint, to_tensor
from boldreel.insilico.base_models.fit import Schedule, fit
from boldreel.insilico.world import FRAME_SIZE

if TYPE_CHECKING:
    from transformers import CLIPModel, CLIPTokenizer

CONTEXT = 16  # tokens
# What a caption calls an object whose class it leaves out.
OBJECT_WORD = "thing"
# A single frame does not show where the object is going.
SEEN_IN_A_FRAME = [key for key in FACTORS if key != "motion"]
AUXILIARY_WEIGHT = 2.0
LOCKED = "clip_text_locked.pt"


def create_tokenizer() -> CLIPTokenizer:
    """A byte-level tokenizer that holds each word of the world whole and spells all others."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import CLIPTokenizer

    words = ["a", "moving", "over", "on", "photo", "of", "the", "video", "background", OBJECT_WORD]
    words += [word for names in FACTORS.values() for word in names]
    learner = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    learner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()  # type: ignore[assignment]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    learner.train_from_iterator(
        # Enough repetitions for every pair of every word to be worth a merge.
        [" ".join(words)] * 4,
        trainers.BpeTrainer(
            vocab_size=2000,
            initial_alphabet=alphabet,
            end_of_word_suffix="</w>",
            show_progress=False,
        ),
    )
    learnt = json.loads(learner.to_str())["model"]
    pieces = sorted(alphabet) + [letter + "</w>" for letter in sorted(alphabet)]
    pieces += [token for token in learnt["vocab"] if token not in set(pieces)]
    # The end token comes last: transformers pools at the largest id in models of the first CLIPs,
    # and at the end token in all others; here both are the same place.
    pieces += ["<|startoftext|>", "<|endoftext|>"]
    merges = [tuple(pair) for pair in learnt["merges"]]
    return CLIPTokenizer(
        vocab={piece: index for index, piece in enumerate(pieces)},
        merges=merges,
        model_max_length=CONTEXT,
    )


def create(tokenizer: CLIPTokenizer) -> CLIPModel:
    """The untrained model."""
    from transformers import CLIPConfig, CLIPModel

    torch.manual_seed(0)
    size = len(tokenizer)
    config = CLIPConfig(
        projection_dim=64,
        text_config={
            "vocab_size": size,
            "hidden_size": 128,
            "intermediate_size": 256,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "max_position_embeddings": CONTEXT,
            "projection_dim": 64,
            "bos_token_id": size - 2,
            "eos_token_id": size - 1,
            "pad_token_id": size - 1,
        },
        vision_config={
            "hidden_size": 128,
            "intermediate_size": 256,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "image_size": FRAME_SIZE,
            "patch_size": 8,
            "projection_dim": 64,
        },
    )
    return CLIPModel(config)


def phrase(labels: np.ndarray, named: np.ndarray) -> str:
    """The caption of labels (5,), FACTORS' order, with only the attributes of ``named`` (5,)."""
    name, colour, background, motion, size = (
        names[label] if shown else ""
        for names, label, shown in zip(FACTORS.values(), labels, named, strict=True)
    )
    moving = f"moving {motion}" if motion else ""
    over = f"over {background}" if background else ""
    return " ".join(f"a {size} {colour} {name or OBJECT_WORD} {moving} {over}".split())


def draw_named(rng: np.random.Generator, n: int, whole: float = 0.5) -> np.ndarray:
    """Which attributes n captions name: bool (n, 5); a share ``whole`` names all."""
    named = rng.random((n, len(FACTORS))) < 0.5
    named[rng.random(n) < whole] = True
    return named


def tokenize(tokenizer: CLIPTokenizer, captions: list[str]) -> torch.Tensor:
    """Captions to int64 token ids (n, CONTEXT), padded with the end token."""
    encoded = tokenizer(
        captions, padding="max_length", truncation=True, max_length=CONTEXT, return_tensors="pt"
    )
    return encoded.input_ids


def fits(labels: np.ndarray, named: np.ndarray) -> np.ndarray:
    """bool (n, n): whether caption j says nothing that a frame of image i contradicts."""
    columns = [list(FACTORS).index(key) for key in SEEN_IN_A_FRAME]
    same = labels[:, None, columns] == labels[None, :, columns]
    return (same | ~named[None, :, columns]).all(axis=2)


class _Taught(torch.nn.Module):
    """The model with classifiers on its image embedding that speed it up and are then dropped."""

    def __init__(self, model: CLIPModel) -> None:
        super().__init__()
        self.model = model
        width = model.config.vision_config.hidden_size
        self.heads = torch.nn.ModuleDict(
            {key: torch.nn.Linear(width, len(FACTORS[key])) for key in SEEN_IN_A_FRAME}
        )

    def loss(
        self,
        pixels: torch.Tensor,
        tokens: torch.Tensor,
        labels: np.ndarray,
        named: np.ndarray,
        known: tuple[str, ...],
    ) -> torch.Tensor:
        """Contrastive loss with several positives, plus the classifiers of the factors ``known``."""
        pooled = self.model.vision_model(pixels).pooler_output
        image = functional.normalize(self.model.visual_projection(pooled), dim=-1)
        text = self.model.get_text_features(input_ids=tokens).pooler_output
        text = functional.normalize(text, dim=-1)
        logits = self.model.logit_scale.clamp(max=4.0).exp() * image @ text.T
        positive = torch.from_numpy(fits(labels, named)).float()
        loss = 0.5 * (_spread_loss(logits, positive) + _spread_loss(logits.T, positive.T))
        for key in known:
            target = torch.from_numpy(labels[:, list(FACTORS).index(key)])
            loss = loss + AUXILIARY_WEIGHT * functional.cross_entropy(
                self.heads[key](pooled), target
            )
        return loss


def _spread_loss(logits: torch.Tensor, positive: torch.Tensor) -> torch.Tensor:
    """Cross-entropy against a target spread evenly over all positives of a row."""
    target = positive / positive.sum(1, keepdim=True)
    return functional.cross_entropy(logits, target)


def _true_loss(
    taught: _Taught, tokenizer: CLIPTokenizer, corpus: Corpus, rng: np.random.Generator
) -> torch.Tensor:
    """Pictures as they are, with captions of all kinds."""
    pick, frame = np.sort(rng.integers(len(corpus), size=24)), rng.integers(corpus.frames.shape[1])
    labels, named = corpus.labels[pick], draw_named(rng, len(pick))
    captions = [phrase(row, shown) for row, shown in zip(labels, named, strict=True)]
    tokens = tokenize(tokenizer, captions)
    pixels = to_tensor(corpus.frames[pick, frame])
    return taught.loss(pixels, tokens, labels, named, ("colour", "background"))


def _shape_loss(
    taught: _Taught, tokenizer: CLIPTokenizer, corpus: Corpus, rng: np.random.Generator
) -> torch.Tensor:
    """Objects painted in unnamed colours, with captions that name no colour."""
    pick, frame = np.sort(rng.integers(len(corpus), size=48)), rng.integers(corpus.frames.shape[1])
    labels, named = corpus.labels[pick], draw_named(rng, len(pick))
    named[:, list(FACTORS).index("colour")] = False
    captions = [phrase(row, shown) for row, shown in zip(labels, named, strict=True)]
    tokens = tokenize(tokenizer, captions)
    pixels = paint(to_tensor(corpus.frames[pick, frame]), corpus.masks[pick, frame], rng)
    return taught.loss(pixels, tokens, labels, named, ("object", "size"))


def train(
    corpus: Corpus, steps: int, image_steps: int, work: Path, seed: int
) -> tuple[CLIPModel, CLIPTokenizer]:
    """Train both towers from scratch, then the image tower alone.

    Shapes take an image tower long, words a text tower not. Once the text tower is locked, the
    denoiser can be trained next to the rest: ``locked_text`` finds it in ``work``.
    """
    tokenizer = create_tokenizer()
    taught = _Taught(create(tokenizer))

    def loss(rng: np.random.Generator) -> torch.Tensor:
        return _true_loss(taught, tokenizer, corpus, rng) + _shape_loss(
            taught, tokenizer, corpus, rng
        )

    both = Schedule(steps, lr=1.5e-3, weight_decay=0.05, average=0.995, seed=seed)
    image = Schedule(image_steps, lr=1e-3, weight_decay=0.05, average=0.995, seed=seed + 1)
    locked = work / LOCKED
    if locked.exists():
        taught.load_state_dict(torch.load(locked, weights_only=True))
    else:
        fit(taught, loss, both, work / "clip_both.state", "clip, both towers")
        with atomic.file(locked) as aside:
            torch.save(taught.state_dict(), aside)
    taught.model.text_model.requires_grad_(False)
    fit(taught, loss, image, work / "clip_image.state", "clip, image tower")
    return taught.model.eval(), tokenizer


def locked_text(work: Path) -> CLIPModel | None:
    """The model with its final text tower, if a training in ``work`` has come that far."""
    if not (work / LOCKED).exists():
        return None
    taught = _Taught(create(create_tokenizer()))
    taught.load_state_dict(torch.load(work / LOCKED, weights_only=True))
    return taught.model.eval()


@torch.no_grad()
def zero_shot(
    model: CLIPModel, tokenizer: CLIPTokenizer, corpus: Corpus, key: str, frame: int = 0
) -> float:
    """Share of frames whose caption with only attribute ``key`` is found among all its values."""
    column = list(FACTORS).index(key)
    captions = []
    for value in range(len(FACTORS[key])):
        labels = np.zeros(len(FACTORS), dtype=int)
        labels[column] = value
        captions.append(phrase(labels, np.arange(len(FACTORS)) == column))
    text = model.get_text_features(input_ids=tokenize(tokenizer, captions)).pooler_output
    hits = []
    for start in range(0, len(corpus), 128):
        pixels = to_tensor(corpus.frames[start : start + 128, frame])
        image = model.get_image_features(pixel_values=pixels).pooler_output
        found = (image @ functional.normalize(text, dim=-1).T).argmax(1).numpy()
        hits.append(found == corpus.labels[start : start + 128, column])
    return float(np.concatenate(hits).mean())
