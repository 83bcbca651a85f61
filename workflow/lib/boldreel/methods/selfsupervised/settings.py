"""Options of the method `selfsupervised` (`method_options.selfsupervised`)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from boldreel.errors import UserError
from boldreel.methods.settings import ClipGenerator
from boldreel.settings import setting


@dataclass(frozen=True)
class Settings(ClipGenerator):
    """An encoder and a decoder that train each other, on video without BOLD too."""

    encoder_epochs: int = setting(40, "Epochs of the encoder.", minimum=1)
    encoder_rate: float = setting(1e-3, "Learning rate of the encoder.", above=0)
    epochs: int = setting(60, "Epochs of the decoder.", minimum=1)
    rate: float = setting(1e-3, "Learning rate of the decoder.", above=0)
    perceptual: float = setting(
        0.2, "Weight of the distance in the frozen network's layers.", minimum=0
    )
    unpaired_video: float = setting(1.0, "Clips without BOLD for each pair.", minimum=0)
    unpaired_bold: float = setting(0.1, "Weight of the cycle from BOLD.", minimum=0)
    videos: str = setting("", "Folder of further movies; empty for none.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.videos and not Path(self.videos).is_dir():
            raise UserError(
                f"configuration: method_options.selfsupervised.videos: {self.videos} is no folder; name one "
                "with movies, or none"
            )
