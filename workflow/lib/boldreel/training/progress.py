"""A line every few seconds: how much is done, how fast, how long it will take still.

Takes a total and updates; returns lines on standard error (whole lines, so that jobs that run side
by side do not garble one another, and so that logs stay readable).
"""

from __future__ import annotations

import sys
import time
from typing import Protocol


class Saves(Protocol):
    """What saving has cost: how often, in seconds and in bytes."""

    saves: int
    seconds: float
    bytes: int


def clock(seconds: float) -> str:
    """Seconds as h:mm:ss or m:ss."""
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class Progress:
    """Counts up to `total` and prints at most one line every `every` seconds; none if `quiet`."""

    def __init__(
        self,
        total: int,
        what: str,
        unit: str = "steps",
        every: float = 5.0,
        done: int = 0,
        quiet: bool = False,
    ):
        self.total, self.what, self.unit, self.every = total, what, unit, every
        self.done, self.quiet = done, quiet
        self._first = done
        self._start = self._last = time.monotonic()

    def update(self, n: int = 1, **numbers: float) -> None:
        """Count `n` more; `numbers` (a loss, say) are shown as they are now."""
        self.done += n
        now = time.monotonic()
        if now - self._last >= self.every or (self.done >= self.total and now - self._start > 1):
            self._last = now
            self._print(now, numbers)

    def close(self, waited: float, disk: Saves) -> None:
        """Say what it cost; `waited` of the seconds went by waiting for data, and those of `disk` saving."""
        gone = time.monotonic() - self._start
        count = self.done - self._first
        if gone > 1 and not self.quiet:
            print(
                f"{self.what}: {count} {self.unit} in {clock(gone)}, {waited / gone:.1%} of it waiting "
                f"for data and {disk.seconds / gone:.1%} saving its state ({disk.saves} times, "
                f"{disk.bytes / 1e9:.3g} GB)",
                file=sys.stderr,
                flush=True,
            )

    def _print(self, now: float, numbers: dict[str, float]) -> None:
        if self.quiet:
            return
        rate = (self.done - self._first) / max(now - self._start, 1e-9)
        left = (self.total - self.done) / rate if rate > 0 else 0.0
        shown = "".join(f", {name} {value:.4g}" for name, value in numbers.items())
        print(
            f"{self.what}: {self.done}/{self.total} {self.unit}, {rate:.3g}/s, "
            f"{clock(now - self._start)} gone, {clock(left)} left{shown}",
            file=sys.stderr,
            flush=True,
        )
