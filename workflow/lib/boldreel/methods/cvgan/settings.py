"""Options of the method `cvgan` (`method_options.cvgan`)."""

from __future__ import annotations

from dataclasses import dataclass

from boldreel.methods.settings import ClipGenerator
from boldreel.settings import setting


@dataclass(frozen=True)
class Settings(ClipGenerator):
    """A conditional video GAN."""

    epochs: int = setting(60, "Passes over the training clips.", minimum=1)
    generator_rate: float = setting(2e-4, "Learning rate of the generator.", above=0)
    discriminator_rate: float = setting(4e-4, "Learning rate of the discriminators.", above=0)
    adversarial: float = setting(0.05, "Weight of the generator's hinge loss.", minimum=0)
