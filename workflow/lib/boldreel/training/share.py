"""A process's share of a training that several processes do together.

Takes what a launcher left in the environment (`training.launch`, torchrun); returns which rows of a batch
are this process's, and sums and rows of all processes. Every process draws the random numbers of the
whole batch and uses its own part of them, so that any number of processes trains alike.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch
from torch import distributed

from boldreel.errors import UserError


@dataclass(frozen=True)
class Share:
    """Process number `rank` of `processes`."""

    rank: int = 0
    processes: int = 1

    @classmethod
    def current(cls) -> Share:
        """This process's, which is everything where it is alone; joins the others' group."""
        if int(os.environ.get("WORLD_SIZE", "1")) == 1:
            return cls()
        from accelerate import PartialState

        state = PartialState(cpu=not torch.cuda.is_available())
        return cls(state.process_index, state.num_processes)

    def rows(self, n: int, key: str) -> slice:
        """Which of n rows are this process's; UserError, naming the key, unless all get as many."""
        if n % self.processes:
            raise UserError(
                f"{key} is {n}; it must be a multiple of the {self.processes} processes that train"
            )
        each = n // self.processes
        return slice(self.rank * each, (self.rank + 1) * each)

    def mean(self, total: torch.Tensor, count: torch.Tensor) -> torch.Tensor:
        """A scalar whose mean over processes is the sum of all totals divided by that of all counts.

        Gradients are averaged over processes: with losses of this form they are those of the mean over
        the whole batch, whatever each part counts.
        """
        if self.processes > 1:
            count = count.detach().clone()
            distributed.all_reduce(count)
        return self.processes * total / count.clamp(min=1)

    def gather(self, rows: torch.Tensor) -> torch.Tensor:
        """The rows (n, ...) of all processes in order, (processes * n, ...), with gradients."""
        if self.processes == 1:
            return rows
        from torch.distributed.nn.functional import all_gather

        return torch.cat(all_gather(rows))

    def average(self, values: list[float], device: torch.device) -> list[float]:
        """The mean over processes of each number."""
        if self.processes == 1:
            return values
        summed = torch.tensor(values, dtype=torch.float64, device=device)
        distributed.all_reduce(summed)
        return (summed / self.processes).tolist()


ALONE = Share()
