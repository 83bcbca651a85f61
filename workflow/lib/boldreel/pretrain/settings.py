"""Section `pretrain`: keys, units and bounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from boldreel.settings import by_preset, from_workflow, setting
from boldreel.training.settings import MIXED_PRECISION, check_training

NETWORK = (
    "embed_dim",
    "depth",
    "num_heads",
    "decoder_embed_dim",
    "decoder_depth",
    "decoder_num_heads",
)

# Kinds of masks, with the column of the positions table whose values are hidden together.
KINDS: dict[str, str | None] = {"patches": None, "areas": "area", "hemisphere": "hemisphere"}


def network(section: Mapping[str, Any]) -> dict[str, int]:
    """The sizes of the masked autoencoder, of a section or a preset's part of it."""
    return {key: section[key] for key in NETWORK}


@dataclass(frozen=True)
class CorpusSettings:
    """The keys that make the corpus."""

    segment_duration: float = setting(
        0.0,
        "Length over which volumes are averaged to one sample, s; 0 keeps every volume.",
        minimum=0,
    )
    shard_volumes: int = setting(20000, "Volumes of a corpus shard.", minimum=1)


@dataclass(frozen=True)
class PretrainSettings(CorpusSettings):
    """Masked brain modelling on a separate cohort."""

    seed: int = from_workflow(0)
    dataset: str = from_workflow("")
    method: str = from_workflow("mindvideo")
    cohort: str | None = by_preset(
        "Name of the cohort; results go to `pretrain/{cohort}`. Null means the name of the data"
        " set.",
        pattern="^[A-Za-z0-9][A-Za-z0-9_-]*$",
    )
    derivatives: str | None = setting(
        None,
        "Root of an fMRIPrep or HCP tree with the cohort, in `bold.space`. If null, the cohort "
        "is preprocessed like the subjects.",
    )
    subjects: tuple[str, ...] | str | None = by_preset(
        "Labels of the cohort, as a list or as the path of a table with a column `subject`: at "
        "least two, since one is held out. Null means all subjects of the study. Test runs of "
        "subjects are never used.",
        min_items=2,
    )
    holdout: tuple[str, ...] | None = setting(
        None, "Held-out subjects on which the model is scored; null means the last one."
    )
    mask_ratio: float = setting(0.75, "Share of patches that are masked.", minimum=0, maximum=1)
    masks: str = setting(
        "mixed",
        "What is hidden together: single patches, whole areas of both hemispheres, a whole hemisphere, or "
        "in each volume one of these. Scores are given for the first three in any case.",
        choices=("mixed", *KINDS),
    )
    predicts: str = setting(
        "residual",
        "What the network learns: what the best linear predictor from the visible voxels leaves of the "
        "hidden ones, starting at its prediction, or the volume itself.",
        choices=("residual", "volume"),
    )
    compat: str | None = setting(
        None,
        "mindvideo pretrains as published and overrides masks and predicts: single patches, the volume.",
        choices=("mindvideo", None),
    )
    embed_dim: int = by_preset("Width of the encoder.", minimum=1)
    depth: int = by_preset("Blocks of the encoder.", minimum=1)
    num_heads: int = by_preset("Attention heads of the encoder.", minimum=1)
    decoder_embed_dim: int = by_preset(
        "Width of the decoder, which only pretraining uses.", minimum=1
    )
    decoder_depth: int = by_preset("Blocks of the decoder.", minimum=1)
    decoder_num_heads: int = by_preset("Attention heads of the decoder.", minimum=1)
    epochs: int = by_preset("Passes over the corpus.", minimum=0)
    warmup_epochs: int = by_preset("Epochs of linear warm-up, then half a cosine.", minimum=0)
    batch_size: int = by_preset("Volumes of a batch.", minimum=1)
    learning_rate: float = by_preset("Peak learning rate.", above=0)
    weight_decay: float = setting(0.05, "Weight decay; none on 1-D parameters.", minimum=0)
    clip_norm: float = setting(0.8, "Norm to which gradients are clipped.", above=0)
    mixed_precision: str = by_preset("Accelerate's mixed precision.", choices=MIXED_PRECISION)
    scored_volumes: int = by_preset("Volumes of the held-out subjects that are scored.", minimum=1)
    processes: int = setting(
        1,
        "Processes that train together, one per GPU. They split each batch; results stay the same.",
        minimum=1,
    )
    gradient_checkpointing: bool = by_preset(
        "Recompute each block in the backward pass: less memory, about a third more time."
    )

    def __post_init__(self) -> None:
        check_training(
            "pretrain",
            epochs=self.epochs,
            warmup_epochs=self.warmup_epochs,
            batch_size=self.batch_size,
            processes=self.processes,
        )

    @property
    def residual(self) -> bool:
        """Whether the network predicts what the linear predictor leaves."""
        return self.compat is None and self.predicts == "residual"

    @property
    def hidden(self) -> str:
        """The kind of masks that is trained on."""
        return "patches" if self.compat == "mindvideo" else self.masks
