"""Keys of intervals and tests, shared by every score of the group's table."""

from __future__ import annotations

from dataclasses import dataclass

from boldreel.settings import from_workflow, setting


@dataclass(frozen=True)
class PairedSettings:
    """The keys that comparing two sets of scores clip by clip uses."""

    seed: int = from_workflow(0)
    resamples: int = setting(2000, "Bootstrap resamples of shots.", minimum=1)
    permutations: int = setting(2000, "Largest number of circular shifts for a p.", minimum=1)


@dataclass(frozen=True)
class InferenceSettings(PairedSettings):
    """The keys that the interval and the p of a score use, of retrieval as of reconstruction."""

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
    min_shift: float = setting(
        0.0,
        "Shortest circular shift, s. No shift is shorter than the run's longest shot either.",
        minimum=0,
    )
