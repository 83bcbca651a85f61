"""Options of the method `cvgan` (`method_options.cvgan`)."""

from __future__ import annotations

from dataclasses import dataclass

from boldreel.errors import UserError
from boldreel.training.precision import DTYPES


@dataclass(frozen=True)
class Settings:
    """What can be chosen.

    seed : of everything random.
    code : principal components of clips that BOLD is mapped to. thumbnail : side in pixels at which they
        are taken.
    size : side in pixels at which clips are drawn, a power of two; they are scaled to the movies' size.
    latent : width of the latent. width : channels at that size; four times as many at a quarter.
    epochs, batch : of the training.
    generator_rate, discriminator_rate : learning rates.
    adversarial, reconstruction, temporal : weights of the generator's losses: hinge, absolute error of
        pixels, absolute error of differences between neighbouring frames.
    average : decay of the moving average of weights, which is what is kept.
    mixed_precision : float type of the training: `no`, `bf16`, `fp16`.
    """

    seed: int = 0
    code: int = 64
    thumbnail: int = 16
    size: int = 64
    latent: int = 128
    width: int = 32
    epochs: int = 60
    batch: int = 16
    generator_rate: float = 2e-4
    discriminator_rate: float = 4e-4
    adversarial: float = 0.05
    reconstruction: float = 1.0
    temporal: float = 0.5
    average: float = 0.99
    mixed_precision: str = "no"

    def __post_init__(self) -> None:
        sizes = (self.code, self.thumbnail, self.latent, self.width, self.epochs, self.batch)
        if min(sizes) < 1:
            raise UserError("method_options.cvgan: sizes, epochs and batch are at least 1")
        if self.size < 8 or self.size & (self.size - 1):
            raise UserError(
                f"method_options.cvgan.size is {self.size}; it must be 8, 16, 32 or another power of two"
            )
        if self.mixed_precision not in DTYPES:
            raise UserError(
                f"method_options.cvgan.mixed_precision is {self.mixed_precision!r}; it must be one of "
                f"{', '.join(DTYPES)}"
            )
