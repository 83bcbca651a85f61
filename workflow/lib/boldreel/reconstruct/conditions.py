"""The condition of each test clip: what a subject's brain says, what the captions say, or a control.

Takes an encoder with windows and series, or feature folders; leaves conditions by clip.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from boldreel.errors import UserError


def from_captions(clips_table: Path, features: Sequence[Path]) -> dict[str, np.ndarray]:
    """True text conditions (length, width) of the clips of the movies whose features are given."""
    from boldreel.generator.material import load_conditions

    return load_conditions(clips_table, features)


def from_mean(generator: Path, windows: Path, count: int) -> dict[str, np.ndarray]:
    """The condition of the mean training response, which co-training keeps, for some test clips."""
    from boldreel.generator.saving import load_negative

    return dict.fromkeys(some_test_clips(windows, count), load_negative(generator))


def from_noise(
    encoder_folder: Path, windows: Path, series: Path, repeats: str | int, count: int, seed: int
) -> dict[str, np.ndarray]:
    """Conditions (length, width) that the encoder makes of noise, for some test clips.

    Series are z-scored, so that without signal the mean over n repeats has a variance of 1 / n.
    """
    from boldreel.data.responses import load_responses

    responses = load_responses(windows, series, "test", repeats)
    row = {clip: k for k, clip in enumerate(responses.clips)}
    clips = some_test_clips(windows, count)
    x = np.empty((len(clips), *responses.x.shape[1:]), np.float32)
    for k, clip in enumerate(clips):
        drawn = np.random.default_rng([seed, row[clip], 4]).standard_normal(x.shape[1:])
        x[k] = drawn / np.sqrt(responses.repeats[row[clip]])
    return dict(zip(clips, _encode(encoder_folder, x), strict=True))


def from_other(
    encoder_folder: Path,
    windows: Path,
    repeats: str | int,
    other_windows: Path,
    other_series: Path,
    count: int,
) -> dict[str, np.ndarray]:
    """Conditions that a subject's encoder makes of another subject's responses, for some test clips.

    Positions are anatomical, so that it can. The other's responses are read at the other's own lag, in
    windows of this encoder's length. UserError where the two saw no test clip in common.
    """
    from boldreel.data import tables
    from boldreel.data.responses import load_responses

    width = int(tables.read(windows, "windows")["window"].iloc[0])
    responses = load_responses(other_windows, other_series, "test", repeats, window=width)
    row = {clip: k for k, clip in enumerate(responses.clips)}
    clips = [clip for clip in some_test_clips(windows, count) if clip in row]
    if not clips:
        raise UserError(
            f"{other_windows}: no test clip in common with {windows}; take `other` out of "
            "reconstruct.controls"
        )
    x = responses.x[[row[clip] for clip in clips]]
    return dict(zip(clips, _encode(encoder_folder, x), strict=True))


def from_nearest_caption(
    encoder_folder: Path,
    windows: Path,
    series: Path,
    repeats: str | int,
    clips_table: Path,
    features: Sequence[Path],
    count: int,
) -> dict[str, np.ndarray]:
    """The true condition of the training caption that is nearest to what is predicted, for some test clips.

    What a generator makes of a caption alone: a reconstruction that is no better has read no more from the
    brain than which caption to look up. features : folders of the training movies.
    """
    import torch

    from boldreel.align.encoder import SpatioTemporalEncoder
    from boldreel.align.features import load_features
    from boldreel.data import tables
    from boldreel.data.responses import load_responses

    table = tables.read(windows, "windows")
    shown = list(dict.fromkeys(table.loc[table["split"] != "test", "clip"]))
    training = load_features(clips_table, features, shown)
    responses = load_responses(windows, series, "test", repeats)
    row = {clip: k for k, clip in enumerate(responses.clips)}
    clips = some_test_clips(windows, count)
    encoder = SpatioTemporalEncoder.from_pretrained(encoder_folder).eval()
    with torch.inference_mode():
        x = torch.from_numpy(responses.x[[row[clip] for clip in clips]])
        guess = torch.cat([encoder(part).text for part in x.split(16)])
        centred = encoder.calibration.centred_text
        likeness = centred(guess) @ centred(torch.from_numpy(training.text)).T
    return {
        clip: training.condition[best].astype(np.float32)
        for clip, best in zip(clips, likeness.argmax(1).tolist(), strict=True)
    }


def some_test_clips(windows: Path, count: int) -> list[str]:
    """At most so many of the sorted test clips, evenly spread."""
    from boldreel.data import tables

    table = tables.read(windows, "windows")
    clips = sorted(set(table.loc[table["split"] == "test", "clip"]))
    places = np.linspace(0, len(clips) - 1, min(count, len(clips))).round().astype(int)
    return [clips[place] for place in places]


def from_brain(
    encoder_folder: Path, windows: Path, series: Path, repeats: str | int
) -> dict[str, np.ndarray]:
    """Conditions (length, width) that the encoder makes of the windows of the test split.

    All are encoded on the CPU, whatever the shard, so that no condition depends on it.
    """
    from boldreel.data.responses import load_responses

    responses = load_responses(windows, series, "test", repeats)
    return dict(zip(responses.clips, _encode(encoder_folder, responses.x), strict=True))


def _encode(encoder_folder: Path, x: np.ndarray, batch: int = 16) -> list[np.ndarray]:
    """Conditions of windows (n, w, V)."""
    import torch

    from boldreel.align.encoder import SpatioTemporalEncoder

    encoder = SpatioTemporalEncoder.from_pretrained(encoder_folder).eval()
    with torch.inference_mode():
        parts = [encoder(part).condition.float() for part in torch.from_numpy(x).split(batch)]
    return list(torch.cat(parts).numpy())
