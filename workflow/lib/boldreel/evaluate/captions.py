"""Captions of clips, and how alike two captions are.

Takes frames, a captioner (BLIP or another image-to-text model; without one, CLIP and a list of captions
that are known, of which the nearest is taken) and a model of sentences (without one, CLIP's text encoder);
returns a caption and its embedding for each clip. Captions of reconstructions are compared with those of the
truth by BLEU as sacrebleu defines it, ROUGE-L as torchmetrics does, and by the embeddings' cosine.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    import torch

_BATCH = 64


class Describer(Protocol):
    """What gives clips their captions. stored : whether that takes long enough to be kept."""

    stored: bool

    def describe(self, clips: np.ndarray, embedding: np.ndarray | None) -> list[str]:
        """One caption for each of the clips uint8 (n, F, h, w, 3), whose CLIP embeddings (n, F, D) may
        be known."""


class Generated:
    """The caption that an image-to-text model gives to a clip's middle frame."""

    stored = True

    def __init__(self, model: str, device: torch.device) -> None:
        from boldreel.base_models import frozen

        self.parts, self.device = frozen.load_captioner(model, device), device

    def describe(self, clips: np.ndarray, embedding: np.ndarray | None = None) -> list[str]:
        """Captions of uint8 clips (n, F, h, w, 3)."""
        from boldreel.stimuli.captions import caption_batch

        middle = np.asarray(clips[:, clips.shape[1] // 2])
        return caption_batch(list(middle), *self.parts, self.device)


class Nearest:
    """The known caption whose CLIP embedding is nearest to a clip's, on average over frames.

    captions : the known ones. embeddings : float32 (captions, D), unit norm.
    """

    stored = False

    def __init__(self, captions: Sequence[str], embeddings: np.ndarray) -> None:
        self.captions, self.embeddings = list(captions), embeddings

    def describe(self, clips: np.ndarray, embedding: np.ndarray | None) -> list[str]:
        """Captions of clips of CLIP embeddings (n, F, D)."""
        if embedding is None:
            raise ValueError("the nearest caption needs CLIP embeddings")
        best = (embedding.mean(axis=1) @ self.embeddings.T).argmax(axis=1)
        return [self.captions[k] for k in best]


@dataclass(frozen=True)
class ClipText:
    """Unit-norm embeddings of texts by CLIP."""

    model: Any
    tokenizer: Any
    name = "clip_text"

    @classmethod
    def of(cls, model: Any, source: str) -> ClipText:
        """With the tokenizer of the model's own folder or hub id."""
        from boldreel.base_models import frozen

        return cls(model, frozen.load_tokenizer("clip", source))

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """float32 (n, D)."""
        from boldreel.stimuli.features import embed_texts

        return embed_texts(list(texts), self.model, self.tokenizer)


class Sentences:
    """Unit-norm embeddings of texts by a sentence model: the mean over its tokens' last states."""

    name = "sentence"

    def __init__(self, source: str, device: torch.device) -> None:
        from boldreel.base_models import frozen

        self.model, self.tokenizer = frozen.load_sentence_model(source, device)
        self.device = device

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """float32 (n, D)."""
        import torch

        parts = []
        with torch.inference_mode():
            for start in range(0, len(texts), _BATCH):
                tokens = self.tokenizer(
                    list(texts[start : start + _BATCH]),
                    padding=True,
                    truncation=True,
                    return_tensors="pt",
                ).to(self.device)
                states = self.model(**tokens).last_hidden_state
                inside = tokens["attention_mask"][..., None].to(states.dtype)
                mean = (states * inside).sum(1) / inside.sum(1)
                parts.append(torch.nn.functional.normalize(mean, dim=1).float().cpu().numpy())
        return np.concatenate(parts)


def _tokens(text: str) -> list[str]:
    """Lower-case words, numbers and signs by the rules of mteval-v13a, which sacrebleu has as "13a"."""
    text = f" {text.lower()} "
    for pattern, spaced in (
        (r"([{-~\[-` -&(-+:-@/])", r" \1 "),
        (r"([^0-9])([.,])", r"\1 \2 "),
        (r"([.,])([^0-9])", r" \1 \2"),
        (r"([0-9])(-)", r"\1 \2 "),
    ):
        text = re.sub(pattern, spaced, text)
    return text.split()


def bleu(said: str, true: str, order: int = 4) -> float:
    """BLEU, 0 to 1, of a sentence against one reference, as sacrebleu's `sentence_bleu(lowercase=True)`.

    Of a sentence of fewer than `order` words, as many words in a row as it has are counted. Where no n words
    in a row are right, their share is halved for each such n (smoothing "exp"; Post 2018). 0 without one
    right word.
    """
    own, other = _tokens(said), _tokens(true)
    shares, halved, any_right = [], 1, False
    for n in range(1, min(order, len(own)) + 1):
        runs, there = (
            Counter(zip(*(words[k:] for k in range(n)), strict=False)) for words in (own, other)
        )
        total, right = len(own) - n + 1, sum((runs & there).values())
        any_right = any_right or right > 0
        halved *= 1 if right else 2
        shares.append(right / total if right else 1 / (halved * total))
    if not any_right:
        return 0.0
    brief = min(1.0, math.exp(1 - len(other) / len(own)))
    return brief * math.exp(sum(map(math.log, shares)) / len(shares))


def agreement(
    said: Sequence[str], true: Sequence[str], i: np.ndarray, j: np.ndarray
) -> dict[str, np.ndarray]:
    """{"bleu_1": ..., "bleu_4": ..., "rouge_l": ...} of captions said[i] against true[j], shaped as i.

    BLEU of single sentences as sacrebleu has it, see `bleu`; BLEU-1 counts single words. ROUGE-L is the
    F-measure. Neither looks at capitals. Each pair of texts is compared once.
    """
    from torchmetrics.functional.text import rouge_score

    pairs = [(said[a], true[b]) for a, b in zip(np.ravel(i), np.ravel(j), strict=True)]
    found: dict[tuple[str, str], list[float]] = {}
    for a, b in dict.fromkeys(pairs):
        longest = rouge_score(a, b, rouge_keys="rougeL")["rougeL_fmeasure"]
        words = [bleu(a, b, n) for n in (1, 4)]
        found[a, b] = [*words, float(longest)]
    values = np.array([found[pair] for pair in pairs]).reshape(*np.shape(i), 3)
    return {name: values[..., k] for k, name in enumerate(("bleu_1", "bleu_4", "rouge_l"))}
