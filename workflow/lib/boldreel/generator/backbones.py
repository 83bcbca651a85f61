"""The video networks that the generator may be, behind one interface.

Takes a folder that tuning left; returns a `Backbone`, which draws clips from conditions. What a condition is
depends on the backbone: text tokens for the inflated network, estimates with reliabilities for the packed
one. Both are arrays, so that what plans, draws and keeps clips need not know.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from boldreel.base_models import diffusion, video
from boldreel.errors import UserError
from boldreel.generator import sampling, saving

if TYPE_CHECKING:
    from torch import Tensor

    from boldreel.models.packed_video import PackedVideo
    from boldreel.models.video_unet import VideoUNet


@dataclass(frozen=True)
class Sampling:
    """How clips are drawn: steps, guidance scale, and the share of the steps that are guided."""

    steps: int
    guidance: float
    guided_share: float


class Backbone(ABC):
    """A tuned video network with what drawing from it needs.

    negative : float32, the condition that guidance steers away from. shape : of the clips.
    continues : whether a clip can be drawn that continues the previous one.
    """

    continues = False

    network: Any
    negative: np.ndarray
    shape: saving.ClipShape

    @abstractmethod
    def scheduler(
        self, base: Path, name: str | None = None, options: dict[str, Any] | None = None
    ) -> Any:
        """A diffusers scheduler with the base model's noise and this network's target."""

    @abstractmethod
    def refuse_unfit(self, scheduler: Any, strength: float) -> None:
        """UserError for a scheduler that this network cannot be drawn with."""

    @abstractmethod
    def draw(
        self,
        scheduler: Any,
        condition: Tensor,
        generators: list[torch.Generator],
        how: Sampling,
        before: sampling.Continuation | None = None,
    ) -> Tensor:
        """Latents (clips, frames, c, h, w) of conditions (clips, ...)."""

    @abstractmethod
    def place(self, device: torch.device, kind: torch.dtype) -> None:
        """Move the network to a device, for drawing in a float type."""

    @abstractmethod
    def save(self, folder: Path, base: Path) -> None:
        """Leave what `load` reads."""


class Inflated(Backbone):
    """The image network with layers across frames (`models.video_unet`)."""

    continues = True

    def __init__(self, network: VideoUNet, negative: np.ndarray, shape: saving.ClipShape) -> None:
        self.network, self.negative, self.shape = network, negative, shape

    def scheduler(
        self, base: Path, name: str | None = None, options: dict[str, Any] | None = None
    ) -> Any:
        kind = self.network.inflation.prediction_type
        return diffusion.load_scheduler(base, name, options, kind)

    def refuse_unfit(self, scheduler: Any, strength: float) -> None:
        sampling.refuse_unfit(scheduler, self.network.inflation.noise_correlation, strength)

    def draw(
        self,
        scheduler: Any,
        condition: Tensor,
        generators: list[torch.Generator],
        how: Sampling,
        before: sampling.Continuation | None = None,
    ) -> Tensor:
        return sampling.sample(
            self.network,
            scheduler,
            condition,
            torch.from_numpy(self.negative).to(condition),
            generators,
            frames=self.shape.frames,
            size=(self.shape.height, self.shape.width),
            steps=how.steps,
            guidance=how.guidance,
            guided_share=how.guided_share,
            before=before,
        )

    def place(self, device: torch.device, kind: torch.dtype) -> None:
        self.network.to(device, kind)
        self.network.unet.to(memory_format=torch.channels_last)

    def save(self, folder: Path, base: Path) -> None:
        saving.save_pretrained(self.network, folder, base, self.negative, self.shape)


class Packed(Backbone):
    """The network of a middle frame and whitened motion (`models.packed_video`)."""

    def __init__(self, network: PackedVideo, shape: saving.ClipShape) -> None:
        self.network, self.shape = network, shape
        self.negative = np.zeros((2, sum(network.config.components)), np.float32)

    def scheduler(
        self, base: Path, name: str | None = None, options: dict[str, Any] | None = None
    ) -> Any:
        return diffusion.load_scheduler(base, name, options, "v_prediction")

    def refuse_unfit(self, scheduler: Any, strength: float) -> None:
        sampling.refuse_unfit(scheduler, 0.0, 1.0)

    def draw(
        self,
        scheduler: Any,
        condition: Tensor,
        generators: list[torch.Generator],
        how: Sampling,
        before: sampling.Continuation | None = None,
    ) -> Tensor:
        from boldreel.models.packed_loss import draw

        return draw(
            self.network,
            scheduler,
            condition,
            generators,
            size=(self.shape.height, self.shape.width),
            steps=how.steps,
            guidance=how.guidance,
            guided_share=how.guided_share,
        )

    def place(self, device: torch.device, kind: torch.dtype) -> None:
        # what is known and the packing stay in float32: the network rounds its own input
        self.network.to(device)
        self.network.unet.to(kind, memory_format=torch.channels_last)

    def save(self, folder: Path, base: Path) -> None:
        of_base = {"name": base.name, "unet_sha256": diffusion.identity(base)}
        video.save(self.network, folder, {"clip": asdict(self.shape), "base": of_base})


def load(folder: Path, base: Path) -> Backbone:
    """The network of a folder that tuning or co-training left.

    Parameters
    ----------
    base : the diffusion model that it was tuned with.

    Raises
    ------
    UserError : a file is missing or broken, or the base is not the one it was tuned with.
    """
    if architecture(folder) == video.ARCHITECTURE:
        tuned = video.read_config(folder).get("base", {})
        if tuned.get("unet_sha256") != diffusion.identity(base):
            raise UserError(
                f"{folder}: was tuned with the diffusion model {tuned.get('name')!r}, not with {base}; name "
                "that one (models.diffusion) or tune again"
            )
        return Packed(video.read(folder), saving.load_shape(folder))
    return Inflated(
        saving.from_pretrained(folder, base),
        saving.load_negative(folder),
        saving.load_shape(folder),
    )


def architecture(folder: Path) -> str:
    """Which network a folder holds; empty where its config cannot be read."""
    try:
        return str(json.loads((folder / "config.json").read_text(encoding="utf-8"))["architecture"])
    except (OSError, ValueError, KeyError):
        return ""
