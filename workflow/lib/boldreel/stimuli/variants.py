"""Other pictures and sentences of the same clip, for augmentation in the alignment.

Takes frames and captions of training movies; returns crops of frames, and captions in which a word is
replaced by the training captions' word that is nearest in meaning. Features of frozen models are computed
once, so that variants are drawn here and chosen from in training. Seeded: a clip has its own.
"""

from __future__ import annotations

import zlib

import numpy as np

SMALLEST = 0.6  # edge of a crop, as a share of the frame's
SIMILAR = 0.7  # cosine of words' embeddings, from their common mean, above which one may replace the other


def generator(seed: int, clip: str) -> np.random.Generator:
    """Random numbers of a clip, whatever other clips there are."""
    return np.random.default_rng([seed, zlib.crc32(clip.encode())])


def crop(frame: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """A rectangle of a frame (h, w, 3) of the same proportions, SMALLEST to all of it, anywhere."""
    share = draw.uniform(SMALLEST, 1)
    height, width = (max(1, round(share * size)) for size in frame.shape[:2])
    top = draw.integers(frame.shape[0] - height + 1)
    left = draw.integers(frame.shape[1] - width + 1)
    return frame[top : top + height, left : left + width]


def vocabulary(captions: list[str]) -> list[str]:
    """The words of captions, lower case, sorted."""
    return sorted({word for caption in captions for word in caption.lower().split()})


def synonyms(words: list[str], embeddings: np.ndarray) -> dict[str, str]:
    """For each word the nearest other one, where it is SIMILAR.

    embeddings : (words, D) of the words alone, unit norm; their mean, which every text shares, is taken
    out.
    """
    if len(words) < 2:
        return {}
    centred = embeddings - embeddings.mean(0)
    centred = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
    cosine = centred @ centred.T
    np.fill_diagonal(cosine, -1)
    nearest = cosine.argmax(1)
    return {
        word: words[other]
        for word, other, value in zip(words, nearest, cosine.max(1), strict=True)
        if value >= SIMILAR
    }


def replace_word(caption: str, known: dict[str, str], draw: np.random.Generator) -> str:
    """The caption with one word, drawn among those that have a synonym, replaced; as it is if none has."""
    words = caption.split()
    places = [place for place, word in enumerate(words) if word.lower() in known]
    if not places:
        return caption
    place = places[draw.integers(len(places))]
    words[place] = known[words[place].lower()]
    return " ".join(words)
