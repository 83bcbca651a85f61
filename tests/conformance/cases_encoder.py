"""Reference arrays of the fMRI models: a1 autoencoder, a2 spatiotemporal encoder, a3 positions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from comparison import Arrays, Comparison
from safetensors.torch import load_file

from boldreel.models.autoencoder import MaskedAutoencoder, MaskedAutoencoderConfig
from boldreel.models.layers import sincos_positions
from boldreel.models.published_encoder import (
    PublishedEncoder,
    PublishedEncoderConfig,
    resize_positions,
)

TOLERANCE = 2e-5


def autoencoder(arrays: Arrays, configs: dict[str, Any]) -> Iterator[Comparison]:
    """a1: latent, mask, order, prediction, loss and gradients at two mask ratios."""
    weights = load_file(arrays.sibling(f"{arrays.stem}_weights.safetensors"))
    x, noise = torch.from_numpy(arrays["x"][:, 0]), torch.from_numpy(arrays["noise"])
    for prefix in sorted({key[:4] for key in arrays if key.startswith("r")}):
        ratio = int(prefix[1:3]) / 100
        model = MaskedAutoencoder(MaskedAutoencoderConfig(**configs["a1"], mask_ratio=ratio))
        model.load_state_dict(weights)
        encoded, out = model.encode(x, noise=noise), model(x, noise=noise)
        out.loss.backward()
        own = {
            "latent": encoded.latent,
            "mask": encoded.mask,
            "ids_restore": encoded.ids_restore,
            "pred": out.prediction,
            "loss": out.loss,
        }
        for key in arrays:
            name = key.removeprefix(prefix)
            if name == key:
                continue
            if name.startswith("grad_"):
                gradient = model.get_parameter(name.removeprefix("grad_")).grad
                yield arrays.line(key, gradient, TOLERANCE)
            else:
                yield arrays.line(key, own[name], TOLERANCE)


def encoder(arrays: Arrays, configs: dict[str, Any]) -> Iterator[Comparison]:
    """a2: condition tokens, tokens after every block, and normalised attention maps."""
    sizes = configs["a2"]
    for prefix in sorted({key[: key.index("temp_") + 5] for key in arrays if "temp_" in key}):
        x = torch.from_numpy(arrays[f"{prefix}x"])
        weights = _encoder_weights(arrays, prefix)
        config = PublishedEncoderConfig(
            num_voxels=sizes["num_voxels"],
            window=x.shape[1],
            patch_size=sizes["patch_size"],
            embed_dim=sizes["embed_dim"],
            depth=sizes["depth"],
            num_heads=sizes["num_heads"],
            mlp_ratio=sizes["mlp_ratio"],
            tokens=sizes["out_channel"],
            token_width=sizes["out_dim"],
            window_attention="notemp" not in prefix,
        )
        model = PublishedEncoder(config).eval()
        model.load_state_dict(weights)
        own = {"out": model(x)}
        for k, tokens in enumerate(model.states(x)):
            name = f"block{k}" if k < sizes["depth"] else "norm"
            own[name] = tokens.flatten(0, 1)
        for key in arrays:
            name = key.removeprefix(prefix)
            if name == key or name == "x":
                continue
            if name.startswith("attn_layer"):
                layer, kind = name.removeprefix("attn_layer").split("_")
                spatial, window = model.attention_maps(x)[int(layer)]
                own[name] = spatial if kind == "spatial" else window
            yield arrays.line(key, own[name], TOLERANCE)


def _encoder_weights(arrays: Arrays, prefix: str) -> dict[str, torch.Tensor]:
    """`a2_fmri_encoder_{prefix}weights.safetensors`, whatever windows the arrays' file names."""
    return load_file(arrays.sibling(f"a2_fmri_encoder_{prefix}weights.safetensors"))


def positions(arrays: Arrays, configs: dict[str, Any]) -> Iterator[Comparison]:
    """a3: sine-cosine positions, and a checkpoint's positions at another number of patches."""
    for key in arrays:
        parts = key.split("_")
        if key.endswith("_index") or key == "interp_in":
            continue
        if parts[0] == "interp":
            resized = resize_positions(torch.from_numpy(arrays["interp_in"]), int(parts[-1]))
            yield arrays.line(key, resized, TOLERANCE)
        elif key.endswith("_rows"):
            rows = sincos_positions(int(parts[1]), int(parts[2]))[arrays[f"{key[:-1]}_index"]]
            yield arrays.line(key, rows, TOLERANCE)
        else:
            yield arrays.line(key, sincos_positions(int(parts[1]), int(parts[2])), TOLERANCE)


CASES = {"a1_": autoencoder, "a2_": encoder, "a3_": positions}
