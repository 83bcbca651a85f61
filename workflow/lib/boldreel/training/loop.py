"""One training loop for every stage: through Accelerate, resumable to bit-equality on the CPU.

Several processes may run it together (`training.launch`): the first one keeps the state.

Takes a module, a loss, batches and an optimizer; returns the module with its best (or last) weights
and the history, one row an epoch. Every step's random numbers are seeded by (seed, epoch, step), so
a training that was stopped anywhere goes on as if it had never stopped. Frozen weights are not
saved: whoever calls `fit` has them from where they came.
"""

from __future__ import annotations

import copy
import itertools
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from boldreel.errors import UserError
from boldreel.step import Stopped
from boldreel.training.progress import Progress
from boldreel.training.share import Share
from boldreel.training.state import State

Batches = Callable[[int, torch.Generator], Iterable[Any]]
Loss = Callable[[nn.Module, Any, torch.Generator], tuple[torch.Tensor, dict[str, float]]]
Validate = Callable[[nn.Module], dict[str, float]]
Show = Callable[[nn.Module, int], None]

# A state that takes no longer to save, in seconds, is saved at the end of every epoch.
_QUICK = 0.25
# Bytes up to which a buffer is saved without asking whether it changed: norms keep running means in such.
_SMALL = 1 << 20


def step_seed(seed: int, epoch: int, step: int) -> int:
    """A 63-bit seed that differs for every (seed, epoch, step)."""
    mixed = (seed * 1_000_003 + epoch) * 1_000_003 + step
    return (mixed * 0x9E3779B97F4A7C15) % (1 << 63)


def fit(
    module: nn.Module,
    loss_fn: Loss,
    batches: Batches,
    *,
    epochs: int,
    steps_per_epoch: int,
    optimizer: torch.optim.Optimizer,
    schedule: Callable[[int], float],
    seed: int,
    state_dir: str | Path,
    validate: Validate | None = None,
    show: Show | None = None,
    monitor: str = "val_loss",
    clip_norm: float | None = None,
    ema: float | None = None,
    mixed_precision: str = "no",
    what: str = "training",
    save_every: float = 600.0,
) -> list[dict[str, float]]:
    """Train `module` in place and return the history.

    Parameters
    ----------
    loss_fn : (module, batch, generator) -> (loss, numbers to log)
    batches : (epoch, generator) -> iterable of at least `steps_per_epoch` batches; deterministic
        given the generator, which is on the CPU.
    schedule : optimizer step number -> factor on the learning rate.
    validate : module -> numbers; the state with the lowest `monitor` is kept, the starting point
        (epoch 0 of the history) counts too. Sees the averaged weights where `ema` is set.
    show : (module, epoch) -> None, called after each validation with the same weights, by one process.
    ema : decay of an exponential moving average of the trained weights, which is then the result.
    save_every : seconds between saves. The ends of epochs are saved too if that is quick. What was not
        saved when a training is killed is computed again.

    Raises UserError at a loss that is not finite (the last good state stays on disk) and `Stopped`
    after SIGTERM (the state is saved first).
    """
    from accelerate import Accelerator

    accelerator = Accelerator(
        mixed_precision=mixed_precision,
        cpu=not torch.cuda.is_available(),
        step_scheduler_with_optimizer=False,
    )
    share = Share.current()
    module.to(accelerator.device)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, schedule)
    model, optimizer, scheduler = accelerator.prepare(module, optimizer, scheduler)
    with State(state_dir, owner=share.rank == 0) as disk, _sigterm() as stop:
        run = _Run(
            accelerator=accelerator,
            share=share,
            raw=module,
            model=model,
            optimizer=optimizer,
            scheduler=scheduler,
            average=_Average(module, ema) if ema else None,
            disk=disk,
            stop=stop,
            loss_fn=loss_fn,
            batches=batches,
            steps_per_epoch=steps_per_epoch,
            seed=seed,
            validate=validate,
            show=show,
            monitor=monitor,
            clip_norm=clip_norm,
            what=what,
            save_every=save_every,
        )
        if not run.resume(epochs):
            run.judge({"epoch": 0})
            run.save()
        done = run.epoch * steps_per_epoch + run.step
        progress = Progress(epochs * steps_per_epoch, what, done=done, quiet=share.rank > 0)
        waiting = _Waiting()
        model.train()
        while run.epoch < epochs:
            run.train_epoch(progress, waiting, last=run.epoch == epochs - 1)
        progress.close(waiting.seconds, disk)
        accelerator.wait_for_everyone()
        run.keep_best()
    module.eval()
    return run.history


