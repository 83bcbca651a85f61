"""The condition of each test clip: what a subject's brain says, or what the captions say.

Takes an encoder with windows and series, or feature folders; leaves conditions by clip.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np


def from_captions(clips_table: Path, features: Sequence[Path]) -> dict[str, np.ndarray]:
    """True text conditions (length, width) of the clips of the movies whose features are given."""
    from boldreel.generator.material import load_conditions

    return load_conditions(clips_table, features)


def from_brain(
    encoder_folder: Path, windows: Path, series: Path, repeats: str | int, batch: int = 16
) -> dict[str, np.ndarray]:
    """Conditions (length, width) that the encoder makes of the windows of the test split.

    All are encoded on the CPU, whatever the shard, so that no condition depends on it.
    """
    import torch

    from boldreel.align.encoder import SpatioTemporalEncoder
    from boldreel.data.responses import load_responses

    responses = load_responses(windows, series, "test", repeats)
    encoder = SpatioTemporalEncoder.from_pretrained(encoder_folder).eval()
    conditions: dict[str, np.ndarray] = {}
    with torch.inference_mode():
        for start in range(0, len(responses.clips), batch):
            x = torch.from_numpy(responses.x[start : start + batch])
            names = responses.clips[start : start + batch]
            conditions.update(zip(names, encoder(x).condition.float().numpy(), strict=True))
    return conditions
