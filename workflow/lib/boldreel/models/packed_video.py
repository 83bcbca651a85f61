"""A video network without frames: the middle frame's latents, and how the others differ from it.

Takes what is known of a clip (`models.estimates`) and noisy latents; returns velocities. A clip is *content*,
the latents of its middle frame, and *motion*, a few whitened components of the other frames' differences from
it in each cell. An ordinary UNet2DConditionModel draws the content, and then the motion of that content: one
network, told by a channel which of the two it sees. So no noise is shared between frames, and none sets them
apart: they are drawn as a whole. What is known arrives in three ways: text tokens as far as they are known,
and tokens of each kind, through cross-attention; the sketch as channels; and all of it added to the
timestep's embedding, which reaches every layer: direction alone is lost among text tokens.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from boldreel.models.estimates import Code

# Components of meaning, motion and sketch at most, and the shares of variance after which fewer do.
COMPONENTS = {"meaning": (64, 0.995), "motion": (16, 0.999), "sketch": (64, 0.97)}
KINDS = tuple(COMPONENTS)


@dataclass(frozen=True)
class PackedConfig:
    """Sizes. frames, channels : of clips in latents; motion : components of a cell's differences.

    tokens, token_width : of the text condition; meaning : its width with both embeddings.
    motion_code : width of the motion code; sketch : (channels, rows, columns).
    components : of meaning, motion code and sketch. added : tokens of each of these, next to the text's;
    hidden : width of the layers that make them.
    """

    frames: int
    channels: int
    motion: int
    tokens: int
    token_width: int
    meaning: int
    motion_code: int
    sketch: tuple[int, int, int]
    components: tuple[int, int, int]
    added: int = 2
    hidden: int = 128


def join_meaning(tokens: np.ndarray, image: np.ndarray, text: np.ndarray) -> np.ndarray:
    """Meaning (n, L W + D + D) of tokens (n, L, W) and embeddings (n, D), float32."""
    flat = tokens.reshape(len(tokens), -1)
    return np.concatenate([flat, image, text], axis=1).astype(np.float32, copy=False)


def balance(sizes: tuple[int, ...], values: np.ndarray) -> np.ndarray:
    """Units (D,) in which each of the joined parts of these sizes has a variance of 1 in total."""
    ends = np.cumsum(sizes)[:-1]
    parts = np.split(values.var(0, dtype=np.float64), ends)
    return np.concatenate([np.full(len(p), np.sqrt(max(p.sum(), 1e-12))) for p in parts])


class Packing(nn.Module):
    """Latents (n, F, c, h, w) to packed clips (n, c + m, h, w) and back.

    Buffers: mean (c (F - 1),), encode (c (F - 1), m) and decode (m, c (F - 1)) of a cell's differences.
    """

    def __init__(self, frames: int, channels: int, motion: int):
        super().__init__()
        self.frames, self.channels = frames, channels
        self.code = Code(channels * max(frames - 1, 1), motion)

    @classmethod
    def of(cls, latents: np.ndarray, motion: int, variance: float = 0.98) -> Packing:
        """From clips (n, F, c, h, w): components that hold the share `variance`, at most `motion`."""
        frames, channels = latents.shape[1:3]
        rows = _differences(torch.from_numpy(np.asarray(latents, np.float32)))
        code = Code.of(rows.flatten(0, 2).numpy(), 1.0, motion, variance)
        packing = cls(frames, channels, code.decode.shape[0])
        packing.code = code
        return packing

    def pack(self, latents: Tensor) -> Tensor:
        """(n, F, c, h, w) to (n, c + m, h, w)."""
        motion = self.code.scores(_differences(latents)).permute(0, 3, 1, 2)
        return torch.cat([latents[:, latents.shape[1] // 2], motion], dim=1)

    def unpack(self, packed: Tensor) -> Tensor:
        """(n, c + m, h, w) to (n, F, c, h, w)."""
        content, motion = packed[:, : self.channels], packed[:, self.channels :]
        apart = self.code.values(motion.permute(0, 2, 3, 1))
        apart = apart.unflatten(3, (self.frames - 1, self.channels)).permute(0, 3, 4, 1, 2)
        other, middle = content[:, None] + apart, self.frames // 2
        return torch.cat([other[:, :middle], content[:, None], other[:, middle:]], dim=1)


def _differences(latents: Tensor) -> Tensor:
    """Differences (n, h, w, (F - 1) c) of the other frames from the middle one."""
    middle = latents.shape[1] // 2
    others = torch.cat([latents[:, :middle], latents[:, middle + 1 :]], dim=1)
    return (others - latents[:, middle : middle + 1]).permute(0, 3, 4, 1, 2).flatten(3)


class PackedVideo(nn.Module):
    """The network with its packing and codes."""

    unet: Any
    codes: Any  # of each kind a Code
    tokens: Any

    def __init__(self, unet: Any, config: PackedConfig):
        """unet : a UNet2DConditionModel of `unet_channels(config)`."""
        super().__init__()
        self.config = config
        self.unet = unet
        self.packing = Packing(config.frames, config.channels, config.motion)
        widths = (config.meaning, config.motion_code, int(np.prod(config.sketch)))
        self.codes = nn.ModuleDict(
            {
                kind: Code(width, count)
                for kind, width, count in zip(KINDS, widths, config.components, strict=True)
            }
        )
        self.tokens = nn.ModuleDict(
            {
                kind: nn.Sequential(
                    nn.Linear(2 * count, config.hidden),
                    nn.SiLU(),
                    nn.Linear(config.hidden, config.added * config.token_width),
                    nn.Unflatten(1, (config.added, config.token_width)),
                    nn.LayerNorm(config.token_width),  # as large as the text's tokens
                )
                for kind, count in zip(KINDS, config.components, strict=True)
            }
        )

    @classmethod
    def widen(
        cls,
        image: Any,
        latents: np.ndarray,
        meaning: tuple[np.ndarray, np.ndarray, np.ndarray],
        motion: np.ndarray,
        sketch: np.ndarray,
        motion_channels: int = 8,
    ) -> PackedVideo:
        """A network that begins as an image network; packing and codes are those of training clips.

        Parameters
        ----------
        image : a UNet2DConditionModel of single frames.
        latents : (n, F, c, h, w). meaning : tokens (n, L, W), image and text (n, D).
        motion : (n, M). sketch : (n, C, r, k).
        motion_channels : components of a cell's differences, at most.
        """
        packing = Packing.of(latents, motion_channels)
        joined = join_meaning(*meaning)
        sizes = (meaning[0].shape[1] * meaning[0].shape[2], *(m.shape[1] for m in meaning[1:]))
        flat = sketch.reshape(len(sketch), -1)
        per_cell = int(np.prod(sketch.shape[2:]))
        codes = {
            "meaning": Code.of(joined, balance(sizes, joined), *COMPONENTS["meaning"]),
            "motion": Code.of(
                motion, np.maximum(motion.std(0, dtype=np.float64), 1e-6), *COMPONENTS["motion"]
            ),
            "sketch": Code.of(
                flat,
                balance((3 * per_cell, flat.shape[1] - 3 * per_cell), flat),
                *COMPONENTS["sketch"],
            ),
        }
        config = PackedConfig(
            frames=latents.shape[1],
            channels=latents.shape[2],
            motion=packing.code.decode.shape[0],
            tokens=meaning[0].shape[1],
            token_width=meaning[0].shape[2],
            meaning=joined.shape[1],
            motion_code=motion.shape[1],
            sketch=tuple(sketch.shape[1:]),  # type: ignore[arg-type]
            components=tuple(code.decode.shape[0] for code in codes.values()),  # type: ignore[arg-type]
        )
        network = cls(_widened(image, config), config)
        network.packing = packing
        network.codes = nn.ModuleDict(codes)
        return network

    @property
    def known(self) -> tuple[slice, ...]:
        """The entries of meaning, motion and sketch in what is known, (2, K)."""
        ends = np.cumsum(self.config.components)
        return tuple(
            slice(int(end) - size, int(end))
            for end, size in zip(ends, self.config.components, strict=True)
        )

    def scores(self, meaning: Tensor, motion: Tensor, sketch: Tensor) -> list[Tensor]:
        """True scores (n, K) of each kind: meaning (n, D), motion (n, M), sketch (n, C, r, k)."""
        values = (meaning, motion, sketch.flatten(1))
        return [code.scores(v) for code, v in zip(self.codes.values(), values, strict=True)]

    def forward(
        self, packed: Tensor, moving: Tensor, timestep: Tensor | int, known: Tensor
    ) -> Tensor:
        """Velocities (n, c + m, h, w): of the content, and where it is given, of its motion.

        Parameters
        ----------
        packed : clips (n, c + m, h, w), content before motion.
        moving : bool (n,), whether the motion is noisy and the content as it was drawn; else the content is
            noisy, and the motion is not looked at.
        timestep : of what is noisy, one for all clips or (n,).
        known : (n, 2, K), estimates and their reliabilities.
        """
        n, (height, width) = len(packed), packed.shape[2:]
        flag = moving.to(packed).view(n, 1, 1, 1).expand(n, 1, height, width)
        content, motion = packed.split([self.config.channels, self.config.motion], dim=1)
        seen = torch.cat([content, motion * flag, flag, self._channels(known, packed)], dim=1)
        steps = torch.as_tensor(timestep, device=packed.device).expand(n)
        kind = self.unet.dtype
        return self.unet(
            seen.to(kind).contiguous(memory_format=torch.channels_last),
            steps,
            encoder_hidden_states=self._tokens(known).to(kind),
            class_labels=told(known).to(kind),
            return_dict=False,
        )[0].to(packed.dtype)

    def _tokens(self, known: Tensor) -> Tensor:
        """Tokens (n, L + 3 added, W): the text's as far as they are known, and some of each kind."""
        config, kind = self.config, self.unet.dtype
        estimates = known[:, 0, self.known[0]]
        text = self.codes["meaning"].values(estimates)[:, : config.tokens * config.token_width]
        parts = [text.unflatten(1, (config.tokens, config.token_width)).to(kind)]
        for layers, where in zip(self.tokens.values(), self.known, strict=True):
            parts.append(layers(told(known[:, :, where]).to(layers[0].weight.dtype)).to(kind))
        return torch.cat(parts, dim=1)

    def _channels(self, known: Tensor, like: Tensor) -> Tensor:
        """Channels (n, 2 C, h, w): the sketch as far as it is known, in units of its spread, and how far."""
        code, where = self.codes["sketch"], self.known[2]
        spread = code.decode.square().sum(0).sqrt().clamp(min=1e-6)
        estimate = (known[:, 0, where] @ code.decode) / spread
        sure = code.known(known[:, 1, where])
        maps = torch.cat(
            [part.unflatten(1, self.config.sketch) for part in (estimate, sure)], dim=1
        )
        if maps.shape[2:] != like.shape[2:]:
            maps = nn.functional.interpolate(maps, like.shape[2:], mode="bilinear")
        return maps.to(like)

    def enable_gradient_checkpointing(self) -> None:
        """From now on gradients take less memory and more time."""
        self.unet.enable_gradient_checkpointing()

    @property
    def settings(self) -> dict:
        """What `PackedConfig` needs to build this network again."""
        return asdict(self.config)


