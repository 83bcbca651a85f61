"""Options of the method `selfsupervised` (`method_options.selfsupervised`)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from boldreel.errors import UserError
from boldreel.training.precision import DTYPES


@dataclass(frozen=True)
class Settings:
    """What can be chosen.

    seed : of everything random.
    code, thumbnail, size, latent, width : as in `cvgan`; `width` also of the encoder.
    encoder_epochs, encoder_rate : of the encoder's training. epochs, rate : of the decoder's.
    batch : pairs in a step of either.
    reconstruction, perceptual, temporal : weights of the losses of a drawn clip: absolute error of pixels,
        distance in the frozen network's layers, absolute error of differences between neighbouring frames.
    unpaired_video : clips without BOLD for each pair. unpaired_bold : weight of the cycle from BOLD.
    videos : folder of further movies, or nothing.
    average : decay of the moving average of weights, which is what is kept.
    mixed_precision : float type of both trainings: `no`, `bf16`, `fp16`.
    """

    seed: int = 0
    code: int = 64
    thumbnail: int = 16
    size: int = 64
    latent: int = 128
    width: int = 32
    encoder_epochs: int = 40
    encoder_rate: float = 1e-3
    epochs: int = 60
    rate: float = 1e-3
    batch: int = 16
    reconstruction: float = 1.0
    perceptual: float = 0.2
    temporal: float = 0.5
    unpaired_video: float = 1.0
    unpaired_bold: float = 0.1
    videos: str = ""
    average: float = 0.99
    mixed_precision: str = "no"

    def __post_init__(self) -> None:
        here = "method_options.selfsupervised"
        sizes = (self.code, self.thumbnail, self.latent, self.width, self.batch)
        if min(*sizes, self.encoder_epochs, self.epochs) < 1:
            raise UserError(f"{here}: sizes, epochs and batch are at least 1")
        if min(self.unpaired_video, self.unpaired_bold, self.perceptual) < 0:
            raise UserError(f"{here}: weights and shares are 0 or more")
        if self.size < 8 or self.size & (self.size - 1):
            raise UserError(
                f"{here}.size is {self.size}; it must be 8, 16, 32 or another power of two"
            )
        if self.videos and not Path(self.videos).is_dir():
            raise UserError(
                f"{here}.videos: {self.videos} is no folder; name one with movies, or none"
            )
        if self.mixed_precision not in DTYPES:
            raise UserError(
                f"{here}.mixed_precision is {self.mixed_precision!r}; it must be one of "
                f"{', '.join(DTYPES)}"
            )
