"""Sections `generator` and `cotrain`: keys, units and bounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from boldreel.errors import UserError
from boldreel.settings import by_preset, from_workflow, setting, subsection
from boldreel.training.settings import MIXED_PRECISION, check_training

if TYPE_CHECKING:  # the networks need torch and diffusers, which a plan does without
    from boldreel.generator.losses import LossOptions
    from boldreel.models.video_unet import Inflation


@dataclass(frozen=True)
class Strip:
    """The sample strip drawn at each validation."""

    clips: int = by_preset("Clips.", minimum=1)
    scheduler: str = setting("DPMSolverMultistep", "A diffusers scheduler.")
    steps: int = by_preset("Sampling steps.", minimum=1)
    guidance: float = by_preset("Guidance scale.")
    guided_share: float = by_preset("Share of the steps that are guided.", minimum=0, maximum=1)


@dataclass(frozen=True)
class Optimization:
    """Keys that tuning and co-training share. Validated after each epoch."""

    seed: int = from_workflow(0)
    epochs: int = by_preset("Epochs.", minimum=0)
    steps_per_epoch: int = by_preset("Optimizer steps of an epoch.", minimum=1)
    batch_size: int = by_preset("Clips of a batch.", minimum=1)
    train: tuple[str, ...] = setting(
        ("self", "cross", "temporal"), "Attention layers that are trained.", min_items=1
    )
    weight_decay: float = setting(0.01, "Weight decay.", minimum=0)
    warmup_epochs: float | None = setting(
        None,
        "Epochs of linear warm-up (null: a tenth of all), then half a cosine to a tenth.",
        minimum=0,
    )
    clip_norm: float = setting(1.0, "Norm to which gradients are clipped.", above=0)
    ema: float | None = by_preset("Decay of the moving average of the weights, null for none.")
    min_snr: float | None = setting(5.0, "Gamma of min-SNR weighting, null for none.")
    condition_dropout: float = setting(
        0.1, "Share of clips whose condition is replaced by the negative one.", minimum=0, maximum=1
    )
    motion_weight: float = setting(
        1.0, "Weight of the part of the error that differs between the frames of a clip.", minimum=0
    )
    still_share: float = setting(
        0.5, "Share of training clips shown as stills.", minimum=0, maximum=1
    )
    validation_clips: int = by_preset("Held-out clips on which the loss is measured.", minimum=1)
    mixed_precision: str = by_preset("Accelerate's mixed precision.", choices=MIXED_PRECISION)
    gradient_checkpointing: bool = by_preset("Trade time for memory.")
    processes: int = setting(
        1,
        "Processes that train together, one per GPU. They split each batch; results stay the same.",
        minimum=1,
    )
    strip: Strip = subsection(Strip, "The sample strip drawn at each validation.")

    def _check_training(self, section: str) -> None:
        check_training(
            section,
            epochs=self.epochs,
            warmup_epochs=self.warmup_epochs,
            batch_size=self.batch_size,
            processes=self.processes,
        )

    @property
    def steps(self) -> int:
        """Optimizer steps of the whole training."""
        return self.epochs * self.steps_per_epoch

    @property
    def warmup_steps(self) -> int:
        """Optimizer steps of the warm-up."""
        if self.warmup_epochs is None:
            return self.steps // 10
        return round(self.warmup_epochs * self.steps_per_epoch)

    @property
    def loss(self) -> LossOptions:
        """How the noise loss is weighed."""
        from boldreel.generator.losses import LossOptions

        return LossOptions(self.min_snr, self.motion_weight, self.still_share)


@dataclass(frozen=True)
class LatentsSettings:
    """The keys of the section `generator` that encoding the frames uses."""

    latents_batch: int = by_preset("Frames that the autoencoder encodes at once.", minimum=1)


@dataclass(frozen=True)
class GeneratorSettings(Optimization, LatentsSettings):
    """The video generator, tuned on training movies."""

    backbone: str = by_preset(
        "The video network: packed draws a middle frame and its motion, from what is read of a clip and how "
        "well it is read; inflated gives the image network layers across frames, as published. The keys "
        "from `train` on that name attention, noise, frames or `compat` are those of inflated.",
        choices=("packed", "inflated"),
    )
    motion_channels: int = setting(
        8,
        "With packed, and without `models.video`: components at most of the frames' differences in "
        "each cell.",
        minimum=1,
    )
    attention: str = setting(
        "previous-two",
        "Frames whose keys and values a frame reads; previous-two is as published.",
        choices=("previous-two", "first-previous", "own-previous", "full", "own"),
    )
    positions: str = setting(
        "sinusoidal", "Frame positions of temporal attention.", choices=("sinusoidal", "none")
    )
    noise_correlation: float = setting(
        1.0, "Correlation of the noise of a clip's frames.", minimum=0, maximum=1
    )
    feed_forward: bool = setting(True, "Give each temporal layer a feed-forward part.")
    image_above: int | None = setting(
        400,
        "Timestep above which a sample is a single frame, from which the frames of the clip "
        "then diverge; null means clips at all timesteps, as published.",
        minimum=0,
        maximum=1000,
    )
    compat: str | None = setting(
        None,
        "mindvideo inflates as published and overrides the five keys above and prediction_type:"
        " previous two frames, no frame positions, no feed-forward part, independent noise, "
        "clips at all timesteps, group norms over all frames of a clip, temporal bias not zero "
        "at the start.",
        choices=("mindvideo", None),
    )
    prediction_type: str | None = setting(
        None,
        "What the network learns to predict; null means the target of the image network. "
        "Another target takes longer to learn.",
        choices=("epsilon", "v_prediction", "sample", None),
    )
    learning_rate: float = setting(
        0.0001, "Peak learning rate of self- and cross-attention.", above=0
    )
    temporal_learning_rate: float = setting(
        0.001,
        "Peak learning rate of what the image network does not have: temporal attention; with packed, its "
        "first and last layer.",
        above=0,
    )

    def __post_init__(self) -> None:
        self._check_training("generator")
        if self.image_above is not None and self.noise_correlation != 1 and self.compat is None:
            raise UserError(
                f"configuration: generator.noise_correlation is {self.noise_correlation}: with image_above "
                "all frames part from one, so it must be 1; or set image_above to null"
            )

    @property
    def inflation(self) -> Inflation:
        """How the image network is inflated."""
        from boldreel.models.video_unet import Inflation

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
    """Encoder and generator of a subject, tuned together."""

    learning_rate: float = setting(
        3e-05, "Peak learning rate of self- and cross-attention.", above=0
    )
    temporal_learning_rate: float = setting(
        3e-05, "Peak learning rate of what the image network does not have.", above=0
    )
    encoder_learning_rate: float = setting(3e-05, "Peak learning rate of the encoder.", above=0)
    alignment: float = setting(
        1.0,
        "Weight of the squared distance to the text condition, in units of its variance.",
        minimum=0,
    )
    image_weight: float = setting(
        0.5, "Weight of one minus the cosine to the clip's image embedding.", minimum=0
    )
    text_weight: float = setting(
        0.5, "Weight of one minus the cosine to the clip's text embedding.", minimum=0
    )
    repeats: str = setting(
        "average",
        "Train on means over training repeats, or on single trials.",
        choices=("average", "each"),
    )

    def __post_init__(self) -> None:
        self._check_training("cotrain")
