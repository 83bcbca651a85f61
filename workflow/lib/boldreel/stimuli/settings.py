"""Section `stimuli`: keys, units and bounds."""

from __future__ import annotations

from dataclasses import dataclass

from boldreel.settings import by_preset, from_workflow, setting


@dataclass(frozen=True)
class StimuliSettings:
    """Movies: decoding, shots, clips."""

    seed: int = from_workflow(0)
    caption: str | None = from_workflow(None)  # the captioner of `models`
    folder: str | None = setting(
        None, "Folder of the movies; null means `stimuli/` in the data set."
    )
    annotations: str | None = setting(
        None,
        "One table that annotates movies, with a column `movie` (its name, or its path below the folder) in "
        "addition to those of `NAME.tsv`; movies that it does not name are captioned. Null means the tables "
        "next to the movies.",
    )
    frame_rate: float = setting(3.0, "Frames per second that are kept.", above=0)
    size: int = by_preset("Edge of the square frames, pixels.", minimum=8)
    clip_duration: float = setting(2.0, "Length of a clip, s.", above=0)
    shots: str = setting(
        "annotations",
        "Source of shots: the annotations next to the movie if there are any, or detection.",
        choices=("annotations", "detect"),
    )
    variants: int = setting(
        2,
        "Number of random crops of each training clip's middle frame, and of captions with one "
        "word replaced; `align` may use their features instead of the clip's own.",
        minimum=0,
    )
