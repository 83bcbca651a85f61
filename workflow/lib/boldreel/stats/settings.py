"""Keys of intervals and tests, shared by every score of the group's table."""

from __future__ import annotations

from dataclasses import dataclass

from boldreel.settings import from_workflow, setting


@dataclass(frozen=True)
class InferenceSettings:
    """The keys that the p of a score uses, of retrieval as of reconstruction."""

    seed: int = from_workflow(0)
    permutations: int = setting(2000, "Largest number of joint circular shifts for a p.", minimum=1)
    shifts: int = setting(
        40,
        "Largest number of circular shifts per run, for p and for the shuffled pairs.",
        minimum=1,
    )
    min_shift: float = setting(
        0.0,
        "Shortest circular shift, s. No shift is shorter than the run's longest shot either.",
        minimum=0,
    )
