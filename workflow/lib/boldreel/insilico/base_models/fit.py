"""One training loop for all base models: AdamW, warm-up and cosine, moving average, resumable.

Takes a model and a function from step to loss; returns the moving average of the weights in the
model. Every step draws from a generator of its own (seed, step), so that an interrupted training
goes on as if nothing had happened. The loop of the pipeline, ``training.loop``, seeds its steps in another
way and averages no statistics of norms: with it the shipped weights could not be made again.

Training is in bfloat16 where the processor has matrix units for it (AMX), in float32 elsewhere: products
of matrices and convolutions run in bfloat16, weights and the optimiser stay in float32. Two layers would
lose what that gains, and are replaced: the fused attention, whose backward pass is slow in bfloat16, and
the group norm, whose bfloat16 kernel is slower than the float32 one.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from boldreel.data import atomic
from boldreel.training.precision import has_matrix_units
from boldreel.training.progress import Progress


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train."""

    steps: int
    lr: float
    weight_decay: float = 0.01
    warmup: int = 200  # steps
    average: float = 0.998  # decay of the moving average
    seed: int = 0

    def rate(self, step: int) -> float:
        """Learning rate at a step: linear warm-up, then a cosine to a fiftieth."""
        if step < self.warmup:
            return self.lr * (step + 1) / self.warmup
        share = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.lr * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, share))))


def fit(
    model: torch.nn.Module,
    loss: Callable[[np.random.Generator], torch.Tensor],
    schedule: Schedule,
    state: Path,
    name: str,
    snapshot: Callable[[torch.nn.Module], None] | None = None,
    every: int = 250,
    rounded: bool = True,
) -> None:
    """Train ``model`` in place; afterwards it holds the moving average of its weights.

    Parameters
    ----------
    loss : draws a batch with the generator it is given and returns a scalar.
    state : file from which an interrupted training resumes; removed at the end.
    snapshot : called with the moving average every ``every`` steps, when the state is saved.
    rounded : whether the forward pass may run in bfloat16, see ``prepare``. Not where the result
        is exact pixels.
    """
    rounded = rounded and has_matrix_units()
    if rounded:
        prepare(model)
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(
        parameters, lr=schedule.lr, weight_decay=schedule.weight_decay, fused=True
    )
    average = copy.deepcopy(model).requires_grad_(False)
    start = 0
    if state.exists():
        saved = torch.load(state, weights_only=True)
        model.load_state_dict(saved["model"])
        average.load_state_dict(saved["average"])
        optimiser.load_state_dict(saved["optimiser"])
        start = saved["step"]
    progress = Progress(schedule.steps, name, done=start)
    mean_loss = 0.0
    for step in range(start, schedule.steps):
        torch.manual_seed(schedule.seed * 1_000_003 + step)
        for group in optimiser.param_groups:
            group["lr"] = schedule.rate(step)
        with arithmetic(rounded):
            value = loss(np.random.default_rng([schedule.seed, step]))
        optimiser.zero_grad(set_to_none=True)
        value.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        decay = min(schedule.average, (1 + step) / (10 + step))
        _blend(average, model, decay)
        mean_loss = 0.98 * mean_loss + 0.02 * value.item() if step > start else value.item()
        progress.update(loss=mean_loss)
        if (step + 1) % every == 0 and step + 1 < schedule.steps:
            with atomic.file(state) as aside:
                torch.save(
                    {
                        "model": model.state_dict(),
                        "average": average.state_dict(),
                        "optimiser": optimiser.state_dict(),
                        "step": step + 1,
                    },
                    aside,
                )
            if snapshot is not None:
                snapshot(average)
    model.load_state_dict(average.state_dict())
    state.unlink(missing_ok=True)


@torch.no_grad()
def _blend(average: torch.nn.Module, model: torch.nn.Module, decay: float) -> None:
    """Move the average a little towards the model; counters and statistics are copied."""
    kept, new = average.state_dict(), model.state_dict()
    floats = [key for key in kept if kept[key].is_floating_point()]
    torch._foreach_lerp_([kept[k] for k in floats], [new[k] for k in floats], 1 - decay)
    for key in kept.keys() - set(floats):
        kept[key].copy_(new[key])


class _GroupNorm(torch.nn.GroupNorm):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", enabled=False):
            return super().forward(x.float())


def prepare(model: torch.nn.Module) -> None:
    """Replace attention and group norms in all parts of ``model``, weights kept."""
    from diffusers import UNet2DConditionModel
    from diffusers.models.attention_processor import AttnProcessor
    from transformers import PreTrainedModel

    for part in model.modules():
        if type(part) is torch.nn.GroupNorm:
            part.__class__ = _GroupNorm
        elif isinstance(part, UNet2DConditionModel):
            part.set_attn_processor(AttnProcessor())
        elif isinstance(part, PreTrainedModel) and part._supports_sdpa:
            part.set_attn_implementation("eager")


def arithmetic(rounded: bool) -> torch.autocast:
    """The context in which a training step's forward pass runs: bfloat16 where ``rounded``."""
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=rounded)
