"""Options shared by the methods with a clip generator."""

from __future__ import annotations

from dataclasses import dataclass

from boldreel.errors import UserError
from boldreel.settings import from_workflow, setting
from boldreel.training.settings import MIXED_PRECISION


@dataclass(frozen=True)
class ClipGenerator:
    """Clips generated from a code of BOLD, at a size that is scaled to the movies'."""

    seed: int = from_workflow(0)
    code: int = setting(64, "Principal components of clips to which BOLD is mapped.", minimum=1)
    thumbnail: int = setting(
        16, "Side of the clips for these components.", unit="pixels", minimum=1
    )
    size: int = setting(
        64,
        "Side of the generated clips, a power of two; they are scaled to the movies' size.",
        unit="pixels",
        minimum=8,
    )
    latent: int = setting(128, "Width of the latent.", minimum=1)
    width: int = setting(
        32, "Channels at the drawn size; four times as many at a quarter.", minimum=1
    )
    batch_size: int = setting(16, "Clips of a batch.", minimum=1)
    reconstruction: float = setting(1.0, "Weight of the absolute error of pixels.", minimum=0)
    temporal: float = setting(
        0.5,
        "Weight of the absolute error of differences between neighbouring frames.",
        minimum=0,
    )
    average: float = setting(
        0.99,
        "Decay of the moving average of the weights; the average is kept.",
        minimum=0,
        maximum=1,
    )
    mixed_precision: str = setting("no", "Accelerate's mixed precision.", choices=MIXED_PRECISION)

    def __post_init__(self) -> None:
        if self.size & (self.size - 1):
            raise UserError(
                f"configuration: the size of a method's clips is {self.size}; it must be 8, 16, 32 or "
                "another power of two"
            )
