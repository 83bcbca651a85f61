"""The condition of each test clip: what a subject's brain says, or what the captions say.

Takes an encoder with windows and series, or feature folders; leaves clip names with conditions.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from boldreel.errors import UserError


def shard_of(clips: Sequence[str], shard: int, shards: int) -> list[str]:
    """The sorted clips whose number leaves the rest ``shard`` when divided by ``shards``.

    Raises
    ------
    UserError : no such shard, or an empty one.
    """
    if not 0 <= shard < shards:
        raise UserError(f"--shard {shard} of --shards {shards}: shards count from 0")
    chosen = sorted(clips)[shard::shards]
    if not chosen:
        raise UserError(f"--shards {shards}: only {len(clips)} clips; take fewer shards")
    return chosen


def from_captions(
    clips_table: Path, features: Sequence[Path], shard: int, shards: int
) -> tuple[list[str], np.ndarray]:
    """Clips of the movies whose feature folders are given, with their true text conditions."""
    from boldreel.generator.material import load_conditions

    conditions = load_conditions(clips_table, features)
    clips = shard_of(list(conditions), shard, shards)
    return clips, np.stack([conditions[clip] for clip in clips]).astype(np.float32)


def from_brain(
    encoder_folder: Path,
    windows: Path,
    series: Path,
    repeats: str | int,
    shard: int,
    shards: int,
    batch: int = 16,
) -> tuple[list[str], np.ndarray]:
    """Clips of the test split with the conditions (n, length, width) that the encoder makes.

    Each is encoded on the CPU in a batch of its own kind, so that it does not depend on the shard.
    """
    import torch

    from boldreel.align.encoder import SpatioTemporalEncoder
    from boldreel.data.responses import load_responses

    responses = load_responses(windows, series, "test", repeats)
    clips = shard_of(responses.clips, shard, shards)
    row = {clip: i for i, clip in enumerate(responses.clips)}
    x = responses.x[[row[clip] for clip in clips]]
    encoder = SpatioTemporalEncoder.from_pretrained(encoder_folder).eval()
    parts = []
    with torch.inference_mode():
        for start in range(0, len(x), batch):
            part = torch.from_numpy(x[start : start + batch])
            parts.append(encoder(part).condition.float().numpy())
    return clips, np.concatenate(parts)
