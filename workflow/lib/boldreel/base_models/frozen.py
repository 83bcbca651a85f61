"""The frozen models that look at pictures and words: CLIP, text encoder, captioner, classifiers.

Takes names from the configuration's `models`; returns networks in evaluation mode, float32, and what
prepares their input. Image processors are the PIL ones wherever there is a choice, so that pixels do not
depend on whether torchvision is installed. Every function raises the UserError of
`boldreel.base_models.load`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from boldreel.base_models import load

if TYPE_CHECKING:
    import torch


def load_clip(name: str | Path, device: torch.device) -> tuple[Any, Any, Any]:
    """(CLIPModel, PIL image processor, tokenizer) of a CLIP model."""
    from transformers import CLIPModel
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    return (
        _network("clip", name, "model", CLIPModel, device),
        load.tool("clip", name, "processor", CLIPImageProcessorPil),
        load_tokenizer("clip", name),
    )


def load_text_encoder(name: str | Path, device: torch.device) -> tuple[Any, Any]:
    """(CLIPTextModel, tokenizer) of a model in StableDiffusionPipeline layout."""
    from transformers import CLIPTextModel

    return (
        _network("diffusion", name, "text_encoder", CLIPTextModel, device),
        load_tokenizer("diffusion", name),
    )


def load_captioner(name: str | Path, device: torch.device) -> tuple[Any, Any, Any]:
    """(image-to-text model, image processor, tokenizer), for example BLIP."""
    from transformers import AutoModelForImageTextToText

    network, processor = load_viewer("caption", name, AutoModelForImageTextToText, device)
    return network, processor, load_tokenizer("caption", name)


def load_sentence_model(name: str | Path, device: torch.device) -> tuple[Any, Any]:
    """(sentence model, tokenizer)."""
    from transformers import AutoModel

    network = _network("sentence", name, "model", AutoModel, device)
    return network, load_tokenizer("sentence", name)


def load_viewer(role: str, name: str | Path, kind: Any, device: torch.device) -> tuple[Any, Any]:
    """(network, PIL image processor) of a model that looks at pictures.

    Parameters
    ----------
    role : key of the configuration's `models`.
    kind : class of transformers, such as ``AutoModelForImageClassification``.
    """
    from transformers import AutoImageProcessor

    return (
        _network(role, name, "model", kind, device),
        load.tool(role, name, "processor", AutoImageProcessor, backend="pil"),
    )


def load_tokenizer(role: str, name: str | Path) -> Any:
    """The tokenizer of a role's model."""
    from transformers import AutoTokenizer

    return load.tool(role, name, "tokenizer", AutoTokenizer)


def _network(role: str, name: str | Path, part: str, kind: Any, device: torch.device) -> Any:
    import torch
    from transformers.utils import logging

    # Bars and advice on stderr would bury the step's own lines in the rule's log.
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    # One float type for all devices: weights may be stored as float16.
    return load.network(role, name, part, kind, dtype=torch.float32).to(device)
