"""The config section `reconstruct`: keys, units and defaults."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from boldreel.errors import UserError


@dataclass(frozen=True)
class ReconstructSettings:
    """Section ``reconstruct``.

    seed : of all samples, together with the clip's name.
    scheduler : a diffusers scheduler's class name, with or without its ending.
    scheduler_options : replace entries of its config, such as ``{"solver_order": 3}``.
    steps : sampling steps.
    guidance : scale s away from the negative condition; 1 is none and takes half the time.
    guided_share : of the steps, from pure noise on, that are guided at all, 0 to 1.
    batch : clips sampled at once.
    shards : jobs that a subject's clips are spread over (read by the workflow).
    repeats : ``average`` over all test repeats of a clip, or the number of repeats to average.
    """

    seed: int = 0
    scheduler: str = "DPMSolverMultistep"
    scheduler_options: dict[str, Any] = field(default_factory=dict)
    steps: int = 12
    guidance: float = 2.0
    guided_share: float = 0.6
    batch: int = 16
    shards: int = 1
    repeats: str | int = "average"

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 1:
            raise UserError("config section reconstruct: steps and batch are at least 1")
