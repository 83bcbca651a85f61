"""Floating-point operations of the pipeline's networks, at demo and at published sizes.

Takes finished results of the demo, or nothing; leaves GFLOP for a frame, a sample or a clip, counted by
PyTorch on one forward pass. A training step is taken as three of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from boldreel import presets
from boldreel.models import published_video_unet as published
from boldreel.models.autoencoder import MaskedAutoencoder, MaskedAutoencoderConfig
from boldreel.models.trunk import Trunk
from boldreel.models.video_unet import VideoUNet
from boldreel.pretrain.settings import network

EMBEDDED = Path(__file__).parents[1] / "resources" / "insilico"
FRAMES = 6
# Published sizes: CLIP ViT-L/14 (its image tower) and Stable Diffusion 1.5's autoencoder.
LARGE_CLIP = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "patch_size": 14,
    "image_size": 224,
    "projection_dim": 768,
}
LARGE_CODER = {
    "block_out_channels": (128, 256, 512, 512),
    "layers_per_block": 2,
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "latent_channels": 4,
}
VOXELS, WINDOW = 6016, 2
SIDE = 256  # pixels


def gflop(call: Callable[[], Any]) -> float:
    """GFLOP of a call."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        call()
    return counter.get_total_flops() / 1e9


def clip(config: dict[str, Any]) -> float:
    """One frame through the image tower."""
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    with torch.device("meta"):
        model = CLIPVisionModelWithProjection(CLIPVisionConfig(**config)).eval()
        side = model.config.image_size
        return gflop(lambda: model(torch.zeros(1, 3, side, side)))


def coder(config: dict[str, Any], side: int) -> float:
    """One frame to its latents."""
    from diffusers import AutoencoderKL

    with torch.device("meta"):
        model = AutoencoderKL.from_config(config).eval()
        return gflop(lambda: model.encode(torch.zeros(1, 3, side, side)))


def denoiser(config: dict[str, Any] | None, side: int, length: int) -> float:
    """One clip once through the inflated network."""
    from diffusers import UNet2DConditionModel

    with torch.device("meta"):
        unet = UNet2DConditionModel.from_config(config or dict(published.SIZES))
        model = VideoUNet(unet).eval()
        latents = torch.zeros(1, FRAMES, unet.config.in_channels, side, side)
        condition = torch.zeros(1, length, unet.config.cross_attention_dim)
        return gflop(lambda: model(latents, torch.zeros(1), condition))


def autoencoder(config: MaskedAutoencoderConfig) -> float:
    """A training step on one sample of the masked autoencoder."""
    model = MaskedAutoencoder(config).eval()  # what is kept decides over shapes: no meta device
    return 3 * gflop(lambda: model(torch.zeros(1, config.num_voxels)))


def encoder(config: MaskedAutoencoderConfig, depth: int, window: int) -> float:
    """A training step on one window through the trunk of the encoder."""
    c = config
    with torch.device("meta"):
        trunk = Trunk(c.n_patches, c.patch_size, c.embed_dim, depth, c.num_heads, c.mlp_ratio)
        return 3 * gflop(lambda: trunk.tokens(torch.zeros(1, window, c.num_voxels)))


def of_demo(results: Path) -> dict[str, float]:
    """GFLOP for a unit of each network that the demo runs."""
    read = {
        name: json.loads((EMBEDDED / path / "config.json").read_text())
        for name, path in (
            ("clip", "clip"),
            ("coder", "diffusion/vae"),
            ("denoiser", "diffusion/unet"),
        )
    }
    pretrained = MaskedAutoencoder.from_pretrained(results / "pretrain/rest/model").config
    aligned = json.loads((results / "sub-01/align/model/config.json").read_text())
    side = read["denoiser"]["sample_size"]
    text = json.loads((EMBEDDED / "diffusion/text_encoder/config.json").read_text())
    once = denoiser(read["denoiser"], side, text["max_position_embeddings"])
    pixels = side * 2 ** (len(read["coder"]["block_out_channels"]) - 1)
    return {
        "clip": clip(read["clip"]["vision_config"]),
        "autoencoder": autoencoder(pretrained),
        "encoder": encoder(pretrained, aligned["depth"], aligned["window"]),
        "coder": coder(read["coder"], pixels),
        "denoiser": once,
        "denoiser, trained": 3 * once,
    }


def of_publication() -> dict[str, float]:
    """The same at the sizes of the publication: 6,016 voxels, two volumes, 256 x 256 pixels."""
    sizes = MaskedAutoencoderConfig(VOXELS, **network(presets.load("mindvideo")["pretrain"]))
    once = denoiser(None, SIDE // 8, 77)
    return {
        "clip": clip(LARGE_CLIP),
        "autoencoder": autoencoder(sizes),
        "encoder": encoder(sizes, sizes.depth, WINDOW),
        "coder": coder(LARGE_CODER, SIDE),
        "denoiser": once,
        "denoiser, trained": 3 * once,
    }
