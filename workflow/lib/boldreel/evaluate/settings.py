"""Section `evaluate`: keys, units and bounds."""

from __future__ import annotations

from dataclasses import dataclass

from boldreel.settings import from_workflow, setting
from boldreel.stats.settings import InferenceSettings


@dataclass(frozen=True)
class JudgingSettings:
    """The keys that judging clips uses."""

    seed: int = from_workflow(0)
    batch_size: int = setting(8, "Clips that a classifier sees at once.", minimum=1)
    video_frames: str = setting(
        "clip",
        "Frames that a VideoMAE sees: those of the clip, as published, or as many as the model was trained "
        "on, with frames repeated.",
        choices=("clip", "model"),
    )


@dataclass(frozen=True)
class EvaluateSettings(InferenceSettings, JudgingSettings):
    """Scores, chance and intervals."""

    dataset: str = from_workflow("")
    # the most pairings for metrics on pixels, which take by far the longest; null for all
    pixel_shifts: int | None = from_workflow(None)
    n_way: tuple[int, ...] = setting(
        (2, 50), "n of n-way identification.", min_items=1, items={"minimum": 1}
    )
    top_k: tuple[int, ...] = setting((1,), "K of top-K.", min_items=1, items={"minimum": 1})
    clip_threshold: float = setting(
        0.6,
        "CLIP similarity below which thresholded CLIP-pcc counts a clip as 0.",
        minimum=0,
        maximum=1,
    )
    combination: tuple[str, ...] = setting(
        (), "Attributes whose combinations are split into seen and unseen in training."
    )
