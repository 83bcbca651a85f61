"""The published video network and its samplers, written out frame by frame from their description.

Takes weights by their published names; leaves predictions and latents. Slow and without any layer of
the library or of diffusers: what the runner compares the project with where reference arrays are held
back. All maps are (batch, frame, channel, height, width).
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

Weights = dict[str, Tensor]


def random_weights(shapes: dict[str, list[int]], seed: int = 0) -> Weights:
    """N(0, sigma) by fan-in, biases included; weights of norms 1 + noise."""
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for name, shape in shapes.items():
        noise = torch.randn(shape, generator=generator)
        norm = ("norm" in name and name.endswith("weight")) and len(shape) == 1
        fan_in = math.prod(shape[1:]) if len(shape) > 1 else 25
        weights[name] = 1 + 0.2 * noise if norm else noise / fan_in**0.5
    return weights


class NaiveNetwork:
    """The whole network; `sizes` are those of configs.json."""

    def __init__(self, weights: Weights, sizes: dict[str, Any]) -> None:
        self.w = weights
        self.channels = sizes["block_out_channels"]
        self.layers = sizes["layers_per_block"]
        self.groups = sizes["norm_num_groups"]
        self.heads = sizes["attention_head_dim"]

    def __call__(self, latents: Tensor, t: int, context: Tensor) -> Tensor:
        """latents (b, c, f, h, w), context (b, length, width) to the prediction (b, c, f, h, w)."""
        x = latents.transpose(1, 2)
        code = self._time(t)
        x = self._conv("conv_in", x)
        skips = [x]
        last = len(self.channels) - 1
        for i in range(last + 1):
            for j in range(self.layers):
                x = self._residual(f"down_blocks.{i}.resnets.{j}", x, code)
                if i < last:
                    x = self._transformer(f"down_blocks.{i}.attentions.{j}", x, context)
                skips.append(x)
            if i < last:
                x = self._conv(f"down_blocks.{i}.downsamplers.0.conv", x, stride=2)
                skips.append(x)
        x = self._residual("mid_block.resnets.0", x, code)
        x = self._transformer("mid_block.attentions.0", x, context)
        x = self._residual("mid_block.resnets.1", x, code)
        for i in range(last + 1):
            for j in range(self.layers + 1):
                x = torch.cat([x, skips.pop()], dim=2)
                x = self._residual(f"up_blocks.{i}.resnets.{j}", x, code)
                if i > 0:
                    x = self._transformer(f"up_blocks.{i}.attentions.{j}", x, context)
            if i < last:
                x = x.repeat_interleave(2, dim=3).repeat_interleave(2, dim=4)
                x = self._conv(f"up_blocks.{i}.upsamplers.0.conv", x)
        x = F.silu(self._group_norm("conv_norm_out", x, 1e-5, shared=True))
        return self._conv("conv_out", x).transpose(1, 2)

    def _linear(self, name: str, x: Tensor) -> Tensor:
        out = x @ self.w[f"{name}.weight"].T
        return out + self.w[f"{name}.bias"] if f"{name}.bias" in self.w else out

    def _conv(self, name: str, x: Tensor, stride: int = 1) -> Tensor:
        weight, bias = self.w[f"{name}.weight"], self.w[f"{name}.bias"]
        padding = weight.shape[-1] // 2
        frames = [F.conv2d(x[:, f], weight, bias, stride, padding) for f in range(x.shape[1])]
        return torch.stack(frames, dim=1)

    def _time(self, t: int) -> Tensor:
        half = self.channels[0] // 2
        # rounded to float32 at each step, as published: at t = 901 an angle is off by up to 1e-4
        places = torch.arange(half, dtype=torch.float32)
        angles = t * (-math.log(10000) * places / half).exp()
        code = torch.cat([angles.cos(), angles.sin()]).to(self.w["conv_in.weight"])
        code = F.silu(self._linear("time_embedding.linear_1", code))
        return self._linear("time_embedding.linear_2", code)

    def _group_norm(self, name: str, x: Tensor, eps: float, shared: bool) -> Tensor:
        parts = x.unflatten(2, (self.groups, -1))
        over = (1, 3, 4, 5) if shared else (3, 4, 5)
        mean = parts.mean(over, keepdim=True)
        variance = (parts - mean).square().mean(over, keepdim=True)
        normed = ((parts - mean) / (variance + eps).sqrt()).flatten(2, 3)
        weight, bias = (self.w[f"{name}.{part}"][:, None, None] for part in ("weight", "bias"))
        return normed * weight + bias

    def _residual(self, name: str, x: Tensor, code: Tensor) -> Tensor:
        h = F.silu(self._group_norm(f"{name}.norm1", x, 1e-5, shared=True))
        h = self._conv(f"{name}.conv1", h)
        h = h + self._linear(f"{name}.time_emb_proj", F.silu(code))[:, None, None]
        h = F.silu(self._group_norm(f"{name}.norm2", h, 1e-5, shared=True))
        h = self._conv(f"{name}.conv2", h)
        if f"{name}.conv_shortcut.weight" in self.w:
            x = self._conv(f"{name}.conv_shortcut", x)
        return x + h

    def _transformer(self, name: str, x: Tensor, context: Tensor) -> Tensor:
        height, width = x.shape[3:]
        h = self._group_norm(f"{name}.norm", x, 1e-6, shared=False)
        h = self._conv(f"{name}.proj_in", h)
        # (batch, frame, token, channel)
        tokens = h.flatten(3).transpose(2, 3)
        k = 0
        while f"{name}.transformer_blocks.{k}.norm1.weight" in self.w:
            tokens = self._block(f"{name}.transformer_blocks.{k}", tokens, context)
            k += 1
        h = tokens.transpose(2, 3).unflatten(3, (height, width))
        return x + self._conv(f"{name}.proj_out", h)

    def _layer_norm(self, name: str, x: Tensor) -> Tensor:
        return F.layer_norm(
            x, x.shape[-1:], self.w[f"{name}.weight"], self.w[f"{name}.bias"], eps=1e-5
        )

    def _attend(self, name: str, queries: Tensor, read: Tensor) -> Tensor:
        """queries (..., q, c), what is read (..., k, c') to (..., q, c); one head after the other."""
        q = self._linear(f"{name}.to_q", queries)
        k, v = (self._linear(f"{name}.to_{part}", read) for part in "kv")
        out = []
        for a, b, c in zip(*(part.chunk(self.heads, dim=-1) for part in (q, k, v)), strict=True):
            out.append((a @ b.mT / a.shape[-1] ** 0.5).softmax(-1) @ c)
        return self._linear(f"{name}.to_out.0", torch.cat(out, dim=-1))

    def _block(self, name: str, x: Tensor, context: Tensor) -> Tensor:
        """x (batch, frame, token, channel)."""
        frames = range(x.shape[1])
        normed = self._layer_norm(f"{name}.norm1", x)
        seen = []
        for f in frames:
            read = torch.cat([normed[:, max(f - 2, 0)], normed[:, max(f - 1, 0)]], dim=1)
            seen.append(self._attend(f"{name}.attn1", normed[:, f], read))
        x = x + torch.stack(seen, dim=1)
        normed = self._layer_norm(f"{name}.norm2", x)
        seen = [self._attend(f"{name}.attn2", normed[:, f], context) for f in frames]
        x = x + torch.stack(seen, dim=1)
        value, gate = self._linear(
            f"{name}.ff.net.0.proj", self._layer_norm(f"{name}.norm3", x)
        ).chunk(2, dim=-1)
        x = x + self._linear(f"{name}.ff.net.2", value * F.gelu(gate))
        # for each place the sequence of its frames
        places = self._layer_norm(f"{name}.norm_temp", x).transpose(1, 2)
        return x + self._attend(f"{name}.attn_temp", places, places).transpose(1, 2)


class NaiveSampler:
    """DDIM (Song et al. 2021, eq. 12, no noise) and PNDM without Runge-Kutta steps (Liu et al. 2022,
    section 3.3), on the noise schedule of Stable Diffusion."""

    def __init__(self, predict: Any, steps: int, clip: bool = False) -> None:
        # in float32, as published
        betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float32) ** 2
        self.signal = (1 - betas).cumprod(0).tolist()
        self.predict, self.step, self.clip = predict, 1000 // steps, clip
        self.times = [1 + self.step * i for i in reversed(range(steps))]

    def _transfer(self, x: Tensor, t: int, eps: Tensor) -> Tensor:
        """x at timestep t one step down, along eps; the last step ends at timestep 0."""
        a, b = self.signal[t], self.signal[max(t - self.step, 0)]
        clean = (x - (1 - a) ** 0.5 * eps) / a**0.5
        if self.clip:
            clean = clean.clamp(-1, 1)
        return b**0.5 * clean + (1 - b) ** 0.5 * eps

    def ddim(self, x: Tensor) -> tuple[list[int], list[Tensor]]:
        """(timesteps, state after each call)."""
        states = []
        for t in self.times:
            x = self._transfer(x, t, self.predict(x, t))
            states.append(x)
        return self.times, states

    def pndm(self, x: Tensor) -> tuple[list[int], list[Tensor]]:
        """(timesteps, state after each call); the first step is made twice, then linear multistep."""
        start, top = x, self.times[0]
        known = [self.predict(x, top)]
        x = self._transfer(start, top, known[0])
        states = [x]
        mean = (known[0] + self.predict(x, self.times[1])) / 2
        x = self._transfer(start, top, mean)
        states.append(x)
        adams = {2: (3, -1), 3: (23, -16, 5), 4: (55, -59, 37, -9)}
        for t in self.times[1:]:
            known = [self.predict(x, t), *known][:4]
            factors = adams[len(known)]
            eps = sum(f * e for f, e in zip(factors, known, strict=True)) / sum(factors)
            x = self._transfer(x, t, eps)
            states.append(x)
        return [top, self.times[1], *self.times[1:]], states
