"""The config section `reconstruct`: keys, units and defaults; names of controls."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from boldreel.errors import UserError
from boldreel.section import read
from boldreel.training import precision

CONTROLS = ("mean", "noise", "other", "caption")
SEED = "seed-"  # and the number of the sample: the control that only draws other noise
FOLDER = "control-"  # and the control's name: the folder of what was drawn


def control_of(folder: Path, known: Sequence[str] = (*CONTROLS, SEED)) -> str:
    """The control that a folder is for; UserError where there is none of that name.

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
    """How a clip goes on from the one before it in the movie.

    frames : last frames of the clip before that all frames of a clip attend to.
    strength : share of the sampling steps that are taken, 0 to 1: they start from the last frame under
        noise; with 1 from noise alone, so that only attention ties the clips.
    """

    frames: int = 2
    strength: float = 0.8


@dataclass(frozen=True)
class ReconstructSettings:
    """Section ``reconstruct``.

    seed : of all samples, together with the clip's name.
    scheduler : a diffusers scheduler's class name, with or without its ending.
    scheduler_options : replace entries of its config, such as ``{"solver_order": 3}``.
    steps : sampling steps.
    guidance : scale s away from the negative condition; 1 is none and takes half the time.
    guided_share : of the steps, from pure noise on, that are guided at all, 0 to 1.
    samples : how many are drawn for each clip; scores are of the first, never of the best.
    continuous : null for clips that stand alone, or how each goes on from the one before it.
    controls : what is drawn in place of a subject's responses, for comparison: ``mean``, the mean training
        response; ``noise``, noise of the size that a mean over test repeats would have without signal;
        ``other``, another subject's responses to the same clips; ``caption``, the training caption nearest
        to what the encoder predicts, and nothing else of the prediction.
    control_clips : how many test clips are drawn for each control and each further seed, evenly spread.
    seeds : how many seeds of the sampling noise are compared, the reconstruction's own among them (read by
        the workflow; continuous movies have one alone).
    batch : clips sampled at once.
    shards : jobs that a subject's clips are spread over (read by the workflow).
    repeats : ``average`` over all test repeats of a clip, or the number of repeats to average.
    mixed_precision : float type of the networks, see `boldreel.training.precision.dtype`; latents
        stay float32.
    """

    seed: int = 0
    scheduler: str = "DPMSolverMultistep"
    scheduler_options: dict[str, Any] = field(default_factory=dict)
    steps: int = 25
    guidance: float = 2.0
    guided_share: float = 0.6
    samples: int = 1
    continuous: Continuous | None = None
    controls: tuple[str, ...] = CONTROLS
    control_clips: int = 60
    seeds: int = 3
    batch: int = 16
    shards: int = 1
    repeats: str | int = "average"
    mixed_precision: str = "auto"

    def __post_init__(self) -> None:
        if self.mixed_precision not in precision.NAMES:
            raise UserError(
                f"reconstruct.mixed_precision is {self.mixed_precision!r}; it must be one of "
                f"{', '.join(precision.NAMES)}"
            )
        if min(self.steps, self.batch, self.samples, self.seeds) < 1:
            raise UserError(
                "config section reconstruct: steps, batch, samples and seeds are at least 1"
            )
        if isinstance(self.continuous, dict):
            given = read(Continuous, self.continuous, "reconstruct.continuous")
            object.__setattr__(self, "continuous", given)
        if self.continuous is not None and not (
            self.continuous.frames >= 1 and 0 < self.continuous.strength <= 1
        ):
            raise UserError(
                "config section reconstruct.continuous: frames is at least 1, strength above 0 and at most 1"
            )
