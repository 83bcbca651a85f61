"""What happens when memory runs out: half the batch, with a warning.

Takes a batch size and what to do with it; returns its result.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TypeVar

import torch

from boldreel.errors import UserError
from boldreel.training.share import Share

T = TypeVar("T")


def _ran_out(error: RuntimeError) -> bool:
    """CUDA has a class for this error; the CPU's allocator only has a message."""
    return isinstance(error, torch.OutOfMemoryError) or "not enough memory" in str(error)


def with_smaller_batches(attempt: Callable[[int], T], batch: int, what: str) -> T:
    """Call ``attempt(batch)``, and with half the batch whenever memory runs out.

    Of processes that train together one cannot halve its part alone: there it is an error.

    Raises
    ------
    UserError : memory does not suffice for a batch of 1, or for the batch of several processes.
    """
    together = Share.current().processes > 1
    while True:
        try:
            return attempt(batch)
        except RuntimeError as error:
            if not _ran_out(error):
                raise
            if together:
                raise UserError(
                    f"{what}: memory does not suffice for this process's part of a batch of {batch}; "
                    "set a smaller batch, mixed_precision or gradient_checkpointing"
                ) from None
            if batch == 1:
                raise UserError(
                    f"{what}: memory does not suffice for a batch of 1; free the device, or set "
                    "mixed_precision and gradient_checkpointing"
                ) from None
        batch //= 2
        print(f"warning: {what}: out of memory, continues with a batch of {batch}", file=sys.stderr)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
