"""Section `insilico`: keys, units and bounds."""

from __future__ import annotations

from dataclasses import dataclass

from boldreel.errors import UserError
from boldreel.settings import from_workflow, setting, subsection


@dataclass(frozen=True)
class Rest:
    """The resting-state cohort that pretraining uses."""

    subjects: tuple[str, ...] = setting(("rest01", "rest02", "rest03"), "Labels of the cohort.")
    runs: int = setting(2, "Resting runs of each.", minimum=1)
    volumes: int = setting(240, "Volumes of a resting run.", minimum=10)
    explainable_variance: float = setting(
        0.1,
        "Median share of variance that comes from spontaneous activity.",
        minimum=0,
        maximum=0.5,
    )


@dataclass(frozen=True)
class InsilicoSettings:
    """The simulated data set of the demo; not used if `bids` is set."""

    seed: int = from_workflow(0)
    t_r: float = setting(2.0, "Repetition time, s.", above=0)
    volumes: int = setting(120, "Volumes of a run that shows a movie.", minimum=10)
    voxel_size: float = setting(4.0, "Edge of a voxel, mm.", above=0)
    train_movies: int = setting(6, "Number of training movies, one segment each.", minimum=1)
    test_movies: int = setting(2, "Number of test movies.", minimum=1)
    train_repeats: int = setting(2, "Runs of each training movie.", minimum=1)
    test_repeats: int = setting(10, "Runs of each test movie.", minimum=1)
    movie_onset: float = setting(
        0.0, "Seconds from the start of a run to the start of its movie.", minimum=0
    )
    explainable_variance: dict[str, float] = setting(
        {"01": 0.03, "02": 0.01, "03": 0.0},
        "Median share of a visual voxel's variance explained by the stimulus of a single trial,"
        " by subject.",
        items={"minimum": 0, "maximum": 0.5},
    )
    default_explainable_variance: float = setting(
        0.02, "The same for other subjects.", minimum=0, maximum=0.5
    )
    rest: Rest = subsection(Rest, "The resting-state cohort that pretraining uses.")

    def __post_init__(self) -> None:
        if (2 * self.movie_onset) % 1:
            raise UserError(
                f"configuration: insilico.movie_onset is {self.movie_onset}; give seconds in steps of 0.5"
            )
