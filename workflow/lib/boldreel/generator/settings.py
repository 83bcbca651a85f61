"""The config sections `generator` and `cotrain`: keys, units and defaults.

Takes the parsed section (plus ``seed``); leaves a frozen settings object, or one line on what is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from boldreel.errors import UserError
from boldreel.generator.losses import LossOptions
from boldreel.generator.video_unet import COMPAT, Inflation
from boldreel.section import read


@dataclass(frozen=True)
class Strip:
    """The sample strip of a validation: held-out clips, truth over sample."""

    clips: int = 4
    scheduler: str = "DPMSolverMultistep"
    steps: int = 12
    guidance: float = 2.0
    guided_share: float = 0.6


@dataclass(frozen=True)
class Optimization:
    """What tuning and co-training have in common.

    segments : patterns of the splits, by which movies are held out where none are named.
    epochs, steps_per_epoch, batch : amount of training, in clips; validated after each epoch.
    train : groups of attention layers that are trained: self, cross, temporal.
    learning_rate, temporal_learning_rate : of self- and cross-attention, and of the temporal layers.
    warmup : optimizer steps of linear warm-up, null for a tenth of all; then half a cosine to a tenth.
    ema : decay of the moving average of the weights, or null for none.
    min_snr, motion_weight, still_share : see `boldreel.generator.losses.LossOptions`.
    condition_dropout : share of training clips whose condition is replaced by the negative one.
    validation_clips : number of held-out clips that the loss is measured on (evenly spread).
    mixed_precision : no, bf16 or fp16.
    strip : the sample strips that are drawn at each validation.
    """

    seed: int = 0
    segments: dict[str, Any] = field(default_factory=dict)
    epochs: int = 6
    steps_per_epoch: int = 60
    batch: int = 8
    train: tuple[str, ...] = ("self", "cross", "temporal")
    learning_rate: float = 1e-4
    temporal_learning_rate: float = 1e-3
    weight_decay: float = 0.01
    warmup: int | None = None
    clip_norm: float = 1.0
    ema: float | None = 0.98
    min_snr: float | None = 5.0
    motion_weight: float = 1.0
    still_share: float = 0.5
    condition_dropout: float = 0.1
    validation_clips: int = 64
    mixed_precision: str = "no"
    gradient_checkpointing: bool = False
    strip: Strip = field(default_factory=Strip)

    def _read_strip(self, section: str) -> None:
        """The strip's own section, given as a dictionary, becomes an object."""
        if isinstance(self.strip, dict):
            object.__setattr__(self, "strip", read(Strip, self.strip, f"{section}.strip"))

    @property
    def steps(self) -> int:
        """Optimizer steps of the whole training."""
        return self.epochs * self.steps_per_epoch

    @property
    def warmup_steps(self) -> int:
        """Optimizer steps of the warm-up."""
        return self.steps // 10 if self.warmup is None else self.warmup

    @property
    def loss(self) -> LossOptions:
        """How the noise loss is weighed."""
        return LossOptions(self.min_snr, self.motion_weight, self.still_share)


@dataclass(frozen=True)
class GeneratorSettings(Optimization):
    """Section ``generator``.

    attention, positions, feed_forward, noise_correlation, image_above : how the image network is
        inflated, see `boldreel.generator.video_unet.Inflation`.
    compat : ``mindvideo`` inflates as published, quirks included, whatever those keys and the next say.
    prediction_type : what the network learns to predict, epsilon, v_prediction or sample; null is what the
        image network predicts.
    latents_batch : frames that the autoencoder codes at once.
    """

    attention: str = "previous-two"
    positions: str = "sinusoidal"
    feed_forward: bool = True
    noise_correlation: float = 1.0
    image_above: int | None = 400
    compat: str | None = None
    prediction_type: str | None = None
    latents_batch: int = 32

    def __post_init__(self) -> None:
        if self.compat not in COMPAT:
            raise UserError(f"generator.compat is {self.compat!r}; it must be mindvideo or null")
        if self.image_above is not None and self.noise_correlation != 1:
            raise UserError(
                f"generator.noise_correlation is {self.noise_correlation}: with image_above all frames "
                "part from one, so it must be 1; or set image_above to null"
            )
        self._read_strip("generator")

    @property
    def inflation(self) -> Inflation:
        """How the image network is inflated."""
        if self.compat == "mindvideo":
            return Inflation.published()
        return Inflation(
            self.attention,
            self.positions,
            self.feed_forward,
            self.noise_correlation,
            self.image_above,
            prediction_type=self.prediction_type,
        )


@dataclass(frozen=True)
class CotrainSettings(Optimization):
    """Section ``cotrain``.

    learning_rate, temporal_learning_rate : of the generator's layers.
    encoder_learning_rate : of the fMRI encoder.
    alignment : weight of the squared distance to the text condition, in units of its variance.
    image_weight, text_weight : of one minus the cosine to the clip's image and text embeddings.
    repeats : ``average`` trains on means over training repeats, ``each`` on single trials.
    """

    epochs: int = 4
    steps_per_epoch: int = 25
    learning_rate: float = 3e-5
    temporal_learning_rate: float = 3e-5
    encoder_learning_rate: float = 3e-5
    alignment: float = 1.0
    image_weight: float = 0.5
    text_weight: float = 0.5
    repeats: str = "average"

    def __post_init__(self) -> None:
        self._read_strip("cotrain")
