"""Captions from a model, for movies that nobody annotated.

Takes the rows of a movie's clips and its frames; adds to each row the caption of the middle frame of
every shot that the clip shows, joined with "Then" where there are several (as MinD-Video did with
BLIP). A frame that several clips share is captioned once. Attributes stay empty: a captioner gives none.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np

from boldreel.stimuli import annotation_table
from boldreel.training import device
from boldreel.training.progress import Progress

if TYPE_CHECKING:
    import pandas as pd

_BATCH = 32
_LONGEST = 30  # tokens of one caption


def key_frames(row: dict[str, Any], frame_rate: float, onsets: np.ndarray) -> list[int]:
    """The middle frame of each shot's part of a clip, in order.

    Parameters
    ----------
    onsets : of the movie's shots, s, rising
    """
    frames = row["first_frame"] + np.arange(row["n_frames"])
    shot = annotation_table.rows_at(onsets, frames / frame_rate)
    parts = np.split(frames, np.flatnonzero(np.diff(shot)) + 1)
    return [int(part[len(part) // 2]) for part in parts]


class Captioner:
    """An image-to-text model, a folder or hub id, that is loaded once, when the first frame needs it."""

    def __init__(self, model: str) -> None:
        self.model = model
        self._held = ExitStack()
        self._parts: tuple[Any, ...] | None = None

    def __enter__(self) -> Captioner:
        return self

    def __exit__(self, *error: object) -> None:
        self._held.close()
        self._parts = None

    def describe(
        self, rows: list[dict[str, Any]], frames: np.ndarray, frame_rate: float, shots: pd.DataFrame
    ) -> None:
        """Add caption (by the model) and attributes ({}) to the rows of one movie's clips.

        Parameters
        ----------
        frames : uint8 (n, h, w, 3)
        """
        onsets = shots["onset"].to_numpy()
        keys = [key_frames(row, frame_rate, onsets) for row in rows]
        wanted = sorted({frame for frames_of in keys for frame in frames_of})
        texts = dict(zip(wanted, self.caption(frames, wanted), strict=True))
        for row, frames_of in zip(rows, keys, strict=True):
            row["caption"] = annotation_table.join_captions([texts[frame] for frame in frames_of])
            row["attributes"] = "{}"

    def caption(self, frames: np.ndarray, wanted: list[int]) -> list[str]:
        """One caption per wanted frame."""
        import torch

        from boldreel.base_models import frozen

        if self._parts is None:
            where = self._held.enter_context(device.lease())
            self._parts = (*frozen.load_captioner(self.model, where), where)
        captions: list[str] = []
        with torch.inference_mode():
            progress = Progress(len(wanted), "caption frames")
            for low in range(0, len(wanted), _BATCH):
                batch = [np.asarray(frames[frame]) for frame in wanted[low : low + _BATCH]]
                captions += caption_batch(batch, *self._parts)
                progress.update(len(batch))
        return captions


def caption_batch(
    pictures: list[np.ndarray], network: Any, processor: Any, tokenizer: Any, where: Any
) -> list[str]:
    """One caption, greedily decoded, per picture uint8 (h, w, 3)."""
    pixels = processor(images=pictures, return_tensors="pt")["pixel_values"].to(where)
    tokens = network.generate(
        pixel_values=pixels, max_new_tokens=_LONGEST, do_sample=False, num_beams=1
    )
    texts = tokenizer.batch_decode(tokens, skip_special_tokens=True)
    return [text.strip() for text in texts]
