"""Section `evaluate`: keys, units and bounds."""

from __future__ import annotations

from dataclasses import dataclass

from boldreel.settings import from_workflow, setting


@dataclass(frozen=True)
class JudgingSettings:
    """The keys that judging clips uses."""

    seed: int = from_workflow(0)
    batch_size: int = setting(8, "Clips that a classifier sees at once.", minimum=1)


@dataclass(frozen=True)
class PairedSettings:
    """The keys that comparing two sets of reconstructions clip by clip uses."""

    seed: int = from_workflow(0)
    resamples: int = setting(2000, "Bootstrap resamples of shots.", minimum=1)
    permutations: int = setting(2000, "Largest number of circular shifts for a p.", minimum=1)


@dataclass(frozen=True)
class EvaluateSettings(PairedSettings, JudgingSettings):
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
    resample_runs: bool = setting(
        False,
        "Whether intervals resample runs as well as the shots within each run, so that they "
        "generalise to other runs. With fewer than five runs there is no interval then.",
    )
    shifts: int = setting(
        40,
        "Largest number of circular shifts per run, for p and for the shuffled pairs.",
        minimum=1,
    )
    combination: tuple[str, ...] = setting(
        (), "Attributes whose combinations are split into seen and unseen in training."
    )
