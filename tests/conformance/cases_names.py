"""Parameter names and shapes at the published sizes, from published_keys.json."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from comparison import Comparison
from torch import nn

from boldreel import presets
from boldreel.models import published_video_unet as published
from boldreel.models.autoencoder import MaskedAutoencoder, MaskedAutoencoderConfig
from boldreel.models.published_encoder import PublishedEncoder, PublishedEncoderConfig
from boldreel.pretrain.settings import network

Shapes = Mapping[str, list[int]]


def _model(name: str, shapes: Shapes) -> nn.Module:
    """The project's model of that name, at the sizes that the shapes tell."""
    if name == "unet":
        return published.build().unet
    patches = shapes["pos_embed"][1] - 1
    patch_size = shapes["patch_embed.proj.weight"][2]
    if name.startswith("mae_pretrain"):
        sizes = network(presets.load("mindvideo")["pretrain"])
        return MaskedAutoencoder(MaskedAutoencoderConfig(patches * patch_size, **sizes))
    if name.startswith("fmri_encoder"):
        mixed = shapes["proj_head.channel_mapper.weight"][1]
        return PublishedEncoder(
            PublishedEncoderConfig(patches * patch_size, window=mixed // patches)
        )
    raise KeyError(f"no model of the project is called {name}")


def names(path: Path) -> Iterator[Comparison]:
    """For each model the number of names and shapes that differ, which is to be 0."""
    for name, shapes in json.loads(path.read_text(encoding="utf-8")).items():
        with torch.device("meta"):
            own = {key: list(t.shape) for key, t in _model(name, shapes).state_dict().items()}
        differing = sum(own.get(key) != shapes.get(key) for key in own.keys() | shapes.keys())
        yield f"{path.stem}:{name}", np.array(differing), np.array(0), 0
