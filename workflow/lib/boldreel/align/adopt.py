"""Published checkpoints as models of this library.

Reads a weights file under the published parameter names (MinD-Vis' masked autoencoder, Chen et al., CVPR
2023, or MinD-Video's fMRI encoder, NeurIPS 2023), safetensors or tensors alone pickled; writes a folder that
`MaskedAutoencoder` or `PublishedEncoder.from_pretrained` opens. Sizes are read from the shapes; the
number of heads, which no shape shows, is the published one unless given. Names that lack or are too many
are refused, all of them listed.

    python -m boldreel.align.adopt --checkpoint encoder.pth --output models/encoder
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boldreel.data import weights
from boldreel.errors import UserError
from boldreel.step import run

if TYPE_CHECKING:
    from torch import Tensor

    from boldreel.models.autoencoder import MaskedAutoencoderConfig
    from boldreel.models.checkpoint import Pretrained
    from boldreel.models.published_encoder import PublishedEncoderConfig

HEADS = 16
AUTOENCODER, ENCODER = "decoder_pred.weight", "proj_head.channel_mapper.weight"


def _depth(tensors: Mapping[str, Tensor], prefix: str) -> int:
    numbers = [
        int(name.split(".")[1]) for name in tensors if name.startswith(f"{prefix}.") and "." in name
    ]
    return 1 + max(numbers, default=-1)


def _shared(tensors: Mapping[str, Tensor]) -> tuple[int, int, int, float]:
    """(patches, patch size, width, MLP ratio) of the part that both models have."""
    width, _, patch_size = tensors["patch_embed.proj.weight"].shape
    hidden = len(tensors["blocks.0.mlp.fc1.weight"])
    return tensors["pos_embed"].shape[1] - 1, patch_size, width, hidden / width


def autoencoder_config(
    tensors: Mapping[str, Tensor], heads: int, decoder_heads: int
) -> MaskedAutoencoderConfig:
    """Sizes of a masked autoencoder; KeyError if a tensor that shows one is missing."""
    from boldreel.models.autoencoder import MaskedAutoencoderConfig

    patches, patch_size, width, ratio = _shared(tensors)
    return MaskedAutoencoderConfig(
        num_voxels=patches * patch_size,
        patch_size=patch_size,
        embed_dim=width,
        depth=_depth(tensors, "blocks"),
        num_heads=heads,
        decoder_embed_dim=tensors["decoder_embed.weight"].shape[0],
        decoder_depth=_depth(tensors, "decoder_blocks"),
        decoder_num_heads=decoder_heads,
        mlp_ratio=ratio,
    )


def encoder_config(tensors: Mapping[str, Tensor], heads: int) -> PublishedEncoderConfig:
    """Sizes of a spatiotemporal encoder; KeyError if a tensor that shows one is missing."""
    from boldreel.models.published_encoder import PublishedEncoderConfig

    patches, patch_size, width, ratio = _shared(tensors)
    tokens, mixed = tensors[ENCODER].shape
    return PublishedEncoderConfig(
        num_voxels=patches * patch_size,
        window=mixed // patches,
        patch_size=patch_size,
        embed_dim=width,
        depth=_depth(tensors, "blocks"),
        num_heads=heads,
        mlp_ratio=ratio,
        tokens=tokens,
        token_width=tensors["proj_head.projection.weight"].shape[0],
        window_attention=any(".attn_temp." in name for name in tensors),
    )


def load(file: str | Path, heads: int = HEADS, decoder_heads: int = HEADS) -> Pretrained:
    """The model of a checkpoint, float32, in evaluation mode.

    Raises UserError if the file is unreadable, is of neither model, or names or shapes differ.
    """
    import torch

    from boldreel.models.autoencoder import MaskedAutoencoder
    from boldreel.models.published_encoder import PublishedEncoder

    tensors = {name: tensor.float() for name, tensor in weights.read(file).items()}
    kind = PublishedEncoder if ENCODER in tensors else MaskedAutoencoder
    try:
        if kind is PublishedEncoder:
            config: Any = encoder_config(tensors, heads)
        elif AUTOENCODER in tensors:
            config = autoencoder_config(tensors, heads, decoder_heads)
        else:
            raise UserError(
                f"{file}: neither {AUTOENCODER} (masked autoencoder) nor {ENCODER} (fMRI encoder) among its "
                f"{len(tensors)} tensors; give one of the published fMRI models"
            )
        with torch.device("meta"):
            model: Pretrained = kind(config)
    except KeyError as missing:
        raise UserError(f"{file}: missing: {missing.args[0]}; give the checkpoint again") from None
    except ValueError as wrong:
        raise UserError(f"{file}: {wrong}; check --heads") from None
    problems = weights.differences(model.state_dict(), tensors)
    if problems:
        raise UserError(f"{file}: not the published {kind.__name__}: {'; '.join(problems)}")
    model.load_state_dict(tensors, assign=True)
    return model.eval()


def main(argv: list[str] | None = None) -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--checkpoint", type=Path, required=True)
    arguments.add_argument("--output", type=Path, required=True)
    arguments.add_argument("--heads", type=int, default=HEADS, help="of the encoder")
    arguments.add_argument("--decoder-heads", type=int, default=HEADS, help="of the decoder")
    args = arguments.parse_args(argv)
    model = load(args.checkpoint, args.heads, args.decoder_heads)
    model.save_pretrained(args.output)
    count = sum(tensor.numel() for tensor in model.state_dict().values())
    print(
        f"{args.output}: {type(model).__name__}, {len(model.state_dict())} tensors, "
        f"{count / 1e6:.1f} M values, {model.config}"
    )


if __name__ == "__main__":
    run(main)
