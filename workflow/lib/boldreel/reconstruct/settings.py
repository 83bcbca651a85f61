"""Section `reconstruct`: keys, units and bounds; names of controls."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boldreel.errors import UserError
from boldreel.settings import by_preset, from_workflow, setting
from boldreel.training.settings import MIXED_PRECISION

CONTROLS = ("mean", "noise", "other", "caption")
SEED = "seed-"  # and the number of the sample: the control that only draws other noise
FOLDER = "control-"  # and the control's name: the folder of what was drawn


def control_of(folder: Path, known: Sequence[str] = (*CONTROLS, SEED)) -> str:
    """The control that a folder is for; UserError if there is none of that name.

    known : names; to one that ends in a dash belongs a number from 1 on.
    """
    name = folder.name.removeprefix(FOLDER)
    plain = re.sub(r"(?<=-)[1-9][0-9]*$", "", name)
    if folder.name != FOLDER + name or plain not in known or name.endswith("-"):
        told = (f"{other}N with N from 1 on" if other.endswith("-") else other for other in known)
        raise UserError(f"{folder}: no such control; name it {FOLDER} and one of {', '.join(told)}")
    return name


@dataclass(frozen=True)
class Continuous:
    """How a clip continues the previous one in the movie."""

    frames: int = setting(
        2, "Last frames of the previous clip to which all frames of a clip attend.", minimum=1
    )
    strength: float = setting(
        0.8,
        "Share of the sampling steps to take, starting from the previous clip's last frame plus"
        " noise. With 1, sampling starts from pure noise, and only attention links the clips.",
        above=0,
        maximum=1,
    )


@dataclass(frozen=True)
class EncodingSettings:
    """The keys that encoding the test windows uses."""

    seed: int = from_workflow(0)
    repeats: str | int = setting(
        "average", "Test repeats to average: `average` for all, or a number."
    )


@dataclass(frozen=True)
class ReconstructSettings(EncodingSettings):
    """Sampling of test clips."""

    scheduler: str = setting("DPMSolverMultistep", "A diffusers scheduler.")
    scheduler_options: dict[str, Any] = setting({}, "Entries of its configuration to override.")
    steps: int = by_preset("Sampling steps.", minimum=1)
    guidance: float = by_preset("Guidance away from the mean training condition; 1 is none.")
    guided_share: float = by_preset(
        "Share of the steps that are guided, counted from pure noise.", minimum=0, maximum=1
    )
    mixed_precision: str = setting(
        "auto",
        "Float type of the networks while sampling; auto is bf16 if the hardware supports it.",
        choices=("auto", *MIXED_PRECISION),
    )
    samples: int = setting(
        1, "Samples of each clip; scores use the first, never the best.", minimum=1
    )
    continuous: Continuous | None = setting(
        None,
        "Continuous movies: each clip continues from the end of the previous one. {} uses the "
        "defaults below; null draws independent clips.",
    )
    controls: tuple[str, ...] = setting(
        CONTROLS,
        "What replaces a subject's test responses for comparison: the mean training response, "
        "noise, the responses of another subject (the first by label; for the first, the "
        "second), the training caption nearest to the prediction.",
        unique=True,
        items={"choices": CONTROLS},
    )
    control_clips: int = setting(
        60, "Test clips drawn for each control and each further seed, evenly spaced.", minimum=1
    )
    seeds: int = setting(
        3,
        "Number of seeds of the sampling noise to compare, the reconstruction's own included; "
        "continuous movies have only one.",
        minimum=1,
    )
    batch_size: int = by_preset("Clips sampled at once.", minimum=1)
    shards: int = by_preset("Jobs among which a subject's test clips are split.", minimum=1)
