"""Frozen base models of this stage: CLIP, the diffusion model's text encoder, a captioner.

Takes names from the config's ``models`` (a folder, or ``owner/name`` or ``owner/name@revision`` of
the hub, which may be answered from its cache while offline); leaves models in evaluation mode and
what prepares their input. Image processors are the PIL ones wherever there is a choice, so that
pixels do not depend on whether torchvision is installed.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from boldreel.data import unreadable
from boldreel.errors import UserError

if TYPE_CHECKING:
    import torch


def load_clip(name: str | Path, device: torch.device) -> tuple[Any, Any, Any]:
    """(CLIPModel, PIL image processor, tokenizer) of a CLIP model, float32.

    Raises
    ------
    UserError : it cannot be loaded, from the folder, the hub or its cache.
    """
    from transformers import AutoTokenizer, CLIPModel
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    return (
        _model(CLIPModel, name, "models.clip", device),
        _load(CLIPImageProcessorPil, name, "models.clip"),
        _load(AutoTokenizer, name, "models.clip"),
    )


def load_text_encoder(name: str | Path, device: torch.device) -> tuple[Any, Any]:
    """(CLIPTextModel, tokenizer) of a model in StableDiffusionPipeline layout, float32.

    Raises
    ------
    UserError : it cannot be loaded, from the folder, the hub or its cache.
    """
    from transformers import AutoTokenizer, CLIPTextModel

    key = "models.diffusion"
    return (
        _model(CLIPTextModel, name, key, device, subfolder="text_encoder"),
        _load(AutoTokenizer, name, key, subfolder="tokenizer"),
    )


def load_captioner(name: str | Path, device: torch.device) -> tuple[Any, Any, Any]:
    """(image-to-text model, image processor, tokenizer), for example BLIP, float32.

    Raises
    ------
    UserError : it cannot be loaded, or it is no image-to-text model.
    """
    from transformers import AutoImageProcessor, AutoModelForImageTextToText, AutoTokenizer

    key = "models.caption"
    return (
        _model(AutoModelForImageTextToText, name, key, device),
        _load(AutoImageProcessor, name, key, backend="pil"),
        _load(AutoTokenizer, name, key),
    )


def _model(kind: Any, name: str | Path, key: str, device: torch.device, **options: Any) -> Any:
    import torch

    model = _load(kind, name, key, dtype=torch.float32, **options)
    return model.eval().requires_grad_(False).to(device)


def _load(kind: Any, name: str | Path, key: str, **options: Any) -> Any:
    from transformers.utils import logging

    # Bars and advice on stderr would bury the step's own lines in the rule's log.
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    source: str | Path = Path(name)
    if Path(name).is_dir():
        options["local_files_only"] = True
    else:
        source, _, revision = str(name).partition("@")
        if source.startswith((".", "/")) or source.count("/") > 1:
            raise UserError(f"{key}: no folder {name}; check the path in the config")
        if revision:
            options["revision"] = revision
    try:
        return kind.from_pretrained(source, **options)
    except unreadable.ERRORS as error:
        part = f"/{options['subfolder']}" if "subfolder" in options else ""
        raise UserError(
            f"{key}: {name}{part} cannot be loaded as {kind.__name__} ({unreadable.reason(error)}); name a "
            "complete folder, or download the model while online"
        ) from None
