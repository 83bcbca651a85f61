"""Checks shared by all sections about a training."""

from __future__ import annotations

from boldreel.errors import UserError

MIXED_PRECISION = ("no", "bf16", "fp16")  # as Accelerate names it


def check_training(
    section: str, *, epochs: int, warmup_epochs: float | None, batch_size: int, processes: int
) -> None:
    """UserError if a training would end in its warm-up, or processes cannot split its batch evenly."""
    if 0 < epochs <= (warmup_epochs or 0):
        raise UserError(
            f"configuration: {section}.warmup_epochs is {warmup_epochs:g} of {epochs} epochs in all: the "
            f"learning rate would never reach its peak; lower it or raise {section}.epochs"
        )
    if batch_size % processes:
        raise UserError(
            f"configuration: {section}.batch_size is {batch_size}; it must be a multiple of "
            f"{section}.processes, {processes}"
        )