@dataclass
class _Run:
    """A training under way: what it trains, with what, and how far it is.

    raw : the module; model : the same as Accelerate runs it.
    epoch, step : how many are done. best : lowest `monitor`. sums : of this epoch's numbers over steps.
    """

    accelerator: Any
    share: Share
    raw: nn.Module
    model: nn.Module
    optimizer: Any
    scheduler: Any
    average: _Average | None
    disk: State
    stop: threading.Event
    loss_fn: Loss
    batches: Batches
    steps_per_epoch: int
    seed: int
    validate: Validate | None
    show: Show | None
    monitor: str
    clip_norm: float | None
    what: str
    save_every: float
    epoch: int = 0
    step: int = 0
    best: float = math.inf
    history: list[dict[str, float]] = field(default_factory=list)
    sums: dict[str, float] = field(default_factory=dict)
    saved_at: float = field(default_factory=time.monotonic)
    # Weights that are the best yet and not on disk, on the CPU.
    unsaved: dict[str, torch.Tensor] | None = None

    def __post_init__(self) -> None:
        self.trained = _Trained(self.raw)

    def resume(self, epochs: int) -> bool:
        """Continue from the state on disk; False without one, or if it is of a training of more epochs."""
        self.accelerator.wait_for_everyone()  # nobody reads a state that another may be writing
        saved = self.disk.load("last")
        self.accelerator.wait_for_everyone()
        if saved is None:
            return False
        if (saved["epoch"], saved["step"]) > (epochs, 0):
            print(
                f"{self.what}: the state in {self.disk.folder} is of a longer training "
                f"({saved['epoch']} epochs; {epochs} are asked for): starting again",
                file=sys.stderr,
                flush=True,
            )
            return False
        # Each part is let go as soon as it is copied: together they are as large as the training.
        self.trained.load(saved.pop("module"))
        self.optimizer.load_state_dict(saved.pop("optimizer"))
        self.scheduler.load_state_dict(saved["scheduler"])
        self.epoch, self.step, self.best = saved["epoch"], saved["step"], saved["best"]
        self.history, self.sums = saved["history"], saved["sums"]
        if self.average is not None:
            self.average.load(saved.pop("average"))
        if self.accelerator.scaler is not None:
            self.accelerator.scaler.load_state_dict(saved["scaler"])
        return True

    def save(self) -> None:
        """Write the state to disk, for `resume` to continue from."""
        if self.share.rank:
            return
        if self.unsaved is not None:
            self.disk.save("best", {"module": self.unsaved})
            self.unsaved = None
        scaler = self.accelerator.scaler
        self.disk.save(
            "last",
            {
                "module": self.trained.state(),
                "optimizer": self.optimizer.state_dict(),
                "scheduler": self.scheduler.state_dict(),
                "epoch": self.epoch,
                "step": self.step,
                "best": self.best,
                "history": self.history,
                "sums": self.sums,
                "average": self.average.shadow if self.average is not None else None,
                "scaler": scaler.state_dict() if scaler else None,
            },
        )
        self.saved_at = time.monotonic()

    def worth_saving(self) -> bool:
        """Whether a save is due at the end of an epoch: an epoch can be shorter than a save."""
        cost = self.disk.seconds / max(self.disk.saves, 1)
        return cost <= _QUICK or time.monotonic() - self.saved_at > self.save_every

    def judge(self, row: dict[str, float]) -> None:
        """Add a row to the history, with the validation's numbers, and keep the weights if they are the
        best yet."""
        self.history.append(row)
        if self.validate is None:
            return
        with _weights(self.raw, self.average), torch.no_grad():
            self.raw.eval()
            row.update({name: float(value) for name, value in self.validate(self.raw).items()})
            if self.show is not None and self.share.rank == 0:
                self.show(self.raw, int(row["epoch"]))
            self.raw.train()
            if row[self.monitor] < self.best:
                if self.share.rank == 0:
                    self.unsaved = self.trained.copy()
                self.best = row[self.monitor]

    def keep_best(self) -> None:
        """Leave the best weights in the module, or the average of the last ones without validation."""
        kept = self.disk.load("best") if self.validate is not None else None
        if kept is not None:
            self.trained.load(kept.pop("module"))
        elif self.average is not None:
            self.average.copy_to(self.raw)

    def train_epoch(self, progress: Progress, waiting: _Waiting, last: bool) -> None:
        """The steps of an epoch that are left, its validation and its row of the history.

        last : whether this is the last epoch, whose end is saved in any case
        """
        order = torch.Generator().manual_seed(step_seed(self.seed, self.epoch, -1))
        batches = self.batches(self.epoch, order)
        stream = itertools.islice(batches, self.step, self.steps_per_epoch)
        for batch in waiting.each(stream):
            stopping = self.train_step(batch)
            # Before anything is printed: the signal may have ended the reader of the log too.
            if stopping or (self.share.processes == 1 and self.stop.is_set()):
                self.save()
                raise Stopped
            progress.update(loss=self.sums["loss"] / self.step)
            if time.monotonic() - self.saved_at > self.save_every:
                self.save()
        means = {name: total / max(self.step, 1) for name, total in self.sums.items()}
        rate = float(self.scheduler.get_last_lr()[0])
        self.judge({"epoch": self.epoch + 1, **means, "learning_rate": rate})
        self.epoch, self.step, self.sums = self.epoch + 1, 0, {}
        stopping = self.stop.is_set() and self.share.processes == 1
        if last or stopping or self.worth_saving():
            self.save()
        if stopping:
            raise Stopped  # several stop together, at the next step

    def train_step(self, batch: Any) -> bool:
        """Train on a batch; whether any process was asked to stop."""
        seed = step_seed(self.seed, self.epoch, self.step)
        noise = torch.Generator().manual_seed(seed)
        torch.manual_seed(seed)
        self.optimizer.zero_grad(set_to_none=True)
        loss, numbers = self.loss_fn(self.model, batch, noise)
        names = ["loss", *numbers]
        own = [float(loss.detach()), *map(float, numbers.values())]
        # One process's signal stops all of them at the same step, one's NaN too.
        asked = float(self.stop.is_set())
        *values, stopping = self.share.average([*own, asked], loss.device)
        if not math.isfinite(values[0]):
            # The step before may have broken the weights already: those are not saved.
            if all(bool(torch.isfinite(p).all()) for p in self.raw.parameters()):
                self.save()
            raise UserError(
                f"{self.what}: loss is {values[0]} at epoch {self.epoch}, step {self.step}; the last "
                f"good state is kept in {self.disk.folder}; lower the learning rate and run again"
            )
        self.accelerator.backward(loss)
        if self.clip_norm is not None:
            self.accelerator.clip_grad_norm_(self.model.parameters(), self.clip_norm)
        self.optimizer.step()
        self.scheduler.step()
        if self.average is not None:
            self.average.update(self.raw)
        self.step += 1
        for name, value in zip(names, values, strict=True):
            self.sums[name] = self.sums.get(name, 0.0) + value
        return bool(stopping)


