"""Frames as the autoencoder gives them back: the best that a generator in its latents can deliver.

Takes a corpus and the autoencoder; returns a corpus of its first items, encoded and decoded.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from boldreel.data import atomic
from boldreel.insilico.base_models import vae as autoencoder
from boldreel.insilico.base_models.corpus import Corpus
from boldreel.insilico.base_models.progress import Progress

if TYPE_CHECKING:
    from diffusers import AutoencoderKL


def code(vae: AutoencoderKL, frames: np.ndarray) -> np.ndarray:
    """Encode and decode uint8 (n, n_frames, 64, 64, 3); the same shape comes back."""
    flat = np.ascontiguousarray(frames).reshape(-1, *frames.shape[2:])
    return autoencoder.decode(vae, autoencoder.encode(vae, flat)).reshape(frames.shape)


def coded_corpus(vae: AutoencoderKL, corpus: Corpus, n_items: int, path: Path) -> Corpus:
    """The first ``n_items`` of a corpus after coding; the frames are kept in ``path``."""
    n_items = min(n_items, len(corpus))
    if not path.exists():
        progress = Progress(f"coding {path.stem}", n_items)
        parts = []
        for start in range(0, n_items, 64):
            parts.append(code(vae, corpus.frames[start : min(start + 64, n_items)]))
            progress.update(min(start + 64, n_items))
        with atomic.file(path) as aside:
            np.save(aside, np.concatenate(parts))
    first = corpus.first(n_items)
    return Corpus(np.load(path, mmap_mode="r"), first.masks, first.labels)
