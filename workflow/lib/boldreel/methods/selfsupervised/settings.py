"""Options of the method `selfsupervised` (`method_options.selfsupervised`)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from boldreel.errors import UserError
from boldreel.settings import from_workflow, setting
from boldreel.training.settings import MIXED_PRECISION


@dataclass(frozen=True)
class Settings:
    """An encoder and a decoder that train each other, on video without BOLD too."""

    seed: int = from_workflow(0)
    code: int = setting(64, "Principal components of clips that BOLD is mapped to.", minimum=1)
    thumbnail: int = setting(16, "Side at which they are taken.", unit="pixels", minimum=1)
    size: int = setting(
        64,
        "Side at which clips are drawn, a power of two; they are scaled to the movies' size.",
        unit="pixels",
        minimum=8,
    )
    latent: int = setting(128, "Width of the latent.", minimum=1)
    width: int = setting(
        32,
        "Channels at the drawn size, and of the encoder; four times as many at a quarter.",
        minimum=1,
    )
    encoder_epochs: int = setting(40, "Epochs of the encoder.", minimum=1)
    encoder_rate: float = setting(1e-3, "Learning rate of the encoder.", above=0)
    epochs: int = setting(60, "Epochs of the decoder.", minimum=1)
    rate: float = setting(1e-3, "Learning rate of the decoder.", above=0)
    batch_size: int = setting(16, "Pairs of a batch, of either.", minimum=1)
    reconstruction: float = setting(1.0, "Weight of the absolute error of pixels.", minimum=0)
    perceptual: float = setting(
        0.2, "Weight of the distance in the frozen network's layers.", minimum=0
    )
    temporal: float = setting(
        0.5,
        "Weight of the absolute error of differences between neighbouring frames.",
        minimum=0,
    )
    unpaired_video: float = setting(1.0, "Clips without BOLD for each pair.", minimum=0)
    unpaired_bold: float = setting(0.1, "Weight of the cycle from BOLD.", minimum=0)
    videos: str = setting("", "Folder of further movies; empty for none.")
    average: float = setting(
        0.99,
        "Decay of the moving average of the weights, which is what is kept.",
        minimum=0,
        maximum=1,
    )
    mixed_precision: str = setting("no", "Accelerate's mixed precision.", choices=MIXED_PRECISION)

    def __post_init__(self) -> None:
        if self.size & (self.size - 1):
            raise UserError(
                f"configuration: method_options.selfsupervised.size is {self.size}; it must be 8, 16, 32 or "
                "another power of two"
            )
        if self.videos and not Path(self.videos).is_dir():
            raise UserError(
                f"configuration: method_options.selfsupervised.videos: {self.videos} is no folder; name one "
                "with movies, or none"
            )
