"""The condition of each test clip: what a subject's brain says, what the captions say, or a control.

Takes an encoder with windows and series, or feature folders; returns conditions by clip.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from boldreel.reconstruct import standins
from boldreel.reconstruct.standins import some_test_clips


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
    """Conditions (length, width) that the encoder makes of noise, for some test clips."""
    clips, x = standins.noise(windows, series, count, seed, repeats)
    return dict(zip(clips, _encode(encoder_folder, x), strict=True))


def from_other(
    encoder_folder: Path,
    windows: Path,
    repeats: str | int,
    other_windows: Path,
    other_series: Path,
    count: int,
) -> dict[str, np.ndarray]:
    """Conditions that a subject's encoder makes of another subject's responses, for some test clips."""
    clips, x = standins.other(windows, other_windows, other_series, count, repeats)
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

    from boldreel.data import tables
    from boldreel.data.features import load_features
    from boldreel.data.responses import load_responses
    from boldreel.models.encoder import SpatioTemporalEncoder

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

    from boldreel.models.encoder import SpatioTemporalEncoder

    encoder = SpatioTemporalEncoder.from_pretrained(encoder_folder).eval()
    with torch.inference_mode():
        parts = [encoder(part).condition.float() for part in torch.from_numpy(x).split(batch)]
    return list(torch.cat(parts).numpy())
