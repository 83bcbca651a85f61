"""Sections `align` and `ablate`: keys, units and bounds."""

from __future__ import annotations

from dataclasses import dataclass

from boldreel.settings import by_preset, from_workflow, setting
from boldreel.training.settings import MIXED_PRECISION, check_training


@dataclass(frozen=True)
class AlignSettings:
    """The spatiotemporal encoder of each subject."""

    seed: int = from_workflow(0)
    pretraining: bool = setting(True, "Start from the pretrained encoder.")
    depth: int | None = by_preset("Blocks; null means the depth of the pretrained model.")
    linear_path: str = setting(
        "inversion",
        "Linear read-out that the transformer adds to: an inverted encoding model on whitened "
        "responses, or ridge regression; none is as published.",
        choices=("inversion", "ridge", "none"),
    )
    latent_variance: float = setting(
        0.97,
        "With inversion: share of the variance of CLIP embeddings in the components that the "
        "encoding model predicts responses from; no more components than `rank`.",
        above=0,
        maximum=1,
    )
    window_attention: bool = setting(
        True, "Volumes of a window attend to each other at every patch."
    )
    voxels: str = setting(
        "present", "Positions that the encoder reads.", choices=("present", "selected")
    )
    condition: str = setting(
        "projected",
        "Condition tokens as predicted, or pulled towards those of training captions.",
        choices=("direct", "projected"),
    )
    sharpness: float = setting(
        20.0, "With projected: inverse temperature of the weights of training captions.", above=0
    )
    bank: int = setting(
        512, "With projected: largest number of training captions to keep.", minimum=1
    )
    rank: int = setting(128, "Rank of the linear read-out of the condition tokens.", minimum=1)
    variance: float = setting(
        0.999, "Share of the features' variance that the read-outs keep.", minimum=0, maximum=1
    )
    epochs: int = by_preset("Passes over the training clips.", minimum=0)
    warmup_epochs: int = by_preset("Epochs of linear warm-up, then half a cosine.", minimum=0)
    batch_size: int = by_preset("Clips of a batch.", minimum=1)
    learning_rate: float = setting(0.0001, "Peak learning rate.", above=0)
    weight_decay: float = setting(0.05, "Weight decay; none on 1-D parameters.", minimum=0)
    clip_norm: float = setting(1.0, "Norm to which gradients are clipped.", above=0)
    image_weight: float = setting(0.5, "Weight of the contrast with images.", minimum=0)
    text_weight: float = setting(0.5, "Weight of the contrast with captions.", minimum=0)
    condition_weight: float = setting(
        1.0, "Weight of the distance to the condition tokens, 1 - cosine.", minimum=0
    )
    sparsify: float = setting(
        0.2, "Share of positions set to zero in training.", minimum=0, maximum=1
    )
    image_crop: float = setting(
        0.5,
        "Share of training clips whose image target comes from a random crop "
        "(`stimuli.variants`); 0 for none.",
        minimum=0,
        maximum=1,
    )
    word_replacement: float = setting(
        0.5,
        "Share of training clips whose text target comes from a caption with one word replaced "
        "by a similar one (`stimuli.variants`); 0 for none.",
        minimum=0,
        maximum=1,
    )
    averaged: float = setting(
        0.5,
        "Share of training samples that are means over repeats; the rest are single trials.",
        minimum=0,
        maximum=1,
    )
    refit: bool = setting(
        True, "Refit the linear read-out with the validation segments once all choices are made."
    )
    mixed_precision: str = by_preset("Accelerate's mixed precision.", choices=MIXED_PRECISION)
    processes: int = setting(
        1,
        "Processes that train together, one per GPU. They split each batch; results stay the same.",
        minimum=1,
    )
    gradient_checkpointing: bool = by_preset(
        "Recompute each block in the backward pass: less memory, about a third more time."
    )
    at_a_time: int | None = setting(
        None,
        "Clips of a batch that go through the encoder at a time; the contrast is among the whole batch in "
        "any case. Null means as many as fit in the free memory of the GPU, on a CPU all.",
        minimum=1,
    )
    subjects: str = setting(
        "each",
        "One encoder per subject, as published, or one shared by all subjects of `pool`, which "
        "needs `windows.window`. For a subject outside the pool, the shared encoder is tuned to"
        " its data.",
        choices=("each", "pooled"),
    )
    pool: tuple[str, ...] | None = setting(
        None,
        "With pooled: subjects that train the shared encoder; null for all. If the pool is "
        "named, a new subject does not change the shared encoder.",
        min_items=2,
    )

    def __post_init__(self) -> None:
        check_training(
            "align",
            epochs=self.epochs,
            warmup_epochs=self.warmup_epochs,
            batch_size=self.batch_size,
            processes=self.processes,
        )


@dataclass(frozen=True)
class AblateSettings:
    """Ablations of the encoder. Keys that are missing here are as in `align`, without a linear path."""

    subjects: tuple[str, ...] | None = by_preset(
        "Subjects whose encoders are ablated; null for all.", min_items=1
    )
    seeds: int = setting(3, "Trainings of each ablation, with different seeds.", minimum=1)
    epochs: int = by_preset("Passes over the training clips.", minimum=1)
    learning_rate: float = by_preset("Peak learning rate.", above=0)
