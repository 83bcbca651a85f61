"""Section `evaluate`: keys, units and bounds."""

from __future__ import annotations

from dataclasses import dataclass

from boldreel.settings import from_workflow, setting


@dataclass(frozen=True)
class JudgingSettings:
    """What looking at clips takes of the section."""

    seed: int = from_workflow(0)
    batch_size: int = setting(8, "Clips that a classifier sees at once.", minimum=1)


@dataclass(frozen=True)
class PairedSettings:
    """What comparing two sets of reconstructions clip by clip takes of the section."""

    seed: int = from_workflow(0)
    resamples: int = setting(2000, "Bootstrap resamples of shots.", minimum=1)
    permutations: int = setting(2000, "Most circular shifts for a p.", minimum=1)


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
        "CLIP similarity under which thresholded CLIP-pcc counts a clip as 0.",
        minimum=0,
        maximum=1,
    )
    resample_runs: bool = setting(
        False,
        "Whether intervals draw runs with replacement too, not shots within each alone, so that "
        "they are of other runs as well; fewer than five runs give none then.",
    )
    shifts: int = setting(
        40, "Most circular shifts per run, for p and for the shuffled pairing.", minimum=1
    )
    combination: tuple[str, ...] = setting(
        (), "Attributes whose combination counts as seen or unseen in training."
    )