class _Trained:
    """What a training changes in a module: parameters with gradients, and buffers such as running means.

    Large buffers are constants, such as a bank of captions: they count only if an operation changed them.
    """

    def __init__(self, module: nn.Module):
        self.module = module
        self.large = {
            name: (id(buffer), buffer._version)
            for name, buffer in module.named_buffers()
            if buffer.nbytes > _SMALL and not buffer.is_inference()
        }

    def state(self) -> dict[str, torch.Tensor]:
        """The tensors, by name, as they are now: not copied."""
        kept = {
            name: parameter.detach()
            for name, parameter in self.module.named_parameters()
            if parameter.requires_grad
        }
        for name, buffer in self.module.named_buffers():
            as_it_was = self.large.get(name)
            if as_it_was is None or as_it_was != (id(buffer), buffer._version):
                kept[name] = buffer.detach()
        return kept

    def copy(self) -> dict[str, torch.Tensor]:
        """The same, on the CPU, to keep."""
        return {name: tensor.to("cpu", copy=True) for name, tensor in self.state().items()}

    @torch.no_grad()
    def load(self, state: dict[str, torch.Tensor]) -> None:
        """Take over what `state` once gave; UserError if it is of another training."""
        own = dict(self.module.named_buffers()) | dict(self.module.named_parameters())
        if not self.state().keys() <= state.keys() <= own.keys():
            raise UserError("the training state is of other weights; delete it to start again")
        for name, tensor in state.items():
            own[name].copy_(tensor)


