"""Options of the method `linear` (`method_options.linear`)."""

from __future__ import annotations

from dataclasses import dataclass

from boldreel.settings import from_workflow, setting


@dataclass(frozen=True)
class Settings:
    """Linear maps from BOLD to layers of the image classifier, and back to a picture."""

    seed: int = from_workflow(0)
    early: int = setting(200, "Principal components of the early layer.", minimum=1)
    late: int = setting(100, "Principal components of the late layer.", minimum=1)
    picture: int = setting(
        64,
        "Side at which the inverse draws, scaled to the movies' size.",
        unit="pixels",
        minimum=1,
    )
    readout: str = setting(
        "inverse",
        "Which picture is the reconstruction: the inverse, or the nearest training clip.",
        choices=("inverse", "nearest"),
    )
