"""What stands in for a subject's responses in controls: the training mean, noise, another subject.

Takes windows and series; returns responses of some test clips that say nothing of what was seen, or what
somebody else's brain said of it. Every method is fed the same.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from boldreel.data import tables
from boldreel.data.responses import load_responses
from boldreel.errors import UserError

NAMES = ("mean", "noise", "other")
FITTED = ("train", "validation")


def some_test_clips(windows: Path, count: int) -> list[str]:
    """At most this number of the sorted test clips, evenly spaced."""
    table = tables.read(windows, "windows")
    clips = sorted(set(table.loc[table["split"] == "test", "clip"]))
    places = np.linspace(0, len(clips) - 1, min(count, len(clips))).round().astype(int)
    return [clips[place] for place in places]


def mean(windows: Path, series: Path, count: int) -> tuple[list[str], np.ndarray]:
    """(clips, the mean training response for each): float32 (n, window, positions)."""
    clips = some_test_clips(windows, count)
    average = load_responses(windows, series, FITTED).x.mean(axis=0, dtype=np.float64)
    return clips, np.repeat(average.astype(np.float32)[None], len(clips), axis=0)


def noise(
    windows: Path, series: Path, count: int, seed: int, repeats: str | int = "average"
) -> tuple[list[str], np.ndarray]:
    """(clips, normal noise for each): float32 (n, window, positions).

    Series are z-scored, so that without signal the mean over n repeats has a variance of 1 / n.
    """
    responses = load_responses(windows, series, "test", repeats)
    row = {clip: k for k, clip in enumerate(responses.clips)}
    clips = some_test_clips(windows, count)
    x = np.empty((len(clips), *responses.x.shape[1:]), np.float32)
    for k, clip in enumerate(clips):
        drawn = np.random.default_rng([seed, row[clip], 4]).standard_normal(x.shape[1:])
        x[k] = drawn / np.sqrt(responses.repeats[row[clip]])
    return clips, x


def other(
    windows: Path,
    other_windows: Path,
    other_series: Path,
    count: int,
    repeats: str | int = "average",
) -> tuple[list[str], np.ndarray]:
    """(clips, another subject's responses to them): float32 (n, window, positions).

    Positions are anatomical, so that it can stand in. The other's responses are read at the other's own
    lag, in windows of this subject's length. UserError if the two saw no test clip in common.
    """
    width = int(tables.read(windows, "windows")["window"].iloc[0])
    responses = load_responses(other_windows, other_series, "test", repeats, window=width)
    row = {clip: k for k, clip in enumerate(responses.clips)}
    clips = [clip for clip in some_test_clips(windows, count) if clip in row]
    if not clips:
        raise UserError(
            f"{other_windows}: no test clip in common with {windows}; take `other` out of "
            "reconstruct.controls"
        )
    return clips, responses.x[[row[clip] for clip in clips]]
