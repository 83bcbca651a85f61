"""How long each base model trains, and on how much: the one place for these numbers."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """Numbers of items and training steps; ``scaled`` gives a shortened version of everything."""

    frames: int = 40_000
    clips: int = 6_000
    test_frames: int = 1_024
    test_clips: int = 512
    coded_frames: int = 3_000
    coded_clips: int = 1_500
    blobs: int = 6_000
    coded_blobs: int = 1_500
    vae_crop_steps: int = 1_500
    vae_frame_steps: int = 1_200
    vae_decoder_steps: int = 1_000
    clip_steps: int = 1_000
    clip_image_steps: int = 4_000
    image_classifier_steps: int = 1_500
    video_classifier_steps: int = 2_000
    unet_frames: int = 40_000
    unet_steps: int = 6_000
    samples: int = 192

    def scaled(self, factor: float) -> Recipe:
        """All numbers times ``factor``, at least 4 each."""
        return Recipe(
            **{key: max(4, round(n * factor)) for key, n in dataclasses.asdict(self).items()}
        )
