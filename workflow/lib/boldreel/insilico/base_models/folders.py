"""The folders that ship: float16 weights in Hugging Face layout, each swapped in as a whole.

Takes trained models; writes ``clip``, ``diffusion``, ``image_classifier`` and ``video_classifier``
below one folder, with processors that need no torchvision.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from boldreel.data import atomic
from boldreel.insilico.base_models.unet import create_scheduler
from boldreel.insilico.world import FRAME_SIZE

if TYPE_CHECKING:
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import (
        CLIPModel,
        CLIPTextModel,
        CLIPTokenizer,
        ResNetForImageClassification,
        VideoMAEForVideoClassification,
    )

    from boldreel.models.packed_video import PackedVideo

# Any picture to 64 x 64 pixels in -1..1, the range of the autoencoder.
PIXELS: dict[str, Any] = {
    "size": {"shortest_edge": FRAME_SIZE},
    "crop_size": {"height": FRAME_SIZE, "width": FRAME_SIZE},
    "do_center_crop": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
}


def _half(model: Any) -> Any:
    return copy.deepcopy(model).half().to(memory_format=torch.contiguous_format)


def text_encoder(clip: CLIPModel) -> CLIPTextModel:
    """The text tower of a CLIP as a model of its own, weights shared by value."""
    from transformers import CLIPTextModel

    model = CLIPTextModel(clip.config.text_config)
    tower = clip.text_model.state_dict()
    prefixed = next(iter(model.state_dict())).startswith("text_model.")
    model.load_state_dict({f"text_model.{k}" if prefixed else k: v for k, v in tower.items()})
    return model.eval()


def save_clip(out: Path, clip: CLIPModel, tokenizer: CLIPTokenizer) -> None:
    """Leave ``clip/``: both towers, tokenizer and image processor."""
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    with atomic.folder(out / "clip") as aside:
        _half(clip).save_pretrained(aside)
        tokenizer.save_pretrained(aside)
        CLIPImageProcessorPil(**PIXELS).save_pretrained(aside)


def save_diffusion(
    out: Path,
    vae: AutoencoderKL,
    unet: UNet2DConditionModel,
    clip: CLIPModel,
    tokenizer: CLIPTokenizer,
) -> None:
    """Leave ``diffusion/``, the layout of a Stable Diffusion pipeline."""
    from diffusers import StableDiffusionPipeline

    pipeline = StableDiffusionPipeline(
        vae=_half(vae),
        text_encoder=_half(text_encoder(clip)),
        tokenizer=tokenizer,
        unet=_half(unet),
        scheduler=create_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    with atomic.folder(out / "diffusion") as aside:
        pipeline.save_pretrained(aside)
        for part in ("vae", "unet"):
            _forget_path(aside / part / "config.json")


def _forget_path(config: Path) -> None:
    """Take out the path that the weights were loaded from: it means nothing elsewhere."""
    entries = json.loads(config.read_text(encoding="utf-8"))
    entries.pop("_name_or_path", None)
    config.write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")


def save_image_classifier(out: Path, judge: ResNetForImageClassification) -> None:
    """Leave ``image_classifier/`` with its image processor."""
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

    sides = {"height": FRAME_SIZE, "width": FRAME_SIZE}
    with atomic.folder(out / "image_classifier") as aside:
        _half(judge).save_pretrained(aside)
        ViTImageProcessorPil(
            size=sides, image_mean=PIXELS["image_mean"], image_std=PIXELS["image_std"]
        ).save_pretrained(aside)


def save_video_classifier(out: Path, judge: VideoMAEForVideoClassification) -> None:
    """Leave ``video_classifier/`` with its image processor (which takes lists of frames)."""
    from transformers.models.videomae.image_processing_pil_videomae import (
        VideoMAEImageProcessorPil,
    )

    with atomic.folder(out / "video_classifier") as aside:
        _half(judge).save_pretrained(aside)
        VideoMAEImageProcessorPil(**PIXELS).save_pretrained(aside)


def save_video(out: Path, prior: PackedVideo) -> None:
    """Leave ``video/``, the prior of clips."""
    from boldreel.base_models import video

    with atomic.folder(out / "video") as aside:
        video.save(prior, aside, {}, half=True)
