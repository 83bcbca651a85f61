"""One training loop for every stage: through Accelerate, resumable to bit-equality on the CPU.

Several processes may run it together (`training.launch`): the first one keeps the state.

Takes a module, a loss, batches and an optimizer; returns the module with its best (or last) weights
and the history, one row an epoch. Every step's random numbers are seeded by (seed, epoch, step), so
a training that was stopped anywhere goes on as if it had never stopped.
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
    save_every: float = 60.0,
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
    save_every : seconds between saves within an epoch.

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
    raw = module
    module.to(accelerator.device)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, schedule)
    model, optimizer, scheduler = accelerator.prepare(module, optimizer, scheduler)
    average = _Average(raw, ema) if ema else None

    with State(state_dir, owner=share.rank == 0) as disk, _sigterm() as stop:
        accelerator.wait_for_everyone()  # nobody reads a state that another training may be writing
        epoch, step, history, best = 0, 0, [], math.inf
        saved = disk.load("last")
        accelerator.wait_for_everyone()
        if saved is not None and (saved["epoch"], saved["step"]) > (epochs, 0):
            print(
                f"{what}: the state in {disk.folder} is of a longer training ({saved['epoch']} epochs; "
                f"{epochs} are asked for): starting again",
                file=sys.stderr,
                flush=True,
            )
            saved = None
        if saved is not None:
            raw.load_state_dict(saved["module"])
            optimizer.load_state_dict(saved["optimizer"])
            scheduler.load_state_dict(saved["scheduler"])
            epoch, step, best = saved["epoch"], saved["step"], saved["best"]
            history, sums = saved["history"], saved["sums"]
            if average is not None:
                average.load(saved["average"])
            if accelerator.scaler is not None:
                accelerator.scaler.load_state_dict(saved["scaler"])
        else:
            sums = {}

        def save() -> None:
            if share.rank == 0:
                disk.save(
                    "last",
                    {
                        "module": raw.state_dict(),
                        "optimizer": optimizer.state_dict(),
                        "scheduler": scheduler.state_dict(),
                        "epoch": epoch,
                        "step": step,
                        "best": best,
                        "history": history,
                        "sums": sums,
                        "average": average.shadow if average is not None else None,
                        "scaler": accelerator.scaler.state_dict() if accelerator.scaler else None,
                    },
                )

        def judge(row: dict[str, float]) -> float:
            """Add the validation's numbers to `row`, keep the weights if they are the best yet."""
            if validate is None:
                return best
            with _weights(raw, average), torch.no_grad():
                raw.eval()
                row.update({name: float(value) for name, value in validate(raw).items()})
                if show is not None and share.rank == 0:
                    show(raw, int(row["epoch"]))
                raw.train()
                if row[monitor] < best:
                    if share.rank == 0:
                        disk.save("best", {"module": raw.state_dict()})
                    return row[monitor]
            return best

        if saved is None:
            row: dict[str, float] = {"epoch": 0}
            best = judge(row)
            history.append(row)
            save()

        done = epoch * steps_per_epoch + step
        progress = Progress(epochs * steps_per_epoch, what, done=done, quiet=share.rank > 0)
        waiting = _Waiting()
        last_save = time.monotonic()
        model.train()
        while epoch < epochs:
            order = torch.Generator().manual_seed(step_seed(seed, epoch, -1))
            stream = itertools.islice(batches(epoch, order), step, steps_per_epoch)
            for batch in waiting.each(stream):
                noise = torch.Generator().manual_seed(step_seed(seed, epoch, step))
                torch.manual_seed(step_seed(seed, epoch, step))
                optimizer.zero_grad(set_to_none=True)
                loss, numbers = loss_fn(model, batch, noise)
                names = ["loss", *numbers]
                own = [float(loss.detach()), *map(float, numbers.values())]
                # One process's signal stops all of them at the same step, one's NaN too.
                *values, stopping = share.average([*own, float(stop.is_set())], loss.device)
                if not math.isfinite(values[0]):
                    # The step before may have broken the weights already: those are not saved.
                    if all(bool(torch.isfinite(p).all()) for p in raw.parameters()):
                        save()
                    raise UserError(
                        f"{what}: loss is {values[0]} at epoch {epoch}, step {step}; the last good "
                        f"state is kept in {disk.folder}; lower the learning rate and run again"
                    )
                accelerator.backward(loss)
                if clip_norm is not None:
                    accelerator.clip_grad_norm_(model.parameters(), clip_norm)
                optimizer.step()
                scheduler.step()
                if average is not None:
                    average.update(raw)
                step += 1
                for name, value in zip(names, values, strict=True):
                    sums[name] = sums.get(name, 0.0) + value
                # Before anything is printed: the signal may have ended the reader of the log too.
                if stopping or (share.processes == 1 and stop.is_set()):
                    save()
                    raise Stopped
                progress.update(loss=sums["loss"] / step)
                if time.monotonic() - last_save > save_every:
                    save()
                    last_save = time.monotonic()
            row = {"epoch": epoch + 1, **{k: v / max(step, 1) for k, v in sums.items()}}
            row["learning_rate"] = float(scheduler.get_last_lr()[0])
            best = judge(row)
            history.append(row)
            epoch, step, sums = epoch + 1, 0, {}
            save()
            last_save = time.monotonic()
            if stop.is_set() and share.processes == 1:  # several stop together, at the next step
                raise Stopped
        progress.close(waiting.seconds)
        accelerator.wait_for_everyone()
        kept = disk.load("best") if validate is not None else None
        if kept is not None:
            raw.load_state_dict(kept["module"])
        elif average is not None:
            average.copy_to(raw)
    raw.eval()
    return history


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

    Processes that train together on one machine part them.
    """
    together = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    torch.set_num_threads(max(1, int(os.environ.get("OMP_NUM_THREADS", "1")) // together))
