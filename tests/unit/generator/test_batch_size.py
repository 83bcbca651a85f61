"""Out of memory halves the batch."""

from __future__ import annotations

import pytest
import torch

from boldreel.errors import UserError
from boldreel.generator.batch_size import with_smaller_batches


def test_halves_until_it_fits(capsys: pytest.CaptureFixture[str]) -> None:
    tried = []

    def attempt(batch: int) -> int:
        tried.append(batch)
        if batch > 3:
            raise torch.OutOfMemoryError("out of memory")
        return batch

    assert with_smaller_batches(attempt, 12, "generator") == 3
    assert tried == [12, 6, 3]
    assert capsys.readouterr().err.count("warning: generator: out of memory") == 2


def test_gives_up_at_one_and_lets_other_errors_through() -> None:
    def never(_: int) -> None:
        raise RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate")

    with pytest.raises(UserError, match="batch of 1"):
        with_smaller_batches(never, 2, "generator")

    def broken(_: int) -> None:
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        with_smaller_batches(broken, 2, "generator")
