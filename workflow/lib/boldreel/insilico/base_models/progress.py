"""A line with rate and time left, at most every ten seconds.

Takes the name and length of a job; returns lines on standard output, live in terminal and log.
"""

from __future__ import annotations

import time

INTERVAL = 10.0  # seconds


class Progress:
    """Prints ``name: done/total, rate/s, time left`` while something long goes on."""

    def __init__(self, name: str, total: int, start: int = 0) -> None:
        self.name, self.total, self.start = name, total, start
        self.began = self.printed = time.monotonic()

    def update(self, done: int, note: str = "") -> None:
        """Say that ``done`` of ``total`` are finished; ``note`` is appended to the line."""
        now = time.monotonic()
        if now - self.printed < INTERVAL and done < self.total:
            return
        self.printed = now
        rate = (done - self.start) / max(now - self.began, 1e-9)
        left = (self.total - done) / max(rate, 1e-9)
        print(
            f"{self.name}: {done}/{self.total}, {rate:.1f}/s, {left / 60:.1f} min left {note}",
            flush=True,
        )
