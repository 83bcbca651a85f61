"""Options of the method `linear` (`method_options.linear`)."""

from __future__ import annotations

from dataclasses import dataclass

from boldreel.errors import UserError

READOUTS = ("inverse", "nearest")


@dataclass(frozen=True)
class Settings:
    """What can be chosen.

    seed : of the principal components' solver.
    early, late : principal components of the early and the late layer.
    picture : side in pixels at which the inverse draws; it is scaled to the movies' size.
    readout : which picture stands in frames.npy, the `inverse` or the `nearest` training clip.
    """

    seed: int = 0
    early: int = 200
    late: int = 100
    picture: int = 64
    readout: str = "inverse"

    def __post_init__(self) -> None:
        if self.readout not in READOUTS:
            raise UserError(
                f"method_options.linear.readout is {self.readout!r}; it must be one of "
                f"{', '.join(READOUTS)}"
            )
        if min(self.early, self.late, self.picture) < 1:
            raise UserError("method_options.linear: early, late and picture are at least 1")