def told(known: Tensor) -> Tensor:
    """Estimates and reliabilities (n, 2, K) in one row, (n, 2 K), reliabilities from -1 to 1."""
    return torch.cat([known[:, 0], 2 * known[:, 1] - 1], dim=1)


def unet_channels(config: PackedConfig) -> tuple[int, int]:
    """Channels that the network reads and writes."""
    packed = config.channels + config.motion
    return packed + 1 + 2 * config.sketch[0], packed


@torch.no_grad()
def _widened(image: Any, config: PackedConfig) -> Any:
    """A UNet of these channels with the weights of one for images; what is added reads and writes nothing."""
    reads, writes = unet_channels(config)
    settings = {**image.config, "in_channels": reads, "out_channels": writes}
    settings.pop("_use_default_values", None)  # from_config would drop new values of these
    # what is known is added to the timestep's embedding, too
    settings |= {
        "class_embed_type": "simple_projection",
        "projection_class_embeddings_input_dim": 2 * sum(config.components),
    }
    wide = type(image).from_config(settings)
    own, known = wide.state_dict(), image.state_dict()
    channels = config.channels
    for name, tensor in own.items():
        if name not in known:
            tensor.zero_()
        elif tensor.shape == known[name].shape:
            tensor.copy_(known[name])
        else:
            tensor.zero_()
            where = (slice(None), slice(channels)) if name == "conv_in.weight" else slice(channels)
            tensor[where].copy_(known[name])
    return wide.to(memory_format=torch.channels_last)