class _Waiting:
    """Seconds that batches let the training wait."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def each(self, stream: Iterator[Any]) -> Iterator[Any]:
        while True:
            asked = time.monotonic()
            batch = next(stream, None)
            self.seconds += time.monotonic() - asked
            if batch is None:
                return
            yield batch


class _Average:
    """Exponential moving average of the trained parameters (Polyak and Juditsky 1992)."""

    def __init__(self, module: nn.Module, decay: float):
        self.decay, self.count = decay, 0
        self.shadow = {
            n: p.detach().clone() for n, p in module.named_parameters() if p.requires_grad
        }
        self.shadow["count"] = torch.zeros((), dtype=torch.long)

    def update(self, module: nn.Module) -> None:
        self.shadow["count"] += 1
        count = int(self.shadow["count"])
        # a short memory at first, so that the random start is forgotten
        decay = min(self.decay, (1 + count) / (10 + count))
        for name, parameter in module.named_parameters():
            if parameter.requires_grad:
                self.shadow[name].lerp_(parameter.detach(), 1 - decay)

    def load(self, shadow: dict[str, torch.Tensor]) -> None:
        for name, value in shadow.items():
            self.shadow[name].copy_(value)

    def copy_to(self, module: nn.Module) -> None:
        for name, parameter in module.named_parameters():
            if parameter.requires_grad:
                parameter.data.copy_(self.shadow[name])


@contextmanager
def _weights(module: nn.Module, average: _Average | None) -> Iterator[None]:
    """The averaged weights in the module's place, for a while."""
    if average is None:
        yield
        return
    own = copy.deepcopy({n: p.data for n, p in module.named_parameters() if p.requires_grad})
    average.copy_to(module)
    try:
        yield
    finally:
        for name, parameter in module.named_parameters():
            if name in own:
                parameter.data.copy_(own[name])


@contextmanager
def _sigterm() -> Iterator[threading.Event]:
    """SIGTERM sets an event in place of leaving at once: a step is never cut in two."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return
    before = signal.signal(signal.SIGTERM, lambda *_: event.set())
    try:
        yield event
    finally:
        signal.signal(signal.SIGTERM, before)


def set_threads() -> None:
    """As many CPU threads as the rule was given (Snakemake sets OMP_NUM_THREADS), else one.

    Processes that train together on one machine share them.
    """
    together = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    torch.set_num_threads(max(1, int(os.environ.get("OMP_NUM_THREADS", "1")) // together))
